package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// crowd is a network of many nodes with a shard each.
func crowd(t testing.TB, nodes int) *world {
	p := Testnet()
	p.Challenged, p.Shards, p.Buckets = false, nodes, 1<<16
	w := newWorldOf(t, p, nodes, func(g *Genesis) {
		for i := range g.Nodes {
			s := crowdSecret(i)
			n := GenesisNode{Operator: userKey(0).Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 1000 * token.WAL}
			g.Nodes[i] = n.Prove(worldName, s.Key(), s.BLSKey())
		}
	})
	return w
}

func crowdSecret(i int) token.Secret { return token.Secret{2, byte(i), byte(i >> 8), 9} }

// BenchmarkWorstBlock executes, on a machine that has seen none of it, the most
// transactions of a kind that a block takes, and says how long a block of 2 MiB keeps one
// core busy. The limit is a second; ed25519/unit is what a unit of work costs beside the
// 1/55 of a signature that it stands for, measured in the same run.
func BenchmarkWorstBlock(b *testing.B) {
	for _, nodes := range []int{100, 1000} {
		w := crowd(b, nodes)
		alice, operator, node := w.users[1], w.users[0], staking.NodeID(crowdSecret(0).Key().Public())
		m := w.manifest(1, 1000)
		w.do(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()})
		for i := range 40 {
			w.do(alice, RegisterBlob{Manifest: forge(b, nodes, 40_000, int64(i)).manifest, Epochs: 2, Owner: alice.Address()})
		}
		key := crowdSecret(0).BLSKey()
		c := registry.Certificate{Epoch: w.head().Epoch, Bitmap: blob.NewSet[uint16](nodes)}
		for i := range nodes {
			c.Bitmap.Add(uint16(i))
		}
		next := map[token.Address]uint64{}
		sign := func(k token.Key, body Body) []byte {
			n := next[k.Address()]
			next[k.Address()] = n + 1
			return Sign(k, w.l.ChainID(), w.account(k).Nonce+n, fee, body)
		}
		for _, kind := range []struct {
			name string
			some int
			tx   func(i int) []byte
		}{
			{"transfer", 60, func(i int) []byte {
				return sign(alice, Transfer{To: token.Address{byte(i), byte(i >> 8)}, Amount: 1})
			}},
			{"register-blob", 60, func(i int) []byte {
				return sign(alice, RegisterBlob{Manifest: w.manifest(1000+i, 1000), Epochs: 100, Owner: alice.Address()})
			}},
			{"update-node", 60, func(i int) []byte {
				return sign(operator, UpdateNode{Node: node, CapacityKiB: unit.KiB(1<<30+uint64(i)) + 1})
			}},
			{"register-node", 60, func(i int) []byte {
				s := token.Secret{7, byte(i), byte(i >> 8)}
				r := RegisterNode{CapacityKiB: 1 << 30, Bond: 1000 * token.WAL}.Prove(w.l.ChainID(), worldName, operator.Address(), s.Key(), s.BLSKey())
				return sign(operator, r)
			}},
			{"wrong-certificate", 60, func(i int) []byte {
				c.Aggregate = key.Sign(fmt.Appendf(nil, "wrong %d", i))
				return Unsigned(Certify{Blob: m.ID(), Certificate: c})
			}},
			{"invalidate", 40, func(i int) []byte { return Unsigned(forge(b, nodes, 40_000, int64(i)).invalidate(b)) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, nodes), func(b *testing.B) {
				clear(next)
				var txs [][]byte
				bytes, work := 0, uint64(0)
				for i := range kind.some {
					txs = append(txs, kind.tx(i))
					bytes += len(txs[i]) + 4
					work += w.g.Params.Work(txs[i])
				}
				fit := min(kind.some*int(w.g.Params.BlockBytes)/bytes, kind.some*int(w.g.Params.BlockWork)/int(work))
				var took time.Duration
				for b.Loop() {
					w.l.machine.verified = newVerifyCache()
					began := time.Now()
					r, err := w.l.machine.Execute(Block{Height: w.l.machine.Height() + 1, TimeMs: w.head().TimeMs, Txs: txs})
					if err != nil {
						b.Fatal(err)
					}
					took += time.Since(began)
					if wrong := kind.name == "wrong-certificate"; (r.Txs[0].Code != 0) != wrong {
						b.Fatal(r.Txs[0].Log)
					}
				}
				each := took / time.Duration(b.N*kind.some)
				b.ReportMetric(float64(each.Microseconds()), "us/tx")
				b.ReportMetric(float64(fit), "tx/block")
				b.ReportMetric((each * time.Duration(fit)).Seconds(), "of-the-limit")
				b.ReportMetric(float64(each)/float64(signature())/(float64(work)/float64(kind.some)/55), "ed25519/unit")
			})
		}
	}
}

// signature is how long one ed25519 signature takes to verify, now.
func signature() time.Duration {
	k := userKey(1)
	sig := k.Sign([]byte("m"))
	began := time.Now()
	for range 200 {
		_ = k.Public().Verify([]byte("m"), sig)
	}
	return time.Since(began) / 200
}
