package rounds

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

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
	synctest.Test(t, func(t *testing.T) {
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

		// A dispute opened now finds the shard's holder restarted.
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
	})
}

func TestOthersAnswerForAHolderThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		const shard = 3
		holder := n.holder(shard)
		heard := 0
		for i, x := range n.nodes {
			if h := x.part.inbox(r.Round); i != holder && h != nil {
				if _, ok := h.message(shard); ok {
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
		found := errNoProof
		for range 100 {
			if _, found = n.nodes[again].part.defences.proof(t.Context(), t.Context(), n.view(), disputeID{r.Ordinal, shard}); found == nil {
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
	})
}

// A node that proves nothing shows nothing in a dispute either.
func TestTheConductProvesInDisputesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
			p, err := n.nodes[holder].part.defences.proof(t.Context(), t.Context(), n.view(), disputeID{r.Ordinal, shard})
			if errors.Is(err, errNoProof) != silent || !silent && (err != nil || p.Shard != shard || p.Round != r.Round) {
				t.Errorf("silent: %v: %+v, %v", silent, p, err)
			}
		}
	})
}
