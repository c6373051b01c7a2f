package node

import (
	"net/netip"
	"testing"
)

// What a hello says of where a ledger listens is believed only of the IP address that it
// came from: no name is looked up, and no third door is knocked at.
func TestAHelloIsBelievedOfItsOwnAddressOnly(t *testing.T) {
	from := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}
	for named, want := range map[string]string{
		"192.0.2.7:26656":          "192.0.2.7:26656",
		"[2001:db8::7]:26656":      "[2001:db8::7]:26656",
		"[::ffff:192.0.2.7]:26656": "192.0.2.7:26656",
		"192.0.2.8:26656":          "",
		"127.0.0.1:22":             "",
		"0.0.0.0:26656":            "",
		"victim.example:26656":     "",
		"localhost:26656":          "",
		"192.0.2.7":                "",
		"":                         "",
		":26656":                   "",
	} {
		if got := corrected(named, from); got != want {
			t.Errorf("%q: %q, want %q", named, got, want)
		}
	}
}
