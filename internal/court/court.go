// Package court runs a ledger in memory whose rounds are judged by hand: for tests of
// what is read from a ledger.
//
// The promise: pay, slashes, jail and shards move by the ledger's own rules; a test sets
// the outcome of the shards of each node, and passes time by epochs. No node runs.
package court

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Court is a ledger of a test, and the judge of its rounds.
type Court struct {
	testing.TB
	Ledger  *ledger.Local
	Genesis ledger.Genesis
	Fate    map[staking.NodeID]staking.Outcome // of all shards of a node in each round; without an entry they pass
	Void    bool                               // the rounds are void

	nonces map[token.Address]uint64
}

// Params are 10 shards, and epochs of 4 rounds of 10 blocks, in which no blob is drawn.
func Params() ledger.Params {
	p := ledger.Testnet()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets, p.Challenged = 10, 10, 4, 1<<6, true
	p.Challenge = challenge.Params{}
	p.Staking.MinBond = 10 * token.WAL
	return p
}

// New starts a ledger from a genesis.
func New(t testing.TB, g ledger.Genesis) *Court {
	t.Helper()
	l, err := ledger.NewLocal(g, state.NewMemory(), func() int64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	return &Court{TB: t, Ledger: l, Genesis: g, Fate: map[staking.NodeID]staking.Outcome{}, nonces: map[token.Address]uint64{}}
}

// ID is the ID of a node of the genesis.
func (c *Court) ID(i int) staking.NodeID { return c.Genesis.Nodes[i].ID }

// View is the ledger as it is now.
func (c *Court) View() ledger.View {
	c.Helper()
	v, err := c.Ledger.View(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return v
}

// Head is where the ledger is now.
func (c *Court) Head() ledger.Head {
	c.Helper()
	h, err := c.View().Head()
	if err != nil {
		c.Fatal(err)
	}
	return h
}

// Statement is the ledger's statement of a node for an epoch, which must be there.
func (c *Court) Statement(epoch unit.Epoch, id staking.NodeID) ledger.Statement {
	c.Helper()
	s, known, err := c.View().Statement(epoch, id)
	if err != nil || !known {
		c.Fatalf("no statement of epoch %d for %s: %v", epoch, id, err)
	}
	return s
}

// Pool is the pool of a node as it is now.
func (c *Court) Pool(id staking.NodeID) staking.Pool {
	c.Helper()
	p, _, err := c.View().Pool(id)
	if err != nil {
		c.Fatal(err)
	}
	return p
}

// Try signs and submits a transaction, and returns its refusal. The fee is income of the
// epoch.
func (c *Court) Try(k token.Key, fee token.Amount, body ledger.Body) error {
	c.Helper()
	r, err := c.Ledger.Submit(c.Context(), ledger.Sign(k, c.Ledger.ChainID(), c.nonces[k.Address()], fee, body))
	if err != nil {
		c.Fatal(err)
	}
	if r.Code == 0 {
		c.nonces[k.Address()]++
	}
	return r.Err()
}

// Do is Try for a transaction that must succeed.
func (c *Court) Do(k token.Key, fee token.Amount, body ledger.Body) {
	c.Helper()
	if err := c.Try(k, fee, body); err != nil {
		c.Fatal(err)
	}
}

// Manifest is a manifest of a blob of a size; the ledger never sees its bytes.
func (c *Court) Manifest(size int64) blob.Manifest {
	c.Helper()
	shape, err := c.Genesis.Params.Shape()
	if err != nil {
		c.Fatal(err)
	}
	l, err := shape.Layout(size)
	if err != nil {
		c.Fatal(err)
	}
	return blob.NewManifest(l, blob.Leaf([]byte("the stripes of a blob")))
}

// Certify submits a certificate of a registered blob that all nodes with these secrets
// have signed.
func (c *Court) Certify(id blob.ID, secrets ...token.Secret) {
	c.Helper()
	epoch := c.Head().Epoch
	committee, err := c.View().Committee(epoch)
	if err != nil {
		c.Fatal(err)
	}
	signatures := map[int]token.BLSSignature{}
	for _, s := range secrets {
		if i, ok := committee.Index(staking.NodeID(s.Key().Public())); ok {
			signatures[i] = s.BLSKey().Sign(registry.ConfirmMessage(c.Ledger.ChainID(), epoch, id))
		}
	}
	certificate, err := registry.NewCertificate(epoch, len(committee.Nodes), signatures)
	if err != nil {
		c.Fatal(err)
	}
	r, err := c.Ledger.Submit(c.Context(), ledger.Unsigned(ledger.Certify{Blob: id, Certificate: certificate}))
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		c.Fatal(err)
	}
}

// Epoch runs to the first block of the next epoch. The block that judges the next round
// reports the faults. The money of the ledger must balance afterwards.
func (c *Court) Epoch(faults ...ledger.Fault) {
	c.Helper()
	for epoch := c.Head().Epoch; c.Head().Epoch == epoch; {
		if c.LastOfRound() {
			c.Block(faults...)
			faults = nil
		} else {
			c.Block()
		}
	}
	b, err := c.View().TrialBalance()
	if err != nil || !b.Balanced() {
		c.Fatalf("money was made or lost: %+v, %v", b, err)
	}
}

// Rounds runs to the ends of the next rounds. The first of them reports the faults.
func (c *Court) Rounds(n int, faults ...ledger.Fault) {
	c.Helper()
	for range n {
		for !c.LastOfRound() {
			c.Block()
		}
		c.Block(faults...)
		faults = nil
	}
}

// LastOfRound says that the next block is the last of a round.
func (c *Court) LastOfRound() bool {
	c.Helper()
	h := c.Head()
	return (h.Height+2).Since(h.EpochStart)%c.Genesis.Params.RoundBlocks == 0 && h.Height < h.EpochEnd
}

// Block runs one block that reports faults. It judges a round if it is the last of one.
func (c *Court) Block(faults ...ledger.Fault) {
	c.Helper()
	b := ledger.Block{Faults: faults}
	if c.LastOfRound() {
		b.Rounds = []staking.RoundResult{c.judge()}
	}
	if _, err := c.Ledger.Run(b); err != nil {
		c.Fatal(err)
	}
}

// judge gives each shard of the present committee the outcome of its holder.
func (c *Court) judge() staking.RoundResult {
	c.Helper()
	committee, err := c.View().Committee(c.Head().Epoch)
	if err != nil {
		c.Fatal(err)
	}
	r := staking.RoundResult{Void: c.Void}
	for _, id := range committee.Holder {
		o, known := c.Fate[id]
		if !known {
			o = staking.Passed
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}
