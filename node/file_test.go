package node

import (
	"strings"
	"testing"
)

func TestAddressesAreCheckedWhenTheyAreTyped(t *testing.T) {
	for _, c := range []struct {
		listen, ledger, address, says string
	}{
		{"/ip4/0.0.0.0/tcp/4001", "0.0.0.0:4002", "", ""},
		{"/ip6/::/udp/4001/quic-v1", "[::1]:4002", "node.example.org:4002", ""},
		{"/ip4/127.0.0.1/tcp/0", ":4002", "[2001:db8::7]:1", ""},
		{"/ip4/127.0.0.1/tcp/1", "localhost:65535", "", ""},
		{"127.0.0.1:4001", "0.0.0.0:4002", "", "/ip4/0.0.0.0/tcp/4001"},
		{"/ip4/127.0.0.1", "0.0.0.0:4002", "", "no port"},
		{"/ip4/127.0.0.1/tcp/99999", "0.0.0.0:4002", "", "/ip4/0.0.0.0/tcp/4001"},
		{"/ip4/300.0.0.1/tcp/1", "0.0.0.0:4002", "", "/ip4/0.0.0.0/tcp/4001"},
		{"/ip4/127.0.0.1/udp/4001", "0.0.0.0:4002", "", "TCP and on QUIC"},
		{"/dns4/example.org/tcp/4001", "0.0.0.0:4002", "", "IP address"},
		{"/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWE3AwZFT9zEWDUxhya62hmvEbRxYBWaosn7Kiqw5wsu73", "0.0.0.0:4002", "", "TCP and on QUIC"},
		{"", "0.0.0.0:4002", "", "listen"},
		{"/ip4/0.0.0.0/tcp/4001", "::1:24002", "", "[::]:4002"},
		{"/ip4/0.0.0.0/tcp/4001", "::1", "", "brackets"},
		{"/ip4/0.0.0.0/tcp/4001", "tcp://0.0.0.0:4002", "", "0.0.0.0:4002"},
		{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/tcp/4002", "", "0.0.0.0:4002"},
		{"/ip4/0.0.0.0/tcp/4001", "0.0.0.0", "", "port is missing"},
		{"/ip4/0.0.0.0/tcp/4001", "", "", "port is missing"},
		{"/ip4/0.0.0.0/tcp/4001", ":99999", "", "1 to 65535"},
		{"/ip4/0.0.0.0/tcp/4001", ":0", "", "1 to 65535"},
		{"/ip4/0.0.0.0/tcp/4001", ":-1", "", "1 to 65535"},
		{"/ip4/0.0.0.0/tcp/4001", ":http", "", "1 to 65535"},
		{"/ip4/0.0.0.0/tcp/4001", "256.1.1.1:4002", "", "neither an IP address"},
		{"/ip4/0.0.0.0/tcp/4001", "a b:4002", "", "neither an IP address"},
		{"/ip4/0.0.0.0/tcp/4001", "[::g]:4002", "", "no IPv6"},
		{"/ip4/0.0.0.0/tcp/4001", "0.0.0.0:4002", ":4002", "host is missing"},
		{"/ip4/0.0.0.0/tcp/4001", "0.0.0.0:4002", "203.0.113.7", "203.0.113.7:4002"},
		{"/ip4/0.0.0.0/tcp/4001", "0.0.0.0:4002", "http://a.example:1", "URL"},
	} {
		f := DefaultFile()
		f.Listen, f.LedgerListen, f.LedgerAddress = []string{c.listen}, c.ledger, c.address
		_, err := f.Daemon(t.TempDir(), nil, "test")
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("listen %q, ledger %q, address %q: %v, want words %q", c.listen, c.ledger, c.address, err, c.says)
		}
	}
	for _, level := range []string{"loud", "", "info+3"} {
		f := DefaultFile()
		f.LogLevel = level
		if _, err := f.Daemon(t.TempDir(), nil, "test"); err == nil {
			t.Errorf("log_level = %q is taken", level)
		}
	}
}

func TestKeepBlocksIsANumberOrAWord(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "default": 0, "all": -1, "600000": 600_000, "0": -2, "-1": -2, "1e6": -2, "All": -2, "10 ": -2} {
		f := DefaultFile()
		f.KeepBlocks = text
		c, err := f.Daemon(t.TempDir(), nil, "test")
		if want == -2 {
			if err == nil || !strings.Contains(err.Error(), "keep_blocks") {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil || c.KeepBlocks != want {
			t.Errorf("%q: %d, %v, want %d", text, c.KeepBlocks, err, want)
		}
	}
}
