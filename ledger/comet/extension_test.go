package comet

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ear says always the same of every round.
type ear struct {
	listened bool
	own      blob.Hash
	yes      blob.ShardSet
}

func (e ear) Attest(challenge.RoundID) (bool, blob.Hash, blob.ShardSet) {
	return e.listened, e.own, e.yes
}

// cycle is the blocks of a round of these tests: reveals, the draw's block, attestations.
const cycle = 12

func short(h unit.Height) ledger.Wants {
	at := h % cycle
	return ledger.Wants{Round: challenge.RoundID{Epoch: unit.Epoch(h / cycle), Round: 7},
		Reveal: at >= 3 && at <= 5, Carry: at >= 4 && at <= 6 || at == 9 || at == 10, Last: at == 6, Attest: at == 8 || at == 9}
}

// always wants all that can be wanted of each block but some, which want nothing.
func always(h unit.Height) ledger.Wants {
	return ledger.Wants{Round: challenge.RoundID{Epoch: unit.Epoch(h)}, Reveal: true, Carry: h > 1 && h%4 != 0, Last: h%4 == 2}
}

// witness stands between CometBFT and an app, and keeps what blocks came to the ledger.
type witness struct {
	*app
	lives *lives
}

// lives is what the lives of one node, from one restart to the next, have met.
type lives struct {
	mu      sync.Mutex // guards the fields below
	blocks  map[unit.Height]ledger.Block
	refused []string // extensions of honest peers
	spoken  int      // extensions of its own votes, not empty
	names   int      // of others, that would not have passed for the proposer's
	faulted []string // addresses of proposers whose proposals were rejected
}

func (l *lives) block(height unit.Height) (ledger.Block, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.blocks[height]
	return b, ok
}

func newWitness(t testing.TB, a *app, wants func(unit.Height) ledger.Wants, l *lives) *witness {
	a.wants = func(h unit.Height) (ledger.Wants, error) {
		_, err := a.machine.Wants(h)
		return wants(h), err
	}
	a.execute = func(b ledger.Block) (ledger.Result, error) {
		l.mu.Lock()
		if was, again := l.blocks[b.Height]; again && !reflect.DeepEqual(was, b) {
			t.Errorf("block %d replayed differs: %+v, before %+v", b.Height, b, was)
		}
		l.blocks[b.Height] = b
		l.mu.Unlock()
		return a.machine.Execute(b)
	}
	return &witness{a, l}
}

func (w *witness) VerifyVoteExtension(ctx context.Context, r *abci.RequestVerifyVoteExtension) (*abci.ResponseVerifyVoteExtension, error) {
	out, err := w.app.VerifyVoteExtension(ctx, r)
	if err == nil && out.Status != abci.ResponseVerifyVoteExtension_ACCEPT {
		w.lives.mu.Lock()
		w.lives.refused = append(w.lives.refused, fmt.Sprintf("block %d, by %X: %x", r.Height, r.ValidatorAddress, r.VoteExtension))
		w.lives.mu.Unlock()
	}
	return out, err
}

// ProcessProposal tries another's name on the block first.
func (w *witness) ProcessProposal(ctx context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	for _, v := range r.ProposedLastCommit.Votes {
		if !bytes.Equal(v.Validator.Address, r.ProposerAddress) && !w.hadTheTurn(r.Hash, v.Validator.Address) {
			w.lives.mu.Lock()
			w.lives.names++
			w.lives.mu.Unlock()
		}
	}
	out, err := w.app.ProcessProposal(ctx, r)
	if err == nil && out.Status != abci.ResponseProcessProposal_ACCEPT {
		w.lives.mu.Lock()
		w.lives.faulted = append(w.lives.faulted, string(r.ProposerAddress))
		w.lives.mu.Unlock()
	}
	return out, err
}

func (w *witness) ExtendVote(ctx context.Context, r *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	out, err := w.app.ExtendVote(ctx, r)
	if err == nil && len(out.VoteExtension) > 0 {
		w.lives.mu.Lock()
		w.lives.spoken++
		w.lives.mu.Unlock()
	}
	return out, err
}

// challenged makes the cluster's network a challenged one, whose blocks want what a
// timetable says, and watches all members.
func (c *cluster) challenged(wants func(unit.Height) ledger.Wants) []*lives {
	c.genesis.Params.Challenged = true
	c.genesis.Params.Challenge = challenge.Params{} // what is wanted is said here
	var out []*lives
	for i, m := range c.members {
		l := &lives{blocks: map[unit.Height]ledger.Block{}}
		out = append(out, l)
		m.wrap = func(a *app) abci.Application { return newWitness(c.t, a, wants, l) }
		m.attester = ear{true, blob.Leaf([]byte{byte(i)}), []byte{byte(i), 1, 2, 3}}
	}
	return out
}

// bls is the key of a node.
func (c *cluster) bls(id staking.NodeID) token.BLSPublicKey {
	for _, n := range c.genesis.Nodes {
		if n.ID == id {
			return n.BLS
		}
	}
	c.t.Fatalf("%s is no node", id)
	return token.BLSPublicKey{}
}

// carries checks that a block has what it is to carry, by validators and powers as
// CometBFT of member i has them for the block before. It says which validators added something.
func (c *cluster) carries(t *testing.T, i int, b ledger.Block, wants func(unit.Height) ledger.Wants) map[staking.NodeID]bool {
	t.Helper()
	w, before := wants(b.Height), wants(b.Height-1)
	if _, known := c.index(b.Proposer); !known {
		t.Errorf("block %d: proposed by %s", b.Height, b.Proposer)
	}
	if !w.Carry && b.Extensions != nil || !w.Last && b.Last != (token.BLSSignature{}) {
		t.Errorf("block %d carries what it is not to: %d extensions", b.Height, len(b.Extensions))
	}
	if w.Last {
		if err := c.bls(b.Proposer).Verify(challenge.LastMessage(c.genesis.ChainID(), w.Round), b.Last); err != nil {
			t.Errorf("block %d: %v", b.Height, err)
		}
	}
	if !w.Carry {
		return nil
	}
	set, err := c.members[i].chain.states.LoadValidators(int64(b.Height) - 1)
	if err != nil {
		t.Fatal(err)
	}
	spoke, power := map[staking.NodeID]bool{}, int64(0)
	for _, e := range b.Extensions {
		who, known := c.index(e.Node)
		_, v := set.GetByAddress(c.members[who].address())
		if _, twice := spoke[e.Node]; !known || twice || v == nil || v.VotingPower != e.Power {
			t.Errorf("block %d: %s with power %d", b.Height, e.Node, e.Power)
		}
		power += e.Power
		got, err := challenge.DecodeExtension(e.Extension, c.genesis.Params.Shards)
		if err != nil {
			t.Fatal(err)
		}
		spoke[e.Node] = len(e.Extension) > 0
		switch {
		case got.Reveal != nil:
			if err := c.bls(e.Node).Verify(challenge.RevealMessage(c.genesis.ChainID(), before.Round), got.Reveal.Signature); err != nil || !before.Reveal {
				t.Errorf("block %d: reveal of %s: %v", b.Height, e.Node, err)
			}
		case got.Attest != nil:
			if !before.Attest || got.Attest.Own != blob.Leaf([]byte{byte(who)}) || got.Attest.Yes[0] != byte(who) {
				t.Errorf("block %d: attestation of %s: %+v", b.Height, e.Node, got.Attest)
			}
		case before.Reveal || before.Attest:
			t.Errorf("block %d: %s has nothing to say", b.Height, e.Node)
		}
	}
	if 3*power <= 2*set.TotalVotingPower() {
		t.Errorf("block %d: extensions of %d of %d", b.Height, power, set.TotalVotingPower())
	}
	return spoke
}

func (c *cluster) index(id staking.NodeID) (int, bool) {
	for i, m := range c.members {
		if m.id() == id {
			return i, true
		}
	}
	return 0, false
}

// sameBlocks checks that members have seen the same blocks up to a height, all that is
// carried in them, and that no member was refused.
func (c *cluster) sameBlocks(t *testing.T, list []*lives, height unit.Height, wants func(unit.Height) ledger.Wants) {
	t.Helper()
	for h := unit.Height(1); h <= height; h++ {
		first, ok := list[0].block(h)
		if !ok {
			t.Fatalf("node 0 lacks block %d", h)
		}
		c.carries(t, 0, first, wants)
		for i, l := range list {
			if b, ok := l.block(h); !ok || !reflect.DeepEqual(b, first) {
				t.Errorf("block %d: node %d has %+v (%v), node 0 %+v", h, i, b, ok, first)
			}
		}
	}
	for i, l := range list {
		l.mu.Lock()
		if len(l.refused) > 0 {
			t.Errorf("node %d refused %v", i, l.refused)
		}
		if l.spoken == 0 {
			t.Errorf("node %d never said anything", i)
		}
		if l.names == 0 {
			t.Errorf("node %d takes any name for the proposer's", i)
		}
		l.mu.Unlock()
	}
}

// Three begin; the fourth comes when rounds have passed, learns their blocks from the
// others, and speaks from then on.
func TestExtensionsArriveWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	list := c.challenged(short)
	ctx := within(t)
	c.start(0, 1, 2)
	c.reach(ctx, 0, 2*cycle-4)
	c.start(3)
	c.pay(ctx, 3, 0) // a transaction beside transaction 0, or not
	at := c.members[3].chain.machine.Height()
	for spoke := false; !spoke; at++ {
		c.reach(ctx, 0, at)
		b, _ := list[0].block(at)
		spoke = short(at).Carry && c.carries(t, 0, b, short)[c.members[3].id()]
	}
	for i := range c.members {
		c.reach(ctx, i, at+cycle)
	}
	c.sameBlocks(t, list, at+cycle, short)
}

// Whichever block of a round it is: a validator that stops with it, orderly or as if its disk were
// gone, takes up where it was.
func TestAValidatorRestartsInAnyWindow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	list := c.challenged(short)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c.start(0, 1, 2, 3)
	h := unit.Height(2)
	for k, at := range []uint64{2, 3, 4, 5, 6, 7, 8, 9, 10} {
		i := k % 4
		m := c.members[i]
		for h = m.chain.machine.Height() + 1; h%cycle != unit.Height(at); h++ {
		}
		c.reach(ctx, i, h)
		if k%2 == 0 {
			c.stop(i)
		} else {
			m.chain.db.Close()
			_ = m.end() // with a reason; what is written stays
			m.stop = nil
			m.host.Close()
		}
		c.start(i)
		c.reach(ctx, i, h+3)
	}
	for i := range c.members {
		c.reach(ctx, i, h+cycle)
	}
	c.sameBlocks(t, list, h+cycle, short)
	// All of them at once, in the middle of the reveals.
	for h = h + cycle; h%cycle != 4; h++ {
	}
	c.reach(ctx, 0, h)
	for i := range c.members {
		c.stop(i)
	}
	c.start(0, 1, 2, 3)
	for i := range c.members {
		c.reach(ctx, i, h+cycle)
	}
	c.sameBlocks(t, list, h+cycle, short)
}

// Validators come and go with an epoch; the voters on a block are of the set of that block.
func TestExtensionsAreOfTheValidatorsOfTheBlockBefore(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 5)
	c.genesis.Params.RoundBlocks, c.genesis.Params.RoundsPerEpoch = 10, 1
	c.genesis.Nodes[4].Bond = 15_000 * token.WAL // few shards, so that all of them move at once
	list := c.challenged(always)
	ctx := within(t)
	c.start(0, 1, 2, 3, 4)
	leaves := c.members[4].id()
	tx := ledger.Sign(c.wallet, c.genesis.ChainID(), 0, token.WAL/10, ledger.Unbond{Node: leaves, Amount: c.genesis.Nodes[4].Bond - token.WAL})
	r, err := c.members[0].chain.Submit(ctx, tx)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	gone := func(h unit.Height) bool {
		power, _ := c.members[0].power(t, h, c.members[4].address())
		return power == 0
	}
	h, changes := unit.Height(3), 0
	for c.reach(ctx, 0, h+1); !gone(h); h++ {
		c.reach(ctx, 0, h+2)
	}
	c.reach(ctx, 0, h+6)
	for k := unit.Height(2); k <= h+5; k++ {
		b, _ := list[0].block(k)
		c.carries(t, 0, b, always)
		before, err := c.members[0].chain.states.LoadValidators(int64(k) - 1)
		if err != nil {
			t.Fatal(err)
		}
		now, err := c.members[0].chain.states.LoadValidators(int64(k))
		if err != nil {
			t.Fatal(err)
		}
		if always(k).Carry && !bytes.Equal(before.Hash(), now.Hash()) {
			changes++
		}
	}
	if changes == 0 {
		t.Errorf("no block up to %d carries votes of another set than its own", h)
	}
}

// malformed is a validator whose votes come late, when the others have agreed already,
// and bring along what no one would take in time.
type malformed struct{ *witness }

func (m malformed) ExtendVote(ctx context.Context, r *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	time.Sleep(80 * time.Millisecond) // in the time that others wait for late votes after a block
	return &abci.ResponseExtendVote{VoteExtension: bytes.Repeat([]byte{0xff}, 600)}, nil
}

func (m malformed) VerifyVoteExtension(context.Context, *abci.RequestVerifyVoteExtension) (*abci.ResponseVerifyVoteExtension, error) {
	return &abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_ACCEPT}, nil
}

// Late votes are counted without a look at what they carry; the block keeps the vote and
// drops that.
func TestALateVoteCannotSmuggleAnything(t *testing.T) {
	c := newCluster(t, 4)
	list := c.challenged(always)
	honest := c.members[3].wrap
	c.members[3].wrap = func(a *app) abci.Application { return malformed{honest(a).(*witness)} }
	ctx := within(t)
	c.start(0, 1, 2, 3)
	address, smuggled := c.members[3].address(), 0
	for h := unit.Height(3); smuggled < 3; h++ {
		c.reach(ctx, 0, h)
		b, _ := list[0].block(h)
		if spoke := c.carries(t, 0, b, always); spoke[c.members[3].id()] {
			t.Fatalf("block %d carries it", h)
		}
		voted := false
		for _, s := range c.members[0].chain.node.BlockStore().LoadBlock(int64(h)).LastCommit.Signatures {
			voted = voted || bytes.Equal(s.ValidatorAddress, address) && s.BlockIDFlag == types.BlockIDFlagCommit
		}
		if voted && always(h).Carry && b.Proposer != c.members[3].id() {
			smuggled++
		}
	}
}
