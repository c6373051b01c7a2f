package fetch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// Fetcher gets verified fragments and symbols from the members that answer. It keeps
// lines open between calls, and questions to one member share them. All methods may be
// called at the same time.
type Fetcher struct {
	host  *p2p.Host
	hedge time.Duration // silence after which a query goes to further members too

	received atomic.Int64 // bytes, framing included

	mu    sync.Mutex // guards the fields below
	lines map[way]*lines
	down  map[peer.ID]time.Time // time of the peer's last failure
}

// way is a member and what is asked of it: answers of many bytes have lines of their own.
type way struct {
	peer  peer.ID
	heavy bool
}

// lines is the open lines to one member.
type lines struct {
	open    []*p2p.FragmentLine
	opening int
	changed chan struct{} // closed when opening falls
	heard   time.Time     // time of the last line that was opened
}

const (
	defaultHedge = 400 * time.Millisecond
	patientHedge = time.Second      // of a fetcher to which bytes count more than moments
	maxLines     = 4                // per peer; a node grants a peer 8 streams
	maxAttempts  = 2 * maxLines     // of a question, on lines that end before they bring an answer
	downFor      = 10 * time.Second // after a failure a peer is asked last for this long
)

// New makes a Fetcher that dials through host. The host stays the caller's.
func New(host *p2p.Host) *Fetcher {
	return &Fetcher{host: host, hedge: defaultHedge, lines: map[way]*lines{}, down: map[peer.ID]time.Time{}}
}

// NewPatient makes a Fetcher like New that waits longer before it asks for the same bytes
// once more.
func NewPatient(host *p2p.Host) *Fetcher {
	f := New(host)
	f.hedge = patientHedge
	return f
}

// connectTrips is the round trips that a member is away that must be dialed first: three
// for TCP with TLS. The answer is one more, and another question is asked in that time.
const connectTrips = 3

// quietFor is the silence after which a query goes to further members too: the hedge
// time, and the time in which a member that is as far away as the nodes of the ledger can
// be dialed.
func (f *Fetcher) quietFor() time.Duration { return f.hedge + connectTrips*f.host.Distance() }

// Received is the number of bytes fetched since New, framing included.
func (f *Fetcher) Received() int64 { return f.received.Load() }

// Avoids says whether a peer is asked last because it sent wrong bytes.
func (f *Fetcher) Avoids(p peer.ID) bool { return f.host.Avoided(p) }

// Close ends the lines that are kept open. No other method may be under way.
func (f *Fetcher) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, to := range f.lines {
		for _, l := range to.open {
			l.End()
		}
	}
	f.lines = map[way]*lines{}
}

// with runs do over a line to m. It runs do again where the line ended before it brought
// an answer. A member that fails is asked last for downFor; the end of ctx does not count
// as a failure. heavy says that the answers have many bytes.
func (f *Fetcher) with(ctx context.Context, m Member, heavy bool, do func(*p2p.FragmentLine) error) error {
	began := time.Now()
	var err error
	for range maxAttempts {
		var l *p2p.FragmentLine
		if l, err = f.line(ctx, m, heavy); err == nil {
			err = do(l)
		}
		if err == nil {
			if f.downSince(m.Peer).Before(began) { // what it failed meanwhile stays
				f.mark(m.Peer, false)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, p2p.ErrLineEnded) {
			break
		}
	}
	f.mark(m.Peer, true)
	return err
}

// judge blames a member for an answer that an honest program never gives.
func (f *Fetcher) judge(m Member, err error) {
	if errors.Is(err, blob.ErrMismatch) || errors.Is(err, p2p.ErrProtocol) {
		f.host.Blame(m.Peer, err)
	}
}

// line is the line to m on which the fewest questions wait. A line is opened while all
// are busy and there are fewer than maxLines; one is enough for many bytes, which come in
// order over it.
func (f *Fetcher) line(ctx context.Context, m Member, heavy bool) (*p2p.FragmentLine, error) {
	most, open := maxLines, f.host.FragmentLine
	if heavy {
		most, open = 1, f.host.BulkLine
	}
	f.mu.Lock()
	to := f.lines[way{m.Peer, heavy}]
	if to == nil {
		to = &lines{changed: make(chan struct{})}
		f.lines[way{m.Peer, heavy}] = to
	}
	for {
		to.open = slices.DeleteFunc(to.open, (*p2p.FragmentLine).Over)
		best := to.idlest()
		few := len(to.open)+to.opening < most
		if best != nil && (best.Load() == 0 || !few) {
			f.mu.Unlock()
			return best, nil
		}
		if few {
			break
		}
		changed := to.changed // all lines there may be are being opened
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		f.mu.Lock()
	}
	to.opening++
	f.mu.Unlock()
	l, err := open(ctx, m.Peer, m.Addrs, &f.received)
	f.mu.Lock()
	defer f.mu.Unlock()
	to.opening--
	close(to.changed)
	to.changed = make(chan struct{})
	if err != nil {
		return nil, err
	}
	to.open, to.heard = append(to.open, l), time.Now()
	return l, nil
}

// heardFrom is the time of the last answer of a peer to any question, or of the last
// line that it took.
func (f *Fetcher) heardFrom(p peer.ID) time.Time { return f.latest(p, (*p2p.FragmentLine).Heard) }

// aliveAt is heardFrom, with each byte of an answer a sign of life.
func (f *Fetcher) aliveAt(p peer.ID) time.Time { return f.latest(p, (*p2p.FragmentLine).Alive) }

func (f *Fetcher) latest(p peer.ID, of func(*p2p.FragmentLine) time.Time) (at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, heavy := range []bool{false, true} {
		to := f.lines[way{p, heavy}]
		if to == nil {
			continue
		}
		if to.heard.After(at) {
			at = to.heard
		}
		for _, l := range to.open {
			if heard := of(l); heard.After(at) {
				at = heard
			}
		}
	}
	return at
}

// idlest is nil where no line is open.
func (to *lines) idlest() *p2p.FragmentLine {
	if len(to.open) == 0 {
		return nil
	}
	return slices.MinFunc(to.open, func(a, b *p2p.FragmentLine) int { return cmp.Compare(a.Load(), b.Load()) })
}

func (f *Fetcher) mark(p peer.ID, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if down {
		f.down[p] = time.Now()
	} else {
		delete(f.down, p)
	}
}

// downSince is the time of the last failure of p, or the time at which it was found slow.
func (f *Fetcher) downSince(p peer.ID) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down[p]
}

// doubtful says whether p is asked after all others.
func (f *Fetcher) doubtful(p peer.ID) bool {
	f.mu.Lock()
	at, down := f.down[p]
	f.mu.Unlock()
	return down && time.Since(at) < downFor || f.host.Avoided(p)
}
