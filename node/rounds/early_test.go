package rounds

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// early is a message of a round to come, as the holder of a key would sign it.
func (n *network) early(k token.Key, r challenge.RoundID, s blob.Shard) challenge.Message {
	p := challenge.Proof{Round: r, Shard: s}
	p.Signature = k.Sign(challenge.ProofMessage(n.ledger.ChainID(), p))
	return challenge.Message{Proof: p}
}

// What comes before its round is kept if the shard's holder signed it, and nothing else
// is: a stranger's words must neither fill the memory nor take the holder's place.
func TestOnlyTheHoldersProofIsKeptForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		soon := challenge.RoundID{Epoch: r.Round.Epoch, Round: r.Round.Round + 1}
		one := n.nodes[0].part
		holder := n.nodes[n.holder(3)].secret.Key()
		keep := func(what string, m challenge.Message, kept int) {
			t.Helper()
			one.judge(t.Context(), t.Context(), m.Encode())
			one.mu.Lock()
			defer one.mu.Unlock()
			if len(one.early) != kept {
				t.Errorf("%s: %d messages are kept, want %d", what, len(one.early), kept)
			}
		}
		stranger := token.KeyFromSeed([32]byte{99})
		keep("a stranger's", n.early(stranger, soon, 3), 0)
		keep("of no shard", n.early(holder, soon, blob.MaxShards-1), 0)
		keep("of a round far off", n.early(holder, challenge.RoundID{Epoch: soon.Epoch, Round: soon.Round + 50}, 3), 0)
		keep("of an epoch far off", n.early(holder, challenge.RoundID{Epoch: 1 << 40}, 3), 0)
		keep("of a round that was", n.early(holder, challenge.RoundID{Epoch: soon.Epoch, Round: 0}, 3), 0)
		keep("the holder's", n.early(holder, soon, 3), 1)
		keep("the holder's again", n.early(holder, soon, 3), 1)

		one.mu.Lock()
		one.now, one.past = nil, nil // as after a restart
		clear(one.early)
		one.mu.Unlock()
		keep("a stranger's, after a restart", n.early(stranger, soon, 3), 0)
		keep("of a round far off, after a restart", n.early(holder, challenge.RoundID{Epoch: soon.Epoch, Round: soon.Round + 50}, 3), 0)
		keep("the holder's, after a restart", n.early(holder, soon, 3), 1)
	})
}

// A message that comes while its round's inbox is being opened is not kept for later: it
// would wait for a round that will not be opened again.
func TestAMessageOfARoundThatWasJustOpenedIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, func(*ledger.Params) {})
		one := n.another(n.ledger)
		round := challenge.RoundID{Epoch: 1, Round: 2}
		m := n.early(n.nodes[0].secret.Key(), round, 1)
		if b := one.keepEarly(m, m.Encode()); b != nil || len(one.early) != 1 {
			t.Errorf("before its round is open: %v, %d are kept", b, len(one.early))
		}
		clear(one.early)
		one.now = newInbox(n.ledger.ChainID(), ledger.RoundState{Round: round, Drawn: true}, ledger.Committee{}, ledger.Params{}, true)
		if b := one.keepEarly(m, m.Encode()); b != one.now || len(one.early) != 0 {
			t.Errorf("once it is open: %v, %d are kept", b, len(one.early))
		}
	})
}

// A node that signs many false proofs is accused once: the ledger punishes it once for a
// round, and each accusation costs the blocks of all.
func TestALiarIsAccusedOnceForARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		one := n.nodes[0].part
		b := one.inbox(r.Round)
		n.stop(0)
		const shard = 3
		holder := n.nodes[n.holder(shard)].secret.Key()
		b.mu.Lock()
		b.closed = false // while proofs count
		delete(b.entries, shard)
		b.mu.Unlock()
		sent := &counted{Ledger: one.Ledger}
		one.Ledger = sent // nothing of the node runs any more
		for i := range 20 {
			p := challenge.Proof{Round: r.Round, Shard: shard, Beacon: challenge.Beacon{byte(i)}}
			p.Signature = holder.Sign(challenge.ProofMessage(n.ledger.ChainID(), p))
			if one.take(t.Context(), b, challenge.Message{Proof: p}, nil) == nil {
				t.Fatal("it holds")
			}
		}
		one.tasks.Wait()
		if sent.n.Load() != 1 {
			t.Errorf("%d accusations were sent", sent.n.Load())
		}
		if faults(t, n.view()) != 1 {
			t.Errorf("%d faults are on the ledger", faults(t, n.view()))
		}
	})
}

// counted is a ledger that counts what is sent to it.
type counted struct {
	Ledger
	n atomic.Int64
}

func (c *counted) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	c.n.Add(1)
	return c.Ledger.Submit(ctx, tx)
}

func faults(t *testing.T, v ledger.View) (n int) {
	t.Helper()
	if err := v.EachFault(func(ledger.Fault, ledger.FaultRecord) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// A forged proof of a round to come is rejected, as one of this round is: the committee
// is known. What cannot be judged yet is no node's fault.
func TestForgedProofsOfTheNextRoundAreRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		one := n.nodes[0].part
		soon := challenge.RoundID{Epoch: r.Round.Epoch, Round: r.Round.Round + 1}
		stranger := token.KeyFromSeed([32]byte{99})
		if v := one.judge(t.Context(), t.Context(), n.early(stranger, soon, 3).Encode()); v != p2p.Reject {
			t.Errorf("a stranger's: %v", v)
		}
		if v := one.judge(t.Context(), t.Context(), n.early(n.nodes[n.holder(3)].secret.Key(), soon, blob.MaxShards-1).Encode()); v != p2p.Reject {
			t.Errorf("of no shard: %v", v)
		}
		if v := one.judge(t.Context(), t.Context(), n.early(n.nodes[n.holder(3)].secret.Key(), soon, 3).Encode()); v != p2p.Ignore {
			t.Errorf("the holder's: %v", v)
		}
		if v := one.judge(t.Context(), t.Context(), n.early(stranger, challenge.RoundID{Epoch: 1 << 40}, 3).Encode()); v != p2p.Ignore {
			t.Errorf("of an epoch far off: %v", v)
		}
	})
}

// A relay can change the path that leads a proof to its maker's promise. Once the promise
// is on the ledger such a proof counts as missing, and the right one takes its place.
func TestASpoiledPathIsMadeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		one := n.nodes[0].part
		b := one.inbox(r.Round)
		n.stop(0)
		const shard = 3
		raw, ok := b.message(shard)
		if !ok {
			t.Fatal("nothing was heard")
		}
		right, err := challenge.DecodeMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		of := n.nodes[n.holder(shard)].part.inbox(r.Round)
		i, _ := b.committee.Index(b.committee.Holder[shard])
		b.mu.Lock()
		b.votes = []ledger.RoundVote{{Node: uint16(i), Own: of.promise}} // as the ledger has it after the deadline
		b.mu.Unlock()
		spoiled := right
		spoiled.At, spoiled.Of, spoiled.Path = 0, 9, []blob.Hash{{1}, {2}, {3}, {4}}
		b.mu.Lock()
		delete(b.entries, shard)
		b.closed = false // it came while proofs counted
		b.mu.Unlock()
		if err := b.keep(shard, spoiled.Encode()); err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
		if !slices.Contains(b.missing(), shard) {
			t.Error("a proof that cannot be redeemed is not asked for again")
		}
		if err := b.judge(right, raw); err != nil {
			t.Errorf("the right one is not taken: %v", err)
		}
		if got, _ := b.message(shard); !bytes.Equal(got, raw) || slices.Contains(b.missing(), shard) {
			t.Error("the spoiled one is still kept")
		}
		if err := b.judge(spoiled, spoiled.Encode()); err == nil {
			t.Error("the spoiled one came back")
		}
	})
}
