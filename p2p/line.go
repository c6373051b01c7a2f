package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
)

// lineIdle is how long a line stands on which nothing is asked: less than the other
// side's patience, so that a question seldom meets a stream that is being closed.
const lineIdle = standLimit / 2

// line is a standing stream of the ledger protocol to one peer, at the side that
// asks. Many ask on it at the same time.
type line struct {
	s     *session
	out   chan outgoingFrame
	room  chan struct{} // one for each question that waits
	ended chan struct{} // closed with err set

	mu      sync.Mutex // guards the fields below
	next    uint64
	waiting map[uint64]chan answer
	err     error // why it ended
}

// answer is what came back to one question.
type answer struct {
	body []byte
	err  error
}

// lines is the host's lines, at most one to a peer.
type lines struct {
	mu     sync.Mutex // guards the fields below
	peers  map[peer.ID]*line
	opens  map[peer.ID]chan struct{} // held by the caller that opens one
	closed bool
	run    sync.WaitGroup // two goroutines a line
}

var errHostClosed = errors.New("the host is closed")

// AskLedger puts one question to a peer, on the line that stands or a new one. A
// line may have ended since it was last used: then the question is put once more,
// which is harmless for every question there is.
func (h *Host) AskLedger(ctx context.Context, p peer.ID, ask Ask, body []byte) ([]byte, error) {
	limit := readLimit
	if ask.submits() {
		limit = submitLimit + 5*time.Second
	}
	silent := fmt.Errorf("no answer within %s", limit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silent)
	defer cancel()
	for {
		l, fresh, err := h.line(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", p, err)
		}
		began := time.Now()
		got, err := l.ask(ctx, ask, body)
		if err == nil && !ask.submits() { // which waits for a block
			h.distance.note(time.Since(began))
		}
		if err != nil && !fresh && ctx.Err() == nil && l.isOver() {
			continue
		}
		if errors.Is(err, silent) {
			l.end(err) // the next question finds out whether the peer is there at all
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", p, err)
		}
		return got, nil
	}
}

// line is the standing line to p; fresh says that it was just opened.
func (h *Host) line(ctx context.Context, p peer.ID) (l *line, fresh bool, err error) {
	for {
		h.lines.mu.Lock()
		if h.lines.closed {
			h.lines.mu.Unlock()
			return nil, false, errHostClosed
		}
		if l := h.lines.peers[p]; l != nil && !l.isOver() {
			h.lines.mu.Unlock()
			return l, false, nil
		}
		opening, busy := h.lines.opens[p]
		if !busy {
			h.lines.opens[p] = make(chan struct{})
			h.lines.mu.Unlock()
			l, err := h.openLine(ctx, p)
			return l, true, err
		}
		h.lines.mu.Unlock()
		select {
		case <-opening:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// openLine opens a line; the caller has put itself into opens.
func (h *Host) openLine(ctx context.Context, p peer.ID) (*line, error) {
	s, err := h.open(ctx, p, nil, LedgerProtocol)
	h.lines.mu.Lock()
	defer h.lines.mu.Unlock()
	close(h.lines.opens[p])
	delete(h.lines.opens, p)
	if err != nil {
		return nil, err
	}
	if h.lines.closed {
		s.close(errHostClosed)
		return nil, errHostClosed
	}
	l := &line{s: s, out: make(chan outgoingFrame, 64), room: make(chan struct{}, maxWaiting), ended: make(chan struct{}), waiting: map[uint64]chan answer{}}
	h.lines.peers[p] = l
	ctx, cancel := context.WithCancel(h.closing)
	h.lines.run.Go(func() {
		l.end(s.drain(ctx, l.out))
	})
	h.lines.run.Go(func() {
		l.end(l.read())
		cancel()
	})
	return l, nil
}

// closeLines ends all lines and waits for what runs on them.
func (h *Host) closeLines() {
	h.lines.mu.Lock()
	h.lines.closed = true
	for _, l := range h.lines.peers {
		l.end(errHostClosed)
	}
	h.lines.mu.Unlock()
	h.lines.run.Wait()
}

// end closes the line for a reason; only the first counts.
func (l *line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if l.err = err; err == nil {
		l.err = errHostClosed
	}
	l.s.stream.Reset()
	close(l.ended)
}

func (l *line) isOver() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *line) ask(ctx context.Context, ask Ask, body []byte) ([]byte, error) {
	select {
	case l.room <- struct{}{}:
		defer func() { <-l.room }()
	case <-l.ended:
		return nil, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	back := make(chan answer, 1)
	l.mu.Lock()
	number := l.next
	l.next++
	l.waiting[number] = back
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, number)
	}()
	select {
	case l.out <- outgoingFrame{kind: kindAsk, body: askFrame{Number: number, Ask: ask, Body: body}}:
	case <-l.ended:
		return nil, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case a := <-back:
		return a.body, a.err
	case <-l.ended:
		return nil, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// read hands answers to the callers that asked. Answers that no caller awaits are dropped.
func (l *line) read() error {
	for {
		k, body, err := l.s.receive(lineIdle)
		if err != nil {
			return fmt.Errorf("the line ended: %w", err)
		}
		number, a, err := decodeAnswer(k, body)
		if err != nil {
			return err
		}
		l.mu.Lock()
		back := l.waiting[number]
		delete(l.waiting, number)
		l.mu.Unlock()
		if back != nil {
			back <- a
		}
	}
}

func decodeAnswer(k kind, body []byte) (number uint64, a answer, err error) {
	switch k {
	case kindAnswer:
		var f answerFrame
		err = canon.Decode(body, &f)
		return f.Number, answer{body: f.Body}, err
	case kindNo:
		var f noFrame
		err = canon.Decode(body, &f)
		return f.Number, answer{err: f.Refusal.cleaned()}, err
	}
	return 0, answer{}, fmt.Errorf("frame of kind %d where an answer was due", k)
}

// distance is how far away the nodes are that this host asks: a round trip, smoothed.
type distance struct{ nanoseconds atomic.Int64 }

func (d *distance) note(trip time.Duration) {
	const weight = 4 // of what was seen before, against one for the newest
	if was := d.nanoseconds.Load(); was != 0 {
		trip = (weight*time.Duration(was) + trip) / (weight + 1)
	}
	d.nanoseconds.Store(int64(max(trip, 1)))
}

// Distance is the time of a round trip to the nodes that answered questions about the
// ledger, about; zero where none was asked.
func (h *Host) Distance() time.Duration { return time.Duration(h.distance.nanoseconds.Load()) }
