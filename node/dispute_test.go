package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// judging is a network whose ledger asks, and whose nodes vote yes on everything, as
// this test has them do: what they have really heard is not asked.
func judging(t *testing.T) *network {
	n := startNetworkOf(t, 4, 10, func(p *ledger.Params) {
		p.Challenged = true
		p.Challenge = challenge.Default()
		p.Challenge.Start, p.Challenge.Freeze, p.Challenge.Deadline, p.Challenge.Attest, p.Challenge.Pull = 5, 5, 2, 2, 1
		p.Challenge.Late, p.Challenge.Second = 5, 6
		p.RoundBlocks, p.RoundsPerEpoch = 120, 4
		p.BlockMs = 100
	})
	n.meet()
	return n
}

// meet waits until every node hears every other: no block waits for that here.
func (n *network) meet() {
	n.t.Helper()
	alone := func() int {
		for i, x := range n.nodes {
			if len(x.node.rounds.gossip.Peers(x.node.rounds.topic)) < len(n.nodes)-1 {
				return i
			}
		}
		return -1
	}
	for range 1500 {
		if alone() < 0 {
			return
		}
		time.Sleep(20 * time.Millisecond) // dials between real hosts
	}
	n.t.Fatalf("node %d does not hear all others", alone())
}

// block runs one with what it must carry.
func (n *network) block(pending []ledger.VoteExtension) []ledger.VoteExtension {
	n.t.Helper()
	m := n.ledger.Machine()
	w, err := m.Wants(m.Height() + 1)
	if err != nil {
		n.t.Fatal(err)
	}
	var b ledger.Block
	if w.Carry {
		b.Extensions = pending
	}
	if w.Last {
		s := n.nodes[0].secret
		b.Proposer, b.Last = staking.NodeID(s.Key().Public()), s.BLSKey().Sign(challenge.LastMessage(n.ledger.ChainID(), w.Round))
	}
	var votes []ledger.VoteExtension
	for _, r := range n.nodes {
		v := ledger.VoteExtension{Node: staking.NodeID(r.secret.Key().Public()), Power: 1}
		switch {
		case w.Reveal:
			v.Extension = challenge.NewReveal(n.ledger.ChainID(), r.secret.BLSKey(), w.Round).Encode()
		case w.Closer == v.Node:
			v.Extension = challenge.NewClosing(n.ledger.ChainID(), r.secret.BLSKey(), w.Round, w.Turn).Encode()
		case w.Attest:
			v.Extension = challenge.NewAttest(w.Round, true, blob.Hash{}, []byte{0xff, 3}).Encode()
		}
		votes = append(votes, v)
	}
	if _, err := n.ledger.Run(b); err != nil {
		n.t.Fatal(err)
	}
	return votes
}

// tallied runs until a round is over whose proofs all nodes have heard.
func (n *network) tallied() ledger.RoundState {
	n.t.Helper()
	var votes []ledger.VoteExtension
	for range 1000 {
		votes = n.block(votes)
		r, known, err := n.view().Round()
		if err != nil {
			n.t.Fatal(err)
		}
		if known && r.Drawn && r.Over {
			return r
		}
		if known && r.Drawn {
			n.heard(r)
		}
	}
	n.t.Fatal("no round was tallied")
	return ledger.RoundState{}
}

// heard waits until every node has every shard's proof.
func (n *network) heard(r ledger.RoundState) {
	n.t.Helper()
	missing := func() int {
		for i, x := range n.nodes {
			h := x.node.rounds.hearing(r.Round)
			for s := range n.genesis.Params.Shards {
				if h == nil {
					return i
				}
				if _, ok := h.body(blob.Shard(s)); !ok {
					return i
				}
			}
		}
		return -1
	}
	for range 1500 {
		if missing() < 0 {
			return
		}
		time.Sleep(20 * time.Millisecond) // proofs travel between real hosts
	}
	n.t.Fatalf("node %d has not heard every proof of round %d", missing(), r.Ordinal)
}

func (n *network) view() ledger.View {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return v
}

func (n *network) disputes(r ledger.RoundState, s blob.Shard) {
	n.t.Helper()
	acc, err := n.view().Account(n.wallet.Address())
	if err != nil {
		n.t.Fatal(err)
	}
	receipt, err := n.ledger.Submit(context.Background(), ledger.Sign(n.wallet, n.ledger.ChainID(), acc.Nonce, token.WAL/10, ledger.Dispute{Ordinal: r.Ordinal, Shard: s}))
	if err := errors.Join(err, receipt.Err()); err != nil {
		n.t.Fatal(err)
	}
}

// decided runs blocks until a dispute is, as slowly as a node needs to answer it.
func (n *network) decided(r ledger.RoundState, s blob.Shard) ledger.DisputeRecord {
	n.t.Helper()
	for range 1000 {
		d, known, err := n.view().Dispute(r.Ordinal, s)
		if err != nil || !known {
			n.t.Fatal(known, err)
		}
		if d.State != ledger.DisputeOpen {
			return d
		}
		n.block(nil)
		time.Sleep(100 * time.Millisecond) // the pace of blocks
	}
	n.t.Fatal("never decided")
	return ledger.DisputeRecord{}
}

func (n *network) holder(s blob.Shard) int {
	n.t.Helper()
	c, err := n.view().Committee(0)
	if err != nil {
		n.t.Fatal(err)
	}
	for i, r := range n.nodes {
		if staking.NodeID(r.secret.Key().Public()) == c.Holder[s] {
			return i
		}
	}
	n.t.Fatalf("nobody holds shard %d", s)
	return 0
}

func (n *network) earned(i int) token.Amount {
	n.t.Helper()
	acc, err := n.view().Account(payout(n.nodes[i].secret))
	if err != nil {
		n.t.Fatal(err)
	}
	return acc.Balance
}

// A dispute is answered by the holder; without it, by another that has heard the proof;
// and a holder that has forgotten what it sent proves anew.
func TestNodesAnswerDisputesByThemselves(t *testing.T) {
	n := judging(t)
	r := n.tallied()
	first := blob.Shard(0)
	n.disputes(r, first)
	if d := n.decided(r, first); d.State != ledger.DisputeAnswered {
		t.Fatalf("%+v", d)
	}
	part := n.genesis.Params.Challenge.DisputeBond / 10
	holder, sum := n.holder(first), token.Amount(0)
	for i := range n.nodes {
		sum += n.earned(i)
	}
	if sum != part {
		t.Fatalf("who answered has %s", sum)
	}

	// Who disputes it now finds its holder restarted.
	var second blob.Shard
	for second = 1; n.holder(second) != holder; second++ {
	}
	before := n.earned(holder)
	for i := range n.nodes {
		n.stop(i)
	}
	n.start(holder)
	n.disputes(r, second)
	if d := n.decided(r, second); d.State != ledger.DisputeAnswered || n.earned(holder) != before+part {
		t.Fatalf("%+v, the holder has %s", d, n.earned(holder))
	}
}

func TestOthersAnswerForAHolderThatIsAway(t *testing.T) {
	n := judging(t)
	r := n.tallied()
	const shard = 3
	holder := n.holder(shard)
	heard := 0
	for i, x := range n.nodes {
		if h := x.node.rounds.hearing(r.Round); i != holder && h != nil {
			if _, ok := h.body(shard); ok {
				heard++
			}
		}
	}
	if heard == 0 {
		t.Fatal("nobody has heard the proof")
	}
	n.stop(holder)
	// One of them forgets, and asks the others.
	again := (holder + 1) % len(n.nodes)
	n.stop(again)
	n.start(again)
	found := errNoBody
	for range 100 {
		if _, found = n.nodes[again].node.rounds.defences.proof(t.Context(), n.view(), disputed{r.Ordinal, shard}); found == nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // until it has met the others
	}
	if found != nil {
		t.Fatal(found)
	}
	n.disputes(r, shard)
	d := n.decided(r, shard)
	if d.State != ledger.DisputeAnswered || n.earned(holder) != 0 {
		t.Fatalf("%+v", d)
	}
	if d.Closed <= d.Opened+1 {
		t.Errorf("answered in block %d, opened in %d: the others wait for the holder", d.Closed, d.Opened)
	}
}

// A node that proves nothing shows nothing in a dispute either.
func TestTheConductProvesInDisputesToo(t *testing.T) {
	n := judging(t)
	r := n.tallied()
	const shard = 3
	holder := n.holder(shard)
	for _, silent := range []bool{true, false} {
		n.stop(holder) // it forgets what it sent
		n.nodes[holder].conduct = Conduct{}
		if silent {
			n.nodes[holder].conduct.Prove = func(context.Context, Part) ([]challenge.Proof, []blob.Shard) { return nil, nil }
		}
		n.start(holder)
		p, err := n.nodes[holder].node.rounds.defences.proof(t.Context(), n.view(), disputed{r.Ordinal, shard})
		if errors.Is(err, errNoBody) != silent || !silent && (err != nil || p.Shard != shard || p.Round != r.Round) {
			t.Errorf("silent: %v: %+v, %v", silent, p, err)
		}
	}
}
