package explain

import (
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// court is a network of known keys on a ledger whose rounds are judged by hand.
type court struct {
	t      testing.TB
	g      ledger.Genesis
	l      *ledger.Local
	users  []token.Key // the first operates all nodes
	nonces map[token.Address]uint64
	fate   map[staking.NodeID]staking.Outcome // of all its shards, in every round; else they pass
	void   bool
}

// judged is epochs of ten short rounds, which a test judges.
func judged() ledger.Params {
	p := ledger.Testnet()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets = 10, 10, 10, 1<<6
	p.Challenge = challenge.Params{} // rounds are entered by hand
	p.Staking.Ladder.LateEpochs = 2
	p.Staking.MinBond = 10 * token.WAL
	p.Registry.TombstoneEpochs, p.Registry.DefaultEpochs = 2, 2
	return p
}

func newCourt(t testing.TB, p ledger.Params, nodes int) *court {
	t.Helper()
	c := &court{t: t, nonces: map[token.Address]uint64{}, fate: map[staking.NodeID]staking.Outcome{}}
	c.g = ledger.Genesis{Name: "test", Time: 1_800_000_000_000, Params: p}
	for i := range 4 {
		k := token.KeyFromSeed([32]byte{1, byte(i)})
		c.users = append(c.users, k)
		c.g.Accounts = append(c.g.Accounts, ledger.GenesisAccount{Address: k.Address(), Amount: 100_000 * token.WAL})
	}
	for i := range nodes {
		s := nodeSecret(i)
		n := ledger.GenesisNode{Operator: c.users[0].Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 100 * token.WAL, CommissionBps: 1000}
		c.g.Nodes = append(c.g.Nodes, n.Prove(c.g.Name, s.Key(), s.BLSKey()))
	}
	var err error
	if c.l, err = ledger.NewLocal(c.g, state.NewMemory(), func() int64 { return 0 }); err != nil {
		t.Fatal(err)
	}
	return c
}

func nodeSecret(i int) token.Secret { return token.Secret{2, byte(i)} }

func (c *court) id(i int) staking.NodeID { return c.g.Nodes[i].ID }

func (c *court) view() ledger.View {
	c.t.Helper()
	v, err := c.l.View(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

func (c *court) head() ledger.Head { return must(c.view().Head()) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// try submits a transaction and returns its refusal.
func (c *court) try(k token.Key, body ledger.Body) error {
	c.t.Helper()
	r, err := c.l.Submit(c.t.Context(), ledger.Sign(k, c.l.ChainID(), c.nonces[k.Address()], token.WAL/100, body))
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Code == 0 {
		c.nonces[k.Address()]++
	}
	return r.Err()
}

func (c *court) do(k token.Key, body ledger.Body) {
	c.t.Helper()
	if err := c.try(k, body); err != nil {
		c.t.Fatal(err)
	}
}

// pay gives an epoch money to share: a transfer with a large fee, which is carried.
func (c *court) pay(a token.Amount) {
	c.t.Helper()
	k := c.users[3]
	r, err := c.l.Run(ledger.Block{Txs: [][]byte{ledger.Sign(k, c.l.ChainID(), c.nonces[k.Address()], a, ledger.Transfer{To: k.Address(), Amount: 1})}})
	if err != nil || r.Txs[0].Code != 0 {
		c.t.Fatal(err, r.Txs)
	}
	c.nonces[k.Address()]++
}

func (c *court) set(id staking.NodeID, o staking.Outcome) { c.fate[id] = o }

func (c *court) advance() {
	c.t.Helper()
	if err := c.l.Advance(1); err != nil {
		c.t.Fatal(err)
	}
}

// rounds runs rounds to their ends.
func (c *court) rounds(n int, faults ...ledger.Fault) {
	c.t.Helper()
	for range n {
		for !c.lastOfRound() {
			c.advance()
		}
		r := staking.RoundResult{Void: c.void}
		for _, id := range must(c.view().Committee(c.head().Epoch)).Holder {
			o, known := c.fate[id]
			if !known {
				o = staking.Passed
			}
			r.Outcomes = append(r.Outcomes, o)
		}
		if _, err := c.l.Run(ledger.Block{Rounds: []staking.RoundResult{r}, Faults: faults}); err != nil {
			c.t.Fatal(err)
		}
		faults = nil
	}
}

// lastOfRound says that the next block is the last of a round.
func (c *court) lastOfRound() bool {
	h := c.head()
	return (h.Height+2-h.EpochStart)%c.g.Params.RoundBlocks == 0 && h.Height < h.EpochEnd
}

// epoch runs to the first block of the next epoch.
func (c *court) epoch(faults ...ledger.Fault) {
	c.t.Helper()
	e := c.head().Epoch
	c.rounds(int(c.g.Params.RoundsPerEpoch), faults...)
	c.toEpoch(e + 1)
	if a := must(c.view().TrialBalance()); !a.Balanced() {
		c.t.Fatalf("money was made or lost: %+v", a)
	}
}

func (c *court) toEpoch(e unit.Epoch) {
	c.t.Helper()
	for c.head().Epoch < e {
		c.advance()
	}
}

func (c *court) statement(epoch unit.Epoch, id staking.NodeID) ledger.Statement {
	c.t.Helper()
	s, known, err := c.view().Statement(epoch, id)
	if err != nil || !known {
		c.t.Fatalf("no statement of epoch %d for %s: %v", epoch, id, err)
	}
	return s
}

func (c *court) pool(id staking.NodeID) staking.Pool {
	c.t.Helper()
	p, _, err := c.view().Pool(id)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}
