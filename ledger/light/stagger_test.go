package light

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

// distantTown is a town whose first nodes are silent, and whose others are far away.
type distantTown struct {
	*town
	silent int
	away   time.Duration // of a round trip
}

func (d distantTown) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	for i := range d.silent {
		if p == d.name(i) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
	}
	select {
	case <-time.After(d.away):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return d.town.AskLedger(ctx, p, ask, body)
}

// Nodes that are silent cost a second each, at most, not the time that one is waited for.
// Their silence is no lie.
func TestSilentNodesAreNotWaitedFor(t *testing.T) {
	w := newWorld(t, "test", 20)
	for _, silent := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			d := distantTown{&town{nodes: []oracle{w.whole, w.whole, w.whole, w.whole, w.whole}}, silent, 150 * time.Millisecond}
			r := NewRemote(d, w.genesis, RemoteOptions{})
			r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
			began := time.Now()
			_, err := firstLook(t.Context(), r)
			if took, want := time.Since(began), time.Duration(silent)*stagger+d.away; err != nil || took != want {
				t.Errorf("%d silent: %s, want %s: %v", silent, took, want, err)
			}
			if len(d.blamed) > 0 {
				t.Errorf("blamed for silence: %v", d.blamed)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		d := distantTown{&town{nodes: []oracle{w.whole, w.whole, w.whole}}, 3, 0}
		began := time.Now()
		_, err := firstLook(t.Context(), NewRemote(timed{d}, w.genesis, RemoteOptions{}))
		if took, most := time.Since(began), 2*stagger+answerLimit+time.Second; !errors.Is(err, ErrNoNode) || took > most {
			t.Errorf("all silent: %s, at most %s: %v", took, most, err)
		}
	})
}

// connectedTown has a connection to one node only once it has dialed.
type connectedTown struct {
	distantTown
	nearest int
}

func (c connectedTown) Nearest(_ context.Context, peers []peer.ID) peer.ID {
	for _, p := range peers {
		if p == c.name(c.nearest) {
			return p
		}
	}
	return ""
}

// A process that is connected to no node asks the one first that it reaches first: one that
// is silent costs it nothing.
func TestTheNearestNodeIsAskedFirst(t *testing.T) {
	w := newWorld(t, "test", 20)
	synctest.Test(t, func(t *testing.T) {
		d := connectedTown{distantTown{&town{nodes: []oracle{w.whole, w.whole, w.whole, w.whole}}, 2, 150 * time.Millisecond}, 2}
		r := NewRemote(d, w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
		began := time.Now()
		if _, err := firstLook(t.Context(), r); err != nil || time.Since(began) != d.away {
			t.Errorf("%s, want %s: %v", time.Since(began), d.away, err)
		}
	})
}

// answerLimit is how long a host waits for an answer.
const answerLimit = 20 * time.Second

// timed gives up on a node after a while, as a host does.
type timed struct{ distantTown }

func (d timed) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer within %s", answerLimit))
	defer cancel()
	return d.distantTown.AskLedger(ctx, p, ask, body)
}
