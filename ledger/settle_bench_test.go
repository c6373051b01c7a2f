package ledger

import (
	"encoding/binary"
	"math/rand"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// disk is a database as a state lies on it.
type disk struct{ *kv.DB }

func (d disk) Batch() state.Batch { return d.DB.Batch() }

// What a large network has.
const (
	benchNodes       = 200
	benchBlobs       = 1_000_000
	benchDelegations = 100_000
	benchEpochs      = 13 // length of a lease: of the blobs this part ends in each epoch
)

// largeLedger is a ledger with all of that, on a disk.
func largeLedger(b *testing.B) *Machine {
	p := Default()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets, p.Challenged = 1000, 1, 336, 1<<20, true
	p.Challenge = challenge.Params{} // rounds are entered by hand
	g := Genesis{Name: worldName, Time: 1_800_000_000_000, Params: p}
	for i := range 10 {
		g.Accounts = append(g.Accounts, GenesisAccount{Address: userKey(i).Address(), Amount: 100_000_000 * token.WAL})
	}
	for i := range benchNodes {
		s := nodeSecret(i)
		n := GenesisNode{Operator: userKey(0).Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", CapacityKiB: 1 << 40, Bond: 10_000 * token.WAL, CommissionBps: 1000}
		g.Nodes = append(g.Nodes, n.Prove(worldName, s.Key(), s.BLSKey()))
	}
	db, err := kv.Open(kv.Options{Dir: b.TempDir(), Profile: kv.Small})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	m, err := NewMachine(g, disk{db})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, m)
	return m
}

// fill lays blobs and delegations into the state as the transactions would have left
// them, and pays for them out of an account.
func fill(b *testing.B, m *Machine) {
	shape, err := m.genesis.Params.Shape()
	if err != nil {
		b.Fatal(err)
	}
	layout, err := shape.Layout(1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	payer := userKey(1).Address()
	price := token.Amount(1_000_000)
	chunk := func(n int, each func(x *exec, i int)) {
		const at = 50_000
		for from := 0; from < n; from += at {
			x, err := m.exec()
			if err != nil {
				b.Fatal(err)
			}
			x.begin(Block{Height: x.head.Height + 1, TimeMs: x.head.TimeMs})
			for i := from; i < min(n, from+at); i++ {
				each(x, i)
			}
			u, err := m.state.Prepare(x.head.Height, x.o.Changes())
			if err == nil {
				err = m.state.Commit(u)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	chunk(benchBlobs, func(x *exec, i int) {
		man := blob.NewManifest(layout, blob.Leaf(binary.BigEndian.AppendUint32(nil, uint32(i))))
		end := unit.Epoch(1 + i%benchEpochs)
		e := registry.Entry{Manifest: man, Units: layout.StoredKiB(), CertifiedHeight: 1,
			Leases: []registry.Lease{{Owner: payer, Payer: payer, Start: 0, End: end, Price: price}}}
		x.putEntry(man.ID(), e)
		acc := x.account(payer)
		acc.Balance -= e.Leases[0].Total()
		x.put(KeyAccount(payer), acc)
		x.fund(e, e.Leases[0])
		x.usage(func(u *Usage) { u.ReservedKiB += e.Units })
	})
	chunk(benchDelegations, func(x *exec, i int) {
		h := blob.Leaf(binary.BigEndian.AppendUint32(nil, uint32(i)))
		owner := token.Address(h[:20])
		s := x.stakeOf(owner, m.genesis.Nodes[i%benchNodes].ID)
		if err := s.pool.Delegate(&s.part, 10*token.WAL, 0, x.counted(), x.p.Staking); err != nil {
			b.Fatal(err)
		}
		acc := x.account(payer)
		acc.Balance -= 10 * token.WAL
		x.put(KeyAccount(payer), acc)
		x.putStake(s)
	})
}

// BenchmarkSettlement runs an epoch of a large network, in which all nodes are judged
// every round and a part of all blobs ends. It gives the time of the block that closes
// the epoch, of the one that chooses the next committee, of the worst block of all, of
// one without any of it; of the first two beyond that; and of what the sweep of ended
// blobs took in all the blocks over which it is spread.
func BenchmarkSettlement(b *testing.B) {
	m := largeLedger(b)
	r := rand.New(rand.NewSource(1))
	block := func() (took time.Duration, h Head) {
		round := staking.RoundResult{Outcomes: make([]staking.Outcome, m.genesis.Params.Shards)}
		for s := range round.Outcomes {
			round.Outcomes[s] = staking.Passed
			if r.Intn(50) == 0 {
				round.Outcomes[s] = staking.Failed
			}
		}
		start := time.Now()
		x := Block{Height: m.Height() + 1, TimeMs: m.genesis.Time, Rounds: []staking.RoundResult{round}}
		if _, err := m.Execute(x); err != nil {
			b.Fatal(err)
		}
		if err := m.Commit(); err != nil {
			b.Fatal(err)
		}
		took = time.Since(start)
		v, err := m.View()
		if err == nil {
			h, err = v.Head()
		}
		if err != nil {
			b.Fatal(err)
		}
		return took, h
	}
	for range b.N {
		var turn, choose, worst, plain, sweep time.Duration
		blocks := 0
		_, before := block()
		epoch := before.Epoch
		for {
			took, h := block()
			worst = max(worst, took)
			switch {
			case h.Epoch > epoch && h.Height == h.EpochStart && turn == 0:
				turn = took
			case h.Height == h.Middle():
				choose = took
			}
			if h.Epoch > epoch && h.Height > h.EpochStart {
				sweep += took
				blocks++
			}
			if plain == 0 || took < plain {
				plain = took
			}
			if blocks > int(benchBlobs/benchEpochs/m.Rules().Params.SweepBlobs)+2 {
				break
			}
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(turn), "ms/turn")
		b.ReportMetric(ms(choose), "ms/choose")
		b.ReportMetric(ms(worst), "ms/worst-block")
		b.ReportMetric(ms(plain), "ms/plain-block")
		b.ReportMetric(ms(turn+choose-2*plain), "ms/settlement")
		b.ReportMetric(ms(sweep-time.Duration(blocks)*plain), "ms/sweep")
	}
}
