package client

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// Fetcher gets verified fragments and symbols from whoever answers.
type Fetcher struct {
	host  *p2p.Host
	log   *slog.Logger
	hedge time.Duration // how long nothing may come before others are asked too

	streams  atomic.Int64 // opened so far
	received atomic.Int64 // bytes, framing included

	mu   sync.Mutex // guards the fields below
	idle map[peer.ID][]*p2p.Link
	down map[peer.ID]time.Time // when a peer last did not answer
}

const (
	defaultHedge = 400 * time.Millisecond
	maxIdle      = 4                // streams kept open per peer
	downFor      = 10 * time.Second // a peer that did not answer is asked last for so long
)

// NewFetcher fetches over host.
func NewFetcher(host *p2p.Host, log *slog.Logger) *Fetcher {
	return &Fetcher{host: host, log: log, hedge: defaultHedge, idle: map[peer.ID][]*p2p.Link{}, down: map[peer.ID]time.Time{}}
}

// Received is how many bytes were fetched so far, framing included.
func (f *Fetcher) Received() int64 { return f.received.Load() }

// Avoids says whether a peer is asked only when nobody else is left, because it sent
// wrong bytes.
func (f *Fetcher) Avoids(p peer.ID) bool { return f.host.Avoided(p) }

// Close ends the streams that are kept open.
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

// with runs do over a stream to m and keeps the stream for the next call if it
// ended well. The end of ctx interrupts it. Whoever fails is asked last for a while;
// being interrupted says nothing of the peer.
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
			continue // it had been closed while it lay idle: once more on a new one
		}
		f.mark(m.Peer, true)
		return err
	}
}

// judge blames a member whose answer no honest program gives.
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
	f.streams.Add(1)
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

// doubtful says whether p is to be asked only after others.
func (f *Fetcher) doubtful(p peer.ID) bool {
	f.mu.Lock()
	at, down := f.down[p]
	f.mu.Unlock()
	return down && time.Since(at) < downFor || f.host.Avoided(p)
}
