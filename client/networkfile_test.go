package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

func TestATrustPeriodThatMakesNoSenseIsRefused(t *testing.T) {
	secret := token.Secret{4}
	n := Network{Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/12D3KooWE3AwZFT9zEWDUxhya62hmvEbRxYBWaosn7Kiqw5wsu73"}, TrustPeriod: time.Hour}
	n.Genesis = ledger.Genesis{Name: "test", Time: 1_800_000_000_000, Params: ledger.Testnet(), Accounts: []ledger.GenesisAccount{{Address: payer().Address(), Amount: token.WAL}}}
	n.Genesis.Params.Shards = 4
	for i := range 4 {
		secret[1] = byte(i)
		n.Genesis.Nodes = append(n.Genesis.Nodes, ledger.GenesisNode{Operator: payer().Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL}.Prove("test", secret.Key(), secret.BLSKey()))
	}
	path := filepath.Join(t.TempDir(), "network.toml")
	if err := n.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "1h0m0s") {
		t.Fatalf("%s %v", text, err)
	}
	for period, ok := range map[string]bool{"1h0m0s": true, "1m": true, "336h": true, "87600h": true, "-1h": false, "0": false, "0s": false, "1ns": false, "59s": false, "2000000h": false, "90": false, "two weeks": false} {
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), "1h0m0s", period, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadNetwork(path)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "trust_period") {
			t.Errorf("trust_period = %q: %v", period, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("parts of files stay: %v %v", left, err)
	}
}
