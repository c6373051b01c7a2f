package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
)

const (
	// maxUnanswered bounds the questions on a line that have no answer yet.
	maxUnanswered = 256
	// maxDiscarded bounds the bytes, by what was asked for, of an answer that is read and
	// thrown away when its asker has given up. The line ends for a larger one.
	maxDiscarded = 512 << 10
	// discardWait bounds the age of such a question: a peer that answers no faster must
	// not hold up the questions behind it.
	discardWait = 2 * time.Second
)

// ErrLineEnded is returned for a question of which no answer has come when its line
// ended for another reason, such as a peer that closes a stream which rested. The same
// question may be put again on another line.
var ErrLineEnded = errors.New("the stream ended before it brought an answer")

// FragmentLine is a standing stream of FragmentProtocol to one peer, at the side that
// asks. Many goroutines ask on it at the same time: a question is sent at once, whatever
// answers are still to come, and answers come in the order of the questions.
type FragmentLine struct {
	s        *session
	received *atomic.Int64
	out      chan *question // to be sent
	due      chan *question // that are sent, or are about to be, in order
	ended    chan struct{}  // closed once the line takes no further question
	run      sync.WaitGroup // the goroutines that write and read
	load     atomic.Int64   // questions that wait
	heard    atomic.Int64   // Unix nanoseconds of the last answer

	stop sync.Once
}

// question is a request, or several that belong together, with the way to read the answers.
type question struct {
	asked time.Time
	send  func() error
	most  int64 // bytes of all answers at most, about
	read  func(each func(func() error) error) error
	done  chan error // of one

	mu   sync.Mutex // guards gone; held while an answer is handed over
	gone bool       // the asker takes no further answer
}

// FragmentLine opens a line to p. addrs are hints. received counts the bytes that come
// over the line, framing included. The caller ends the line.
func (h *Host) FragmentLine(ctx context.Context, p peer.ID, addrs []string, received *atomic.Int64) (*FragmentLine, error) {
	s, err := h.open(ctx, p, addrs, FragmentProtocol)
	if err != nil {
		return nil, err
	}
	return newFragmentLine(s, received), nil
}

// BulkLine is FragmentLine for answers of many bytes.
func (h *Host) BulkLine(ctx context.Context, p peer.ID, addrs []string, received *atomic.Int64) (*FragmentLine, error) {
	s, err := h.openBulk(ctx, p, addrs, FragmentProtocol)
	if err != nil {
		return nil, err
	}
	return newFragmentLine(s, received), nil
}

func newFragmentLine(s *session, received *atomic.Int64) *FragmentLine {
	l := &FragmentLine{s: s, received: received, out: make(chan *question, maxUnanswered), due: make(chan *question, maxUnanswered),
		ended: make(chan struct{})}
	l.run.Go(l.writeAll)
	l.run.Go(l.readAll)
	return l
}

// Peer is the peer at the other end.
func (l *FragmentLine) Peer() peer.ID { return l.s.peer() }

// Load is the number of questions that wait for an answer.
func (l *FragmentLine) Load() int { return int(l.load.Load()) }

// Heard is the time of the last answer to any question; zero: none has come.
func (l *FragmentLine) Heard() (at time.Time) {
	if ns := l.heard.Load(); ns != 0 {
		at = time.Unix(0, ns)
	}
	return at
}

// Alive is the time of the last byte that came; zero: none has.
func (l *FragmentLine) Alive() (at time.Time) {
	if ns := l.s.heard.Load(); ns != 0 {
		at = time.Unix(0, ns)
	}
	return at
}

// Over says whether the line takes no further question.
func (l *FragmentLine) Over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// End ends the line, and the questions that wait with ErrLineEnded. It returns when the
// line is still.
func (l *FragmentLine) End() {
	if l.Load() == 0 {
		calm := false
		l.stop.Do(func() { close(l.ended); calm = true })
		if calm {
			l.s.stream.Close() // may wait for the peer, and nothing must wait for l.stop meanwhile
		}
	}
	l.end()
	l.run.Wait()
}

// end ends the line at once, so that nothing half-said is read on.
func (l *FragmentLine) end() { l.stop.Do(func() { close(l.ended); l.s.stream.Reset() }) }

// ask puts a question, and returns when all of it is answered.
func (l *FragmentLine) ask(ctx context.Context, q *question) error {
	l.load.Add(1)
	defer l.load.Add(-1)
	q.asked, q.done = time.Now(), make(chan error, 1)
	select {
	case l.out <- q:
	case <-l.ended:
		return ErrLineEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-q.done:
		return err
	case <-ctx.Done():
		q.leave()
		if q.most > maxDiscarded || time.Since(q.asked) > discardWait {
			l.end()
		}
		return ctx.Err()
	case <-l.ended:
		q.leave()
		select {
		case err := <-q.done:
			return err
		default:
			return ErrLineEnded
		}
	}
}

// writeAll sends questions until the line ends. Those that are put at the same time go
// out in one write: where packets get lost, fewer of them carry more.
func (l *FragmentLine) writeAll() {
	defer l.end()
	for {
		select {
		case q := <-l.out:
			if !l.write(q) {
				return
			}
		case <-l.ended:
			return
		}
	}
}

// write sends a question and those that are ready behind it. The reader finds out what
// came of them.
func (l *FragmentLine) write(q *question) bool {
	for {
		select {
		case l.due <- q:
		case <-l.ended:
			return false
		}
		if err := q.send(); err != nil {
			return false
		}
		select {
		case q = <-l.out:
		default:
			return l.s.flush() == nil
		}
	}
}

// leave returns when no answer is being handed over, and none will be.
func (q *question) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = true
}

// readAll reads the answers to one question after the other, until the line ends.
func (l *FragmentLine) readAll() {
	defer l.end()
	for {
		select {
		case q := <-l.due:
			if !l.readOne(q) {
				return
			}
		case <-l.ended:
			return
		}
	}
}

// readOne reads the answers to a question. It says whether the line is fit for the next.
func (l *FragmentLine) readOne(q *question) bool {
	before := l.s.received
	last := before
	var refused error // by the asker
	err := q.read(func(hand func() error) error {
		l.received.Add(l.s.received - last)
		last = l.s.received
		l.heard.Store(time.Now().UnixNano())
		q.mu.Lock()
		defer q.mu.Unlock()
		if !q.gone {
			refused = hand()
		}
		return refused
	})
	l.received.Add(l.s.received - last)
	if err != nil && refused == nil && l.s.received == before && (errors.Is(err, io.EOF) || !errors.Is(err, os.ErrDeadlineExceeded) && IsHangup(err)) {
		err = fmt.Errorf("%w: %w", ErrLineEnded, err)
	}
	q.done <- err
	return err == nil || refused == nil && IsRefusal(err, CodeWait)
}

// Piece is an answer to a request for fragments: what one place holds of one stripe.
type Piece struct {
	Stripe  uint32
	Place   blob.Place
	Witness []byte // empty: not held
	Data    []byte
}

// witnessBytes is about what an answer has beside fragments and symbols.
const witnessBytes = 4 << 10

// Pieces asks for the fragments of places in stripes [from, to) and calls each with
// every answer, in order, held or not. limit bounds the bytes of one fragment.
func (l *FragmentLine) Pieces(ctx context.Context, id blob.ID, axis blob.Axis, places []blob.Place, from, to uint32, limit int, each func(Piece) error) error {
	q := getFragments{Blob: id, Axis: axis, Places: places, From: from, To: to}
	return l.pieces(ctx, kindGetFragments, q, kindFragment, places, from, to, limit, each)
}

// Witnesses asks for the witnesses of places in stripes [from, to).
func (l *FragmentLine) Witnesses(ctx context.Context, id blob.ID, places []blob.Place, from, to uint32, each func(Piece) error) error {
	q := getWitnesses{Blob: id, Places: places, From: from, To: to}
	return l.pieces(ctx, kindGetWitnesses, q, kindWitness, places, from, to, 0, each)
}

func (l *FragmentLine) pieces(ctx context.Context, ask kind, request any, answer kind, places []blob.Place, from, to uint32, limit int, each func(Piece) error) error {
	q := &question{most: int64(to-from) * int64(len(places)) * int64(limit+witnessBytes)}
	q.send = func() error { return l.s.send(ask, request) }
	q.read = func(hand func(func() error) error) error {
		return l.readPieces(answer, places, from, to, limit, hand, each)
	}
	return l.ask(ctx, q)
}

// readPieces reads an answer of each place in stripes [from, to).
func (l *FragmentLine) readPieces(answer kind, places []blob.Place, from, to uint32, limit int, hand func(func() error) error, each func(Piece) error) error {
	return eachAnswer(places, from, to, func(stripe uint32, p blob.Place) error {
		var f fragmentFrame
		if err := l.s.expect(answer, &f, idleLimit); err != nil {
			return err
		}
		if f.Stripe != stripe || f.Place != p || int64(f.Bytes) > int64(limit) {
			return fmt.Errorf("answer for stripe %d place %d (%d bytes) where stripe %d place %d was due: %w", f.Stripe, f.Place, f.Bytes, stripe, p, ErrProtocol)
		}
		data, err := l.s.payload(int(f.Bytes))
		if err != nil {
			return err
		}
		return hand(func() error { return each(Piece{Stripe: stripe, Place: p, Witness: f.Witness, Data: data}) })
	})
}

func eachAnswer(places []blob.Place, from, to uint32, read func(uint32, blob.Place) error) error {
	for stripe := from; stripe < to; stripe++ {
		for _, p := range places {
			if err := read(stripe, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Symbols asks for symbols at ascending indices of the fragments of places in stripes
// [from, to), a request for each place, all sent at once. It calls each with every
// answer, place after place, held or not. limit bounds the bytes of one symbol.
func (l *FragmentLine) Symbols(ctx context.Context, id blob.ID, axis blob.Axis, places []blob.Place, indices []int, from, to uint32, limit int, proven bool,
	each func(blob.Place, Symbols) error) error {
	at := make([]uint16, len(indices))
	for i, j := range indices {
		at[i] = uint16(j)
	}
	one := len(indices)*limit + witnessBytes // bytes of an answer
	if proven {
		one = maxFrame
	}
	q := &question{most: int64(to-from) * int64(len(places)) * int64(one)}
	q.read = func(hand func(func() error) error) error {
		for _, p := range places {
			err := eachAnswer([]blob.Place{p}, from, to, func(stripe uint32, p blob.Place) error {
				var f symbolsFrame
				if err := l.s.expect(kindSymbols, &f, idleLimit); err != nil {
					return err
				}
				if f.Stripe != stripe || int64(f.Bytes) > int64(limit)*int64(len(indices)) {
					return fmt.Errorf("answer for stripe %d (%d bytes) where stripe %d was due: %w", f.Stripe, f.Bytes, stripe, ErrProtocol)
				}
				data, err := l.s.payload(int(f.Bytes))
				if err != nil {
					return err
				}
				return hand(func() error {
					return each(p, Symbols{Stripe: stripe, Data: data, Witness: f.Witness, Openings: f.Openings})
				})
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	q.send = func() error {
		for _, p := range places {
			if err := l.s.send(kindGetSymbols, getSymbols{Blob: id, Axis: axis, Place: p, Indices: at, From: from, To: to, Proven: proven}); err != nil {
				return err
			}
		}
		return nil
	}
	return l.ask(ctx, q)
}
