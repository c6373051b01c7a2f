package light

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

// ErrAhead is returned where all headers seem too old because this machine's clock is ahead
// of the nodes' clocks.
var ErrAhead = errors.New("this machine's clock is ahead of the network's: set it right (NTP does)")

// ErrStill is returned where the newest header of the network is older than headers are
// trusted. No checkpoint helps.
var ErrStill = errors.New("no block of the network is newer than headers are trusted")

const (
	clockAsked = 5 // nodes that are asked for the time
	// clockDiffers is by how much a clock must be ahead of the nodes' to be the cause: a
	// minute is a wrong clock, and ages no header by weeks.
	clockDiffers = 10 * time.Minute
)

// timekeeper asks a node for its clock; p2p.Host does.
type timekeeper interface {
	AskDialback(ctx context.Context, p peer.ID, addresses []string) (p2p.Dialback, error)
}

// expired finds out why every trusted header is too old: this process has not looked for
// long, its clock is ahead, or the network stands still. The newest header of all nodes and
// the nodes' clocks tell these apart. They are unproven, and serve for the message alone.
func (r *Remote) expired(ctx context.Context, cause error) error {
	newest, ahead := r.times(ctx)
	now := r.follow.now()
	age := now.Sub(newest)
	if newest.IsZero() || age <= r.follow.period {
		return cause
	}
	stands := fmt.Sprintf("the newest block of the network is of %s, %s ago by this machine's clock; headers are trusted for %s", newest.UTC().Format(time.RFC3339), age.Round(time.Second), r.follow.period)
	if len(ahead) == 0 {
		return fmt.Errorf("%w: %s: look at this machine's clock (it says %s) first; if it is right, the network stands still, and its operators know more", ErrStill, stands, now.UTC().Format(time.RFC3339))
	}
	slices.Sort(ahead)
	median := ahead[len(ahead)/2]
	if median > clockDiffers {
		return fmt.Errorf("%w: by %s, as %d nodes have the time; it says %s", ErrAhead, median.Round(time.Second), len(ahead), now.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("%w: %s: the network stands still; the clock is right, as %d nodes have the time: ask the network's operators", ErrStill, stands, len(ahead))
}

// times is the time of the newest header of any node, and the difference by which this
// machine's clock is ahead of each node's.
func (r *Remote) times(ctx context.Context) (newest time.Time, ahead []time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	off := time.Until(r.follow.now()) // not zero where a test has set the clock
	var mu sync.Mutex                 // guards newest and ahead
	var asked sync.WaitGroup
	list := r.candidates()
	for _, p := range list[:min(len(list), clockAsked)] {
		asked.Go(func() {
			if b, err := r.lightBlock(ctx, p, 0); err == nil {
				mu.Lock()
				if b.Time.After(newest) {
					newest = b.Time
				}
				mu.Unlock()
			}
			if clock, ok := r.host.(timekeeper); ok {
				if d, err := clock.AskDialback(ctx, p, nil); err == nil {
					mu.Lock()
					ahead = append(ahead, off-d.Clock)
					mu.Unlock()
				}
			}
		})
	}
	asked.Wait()
	return newest, ahead
}
