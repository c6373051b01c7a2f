package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What a stranger may ask of the ledger. A question costs 1, and its answer its part of
// answerBytes: to prove and send many keys takes a node 100 times as long as one. A
// transaction costs its part of askBytes.
const (
	asksPerSecond = 50
	asksAtOnce    = 300 // after a pause: a command of a client asks some dozens
	asksMaxDebt   = 10 * asksPerSecond
	askBytes      = 16 << 10
	answerBytes   = 64 << 10 // 3 MiB a second, after 19 MiB
)

// paces slows down peers that ask more than they may: nothing more is read from the
// stream that asks until it may go on.
type paces struct {
	now func() time.Time

	mu sync.Mutex // guards of
	of map[peer.ID]*pace
}

// pace is what a peer has left, as of a moment. It may be in debt.
type pace struct {
	left float64
	at   time.Time
}

func newPaces() *paces { return &paces{now: time.Now, of: map[peer.ID]*pace{}} }

// spend takes from what p may ask, and says how long it has to wait.
func (s *paces) spend(p peer.ID, cost float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.of) > maxScores {
		for p, x := range s.of {
			if x.left+now.Sub(x.at).Seconds()*asksPerSecond >= asksAtOnce {
				delete(s.of, p) // as if it had never asked
			}
		}
	}
	x := s.of[p]
	if x == nil {
		x = &pace{left: asksAtOnce, at: now}
		s.of[p] = x
	}
	x.left = max(-asksMaxDebt, min(asksAtOnce, x.left+now.Sub(x.at).Seconds()*asksPerSecond)-cost)
	x.at = now
	if x.left >= 0 {
		return 0
	}
	return time.Duration(-x.left / asksPerSecond * float64(time.Second))
}

// charge takes the cost of an answer that was made from what a stranger may ask.
func (s *paces) charge(v visitor, cost float64) {
	if v.standing != Member {
		s.spend(v.peer, cost)
	}
}

// slow waits until a stranger may go on.
func (s *paces) slow(ctx context.Context, v visitor, cost float64) error {
	if v.standing == Member {
		return nil
	}
	wait := s.spend(v.peer, cost)
	if wait == 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
