package node

import (
	"context"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// BenchmarkIdleLook is what a block that wrote no blob costs the recovery loop (idle:
// the number of blobs does not enter), and what asking the store about 10,000 blobs of
// one stripe costs, as the first look after a start does (first).
func BenchmarkIdleLook(b *testing.B) {
	const blobs = 10_000
	secret := token.Secret{1, 77}
	g := ledger.Genesis{Name: "test", Time: 1, Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: secret.Key().Address(), Amount: 1_000_000 * token.WAL}}}
	g.Params.Shards = 4
	g.Params.Challenged = false
	for i := range 4 {
		s := secret
		s[2] = byte(i)
		node, key := s.Key(), s.BLSKey()
		g.Nodes = append(g.Nodes, ledger.GenesisNode{Operator: secret.Key().Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"},
			Name: "n", CapacityKiB: 1 << 40, Bond: 1000 * token.WAL}.Prove("test", node, key))
	}
	l, err := ledger.NewLocal(g, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n := New(DefaultConfig(), secret, l.ChainID(), nil, s, local{Local: l}, quiet())
	v, err := l.View(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	d, err := dutyOf(v, n.id)
	if err != nil {
		b.Fatal(err)
	}
	entry := make([]registry.Entry, blobs)
	for i := range entry {
		layout, err := d.shape.Layout(1000)
		if err != nil {
			b.Fatal(err)
		}
		entry[i] = registry.Entry{Manifest: blob.NewManifest(layout, blob.Leaf([]byte{byte(i), byte(i >> 8)})), CertifiedHeight: 1,
			Leases: []registry.Lease{{End: 9}}}
	}
	b.Run("first", func(b *testing.B) {
		for range b.N {
			for i := range entry {
				c, _ := entry[i].Manifest.Commitment()
				if err := s.EachMissing(c, d.places(c.ID, d.shards), func(blob.Position) {}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	if err := l.Advance(1); err != nil {
		b.Fatal(err)
	}
	if _, _, err := n.look(context.Background(), time.Now()); err != nil {
		b.Fatal(err)
	}
	b.Run("idle", func(b *testing.B) {
		for range b.N {
			if _, _, err := n.look(context.Background(), time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
