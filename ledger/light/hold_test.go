package light

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// stallingTown is a town whose first node is slow, and whose last one answers at once with
// what no check can end: it leaves out the headers and is silent when it is asked for them.
type stallingTown struct {
	*town
	slow time.Duration
}

func (s stallingTown) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	last := p == s.name(len(s.nodes)-1)
	switch {
	case last && ask == p2p.AskLight:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case last && ask == p2p.AskProve:
		raw, err := s.nodes[0].prove(body)
		var a proveAnswer
		if err == nil {
			err = canon.Decode(raw, &a)
		}
		a.Headers = nil
		return canon.Encode(a), err
	case !last:
		select {
		case <-time.After(s.slow):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return s.town.AskLedger(ctx, p, ask, body)
}

// listingTown is a town whose first node lists keys, and is silent when it shall prove them.
type listingTown struct{ *town }

func (l listingTown) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	if p == l.name(0) && ask == p2p.AskProve {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return l.town.AskLedger(ctx, p, ask, body)
}

// A node that proves nothing of what it listed is not waited for longer than for an answer.
func TestAPageThatIsNotProvenHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, "test", 20)
	synctest.Test(t, func(t *testing.T) {
		l := listingTown{&town{nodes: []oracle{w.whole, w.whole}}}
		r := NewRemote(l, w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
		v, err := r.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began, nodes := time.Now(), 0
		err = v.EachNode(func(ledger.NodeRecord) error { nodes++; return nil })
		if took, most := time.Since(began), stagger+patience; err != nil || nodes != 4 || took > most {
			t.Errorf("%d nodes after %s, at most %s: %v", nodes, took, most, err)
		}
		if len(l.blamed) > 0 {
			t.Errorf("blamed: %v", l.blamed)
		}
	})
}

// A node whose answer takes for ever to check keeps no other's answer from being taken.
func TestAnAnswerThatCannotBeCheckedHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, "test", 20)
	synctest.Test(t, func(t *testing.T) {
		s := stallingTown{&town{nodes: []oracle{w.whole, w.whole}}, 2 * time.Second}
		r := NewRemote(s, w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
		began := time.Now()
		_, err := firstLook(t.Context(), r)
		if took := time.Since(began); err != nil || took != s.slow {
			t.Errorf("%s, want %s: %v", took, s.slow, err)
		}
		if len(s.blamed) > 0 {
			t.Errorf("blamed: %v", s.blamed)
		}
	})
}
