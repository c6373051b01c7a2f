package fetch

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// Fetcher gets verified fragments and symbols from the members that answer. It keeps
// streams open between calls. All methods may be called at the same time.
type Fetcher struct {
	host  *p2p.Host
	hedge time.Duration // silence after which a query goes to further members too

	received atomic.Int64 // bytes, framing included

	mu   sync.Mutex // guards the fields below
	idle map[peer.ID][]*p2p.Link
	down map[peer.ID]time.Time // time of the peer's last failure
}

const (
	defaultHedge = 400 * time.Millisecond
	maxIdle      = 4                // streams kept open per peer
	downFor      = 10 * time.Second // after a failure a peer is asked last for this long
)

// New makes a Fetcher that dials through host. The host stays the caller's.
func New(host *p2p.Host) *Fetcher {
	return &Fetcher{host: host, hedge: defaultHedge, idle: map[peer.ID][]*p2p.Link{}, down: map[peer.ID]time.Time{}}
}

// Received is the number of bytes fetched since New, framing included.
func (f *Fetcher) Received() int64 { return f.received.Load() }

// Avoids says whether a peer is asked last because it sent wrong bytes.
func (f *Fetcher) Avoids(p peer.ID) bool { return f.host.Avoided(p) }

// Close ends the streams that are kept open. No other method may be under way.
func (f *Fetcher) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, links := range f.idle {
		for _, l := range links {
			l.Close(nil)
		}
	}
	f.idle = map[peer.ID][]*p2p.Link{}
}

// with runs do over a stream to m, and keeps the stream for the next call unless do
// fails. The end of ctx interrupts do. A member that fails is asked last for downFor;
// an interruption does not count as a failure.
func (f *Fetcher) with(ctx context.Context, m Member, do func(*p2p.Link) error) error {
	for {
		l, reused, err := f.link(ctx, m)
		if err != nil {
			if ctx.Err() == nil {
				f.mark(m.Peer, true)
			}
			return err
		}
		stop := context.AfterFunc(ctx, l.Interrupt)
		before := l.Received()
		err = do(l)
		got := l.Received() - before
		f.received.Add(got)
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err == nil {
			f.mark(m.Peer, false)
			f.keep(l)
			return nil
		}
		l.Close(err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reused && got == 0 && p2p.IsHangup(err) && !errors.Is(err, os.ErrDeadlineExceeded) {
			continue // the peer had closed the idle stream: try again on a new one
		}
		f.mark(m.Peer, true)
		return err
	}
}

// judge blames a member for an answer that an honest program never gives.
func (f *Fetcher) judge(m Member, err error) {
	if errors.Is(err, blob.ErrMismatch) || errors.Is(err, p2p.ErrProtocol) {
		f.host.Blame(m.Peer, err)
	}
}

func (f *Fetcher) link(ctx context.Context, m Member) (l *p2p.Link, reused bool, err error) {
	f.mu.Lock()
	if links := f.idle[m.Peer]; len(links) > 0 {
		l = links[len(links)-1]
		f.idle[m.Peer] = links[:len(links)-1]
	}
	f.mu.Unlock()
	if l != nil {
		return l, true, nil
	}
	l, err = f.host.Fragments(ctx, m.Peer, m.Addrs)
	return l, false, err
}

func (f *Fetcher) keep(l *p2p.Link) {
	f.mu.Lock()
	full := len(f.idle[l.Peer()]) >= maxIdle
	if !full {
		f.idle[l.Peer()] = append(f.idle[l.Peer()], l)
	}
	f.mu.Unlock()
	if full {
		l.Close(nil)
	}
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

// doubtful says whether p is asked after all others.
func (f *Fetcher) doubtful(p peer.ID) bool {
	f.mu.Lock()
	at, down := f.down[p]
	f.mu.Unlock()
	return down && time.Since(at) < downFor || f.host.Avoided(p)
}
