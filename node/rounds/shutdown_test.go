package rounds

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// mute is a ledger that does not answer what is sent to it.
type mute struct {
	Ledger
	asked chan struct{} // closed when it was
	gave  chan error    // why the asker gave up
}

func (m *mute) Submit(ctx context.Context, _ []byte) (ledger.TxReceipt, error) {
	close(m.asked)
	<-ctx.Done()
	m.gave <- context.Cause(ctx)
	return ledger.TxReceipt{}, ctx.Err()
}

// another is a participant that does not run yet.
func (n *network) another(l Ledger) *Participant {
	n.t.Helper()
	return New(n.config(0, n.stranger(9), l))
}

// An accusation that the ledger does not answer must not keep a node that shuts down: it
// ends with Run, not when its own time is over.
func TestAnAccusationEndsWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		r := n.tallied()
		silent := &mute{Ledger: n.ledger, asked: make(chan struct{}), gave: make(chan error, 1)}
		one := n.another(silent)
		ctx, cancel := context.WithCancel(t.Context())
		const shard = 3
		if _, err := one.open(n.view(), r, true); err != nil {
			t.Fatal(err)
		}
		p := challenge.Proof{Round: r.Round, Shard: shard, Beacon: challenge.Beacon{1}}
		p.Signature = n.nodes[n.holder(shard)].secret.Key().Sign(challenge.ProofMessage(n.ledger.ChainID(), p))
		message := challenge.Message{Proof: p}
		if verdict := one.handler(ctx)(t.Context(), "", message.Encode()); verdict != p2p.Reject {
			t.Fatal(verdict)
		}
		<-silent.asked
		ran := make(chan error)
		go func() { ran <- one.Run(ctx) }() // begun now: it would close the inbox of a round that is over
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := <-silent.gave; !errors.Is(err, context.Canceled) {
			t.Errorf("it waited until %v", err)
		}
	})
}

// Early proofs that no inbox takes must not keep a node that shuts down either: here the
// gossip never begins.
func TestEarlyProofsEndWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, func(*ledger.Params) {})
		r := n.another(n.ledger)
		ctx, end := context.WithCancel(t.Context())
		b := newInbox(n.ledger.ChainID(), ledger.RoundState{Round: challenge.RoundID{Epoch: 1, Round: 2}, Drawn: true}, ledger.Committee{}, ledger.Params{}, true)
		r.early[earlyKey{b.state.Round, 1}] = []byte("early")
		r.takeEarly(ctx, b)
		end()
		r.tasks.Wait()
	})
}
