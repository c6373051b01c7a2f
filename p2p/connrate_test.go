package p2p

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A household behind one address, and a script that runs a command each second, are served
// for as long as they like; a flood from one address is not.
func TestConnectionsFromOneAddressComeAtAPeoplesPace(t *testing.T) {
	for _, text := range []string{"203.0.113.7", "2001:db8:1:2::3"} {
		synctest.Test(t, func(t *testing.T) {
			rates, from := newConnRates(), netip.MustParseAddr(text)
			for second := range 600 {
				for range 5 { // a command that asks five nodes on one host
					if !rates.Allow(from) {
						t.Fatalf("%s: refused after %d s", text, second)
					}
				}
				time.Sleep(time.Second) // virtual
			}
			refused := 0
			for range 10_000 {
				if !rates.Allow(from) {
					refused++
				}
			}
			if refused < 9000 {
				t.Errorf("%s: of a flood of 10,000 connections %d were refused", text, refused)
			}
			if !rates.Allow(netip.MustParseAddr("127.0.0.1")) || !rates.Allow(netip.MustParseAddr("198.51.100.1")) {
				t.Error("others are refused too")
			}
		})
	}
}
