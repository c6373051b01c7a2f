package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// A frame is one byte of kind, a big-endian uint32 length, and that many bytes of
// canonical CBOR. Payload (fragments, symbols) follows a frame raw; its length is
// known to both sides before it is read.
const (
	maxFrame   = 256 << 10        // bytes of CBOR in a frame: the largest is a root list of 1000 places
	smallFrame = 16 << 10         // bytes of a frame that any stream may send; a larger one needs a place
	firstLimit = 5 * time.Second  // for a stream's first request: the peer that opens it has it ready
	writePiece = 64 << 10         // bytes between two looks at whether a write moves
	idleLimit  = 30 * time.Second // a peer that neither sends nor takes a byte for so long is gone
	writerSize = 256 << 10        // small writes cost twice the CPU on the wire
	readerSize = 4 << 10          // for frames; payload goes past the buffer
)

// ErrProtocol is wrapped by the error for a peer whose bytes no correct program sends.
var ErrProtocol = errors.New("the peer broke the protocol")

// writers lends buffers to the sessions that have something to send: most streams
// wait, and must not cost what one costs that works.
var (
	writers      = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writerSize) }}
	smallWriters = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, readerSize) }}
)

// kind tells what a frame holds. 0 is a refusal in every protocol.
type kind uint8

const kindRefusal kind = 0

// maxRefusalText bounds how many words of a stranger end up in a log.
const maxRefusalText = MaxWords

// Code says why a peer refused, for whom branches on it.
type Code uint16

const (
	CodeInternal     Code = 1 // the peer's own fault: try another
	CodeBadRequest   Code = 2 // our fault: do not repeat it
	CodeWrongNetwork Code = 3 // the peer keeps another chain
	CodeNotHeld      Code = 4 // the peer does not hold it
	CodeNotDuty      Code = 5 // the peer has no duty to hold it
	CodeBusy         Code = 6 // full or overloaded: later
	CodeWait         Code = 7 // not before RetryHeight
)

// Refusal is a peer's "no" in words.
type Refusal struct {
	_           struct{} `cbor:",toarray"`
	Code        Code
	Text        string
	RetryHeight unit.Height // with CodeWait: the ledger height to ask again at
}

func (r *Refusal) Error() string { return r.Text }

// Refuse is a refusal to send. Words of a stranger in it are cleaned.
func Refuse(code Code, format string, args ...any) *Refusal {
	return (&Refusal{Code: code, Text: fmt.Sprintf(format, args...)}).cleaned()
}

// cleaned makes a refusal's words fit to be shown: they are a stranger's.
func (r *Refusal) cleaned() *Refusal {
	r.Text = Clean(r.Text, maxRefusalText)
	return r
}

// IsRefusal says whether err is a peer's refusal with that code.
func IsRefusal(err error, code Code) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == code
}

// session is one stream, framed. It belongs to one goroutine at a time, but one may
// send while another receives.
type session struct {
	stream   network.Stream
	r        *bufio.Reader
	w        *bufio.Writer // nil while nothing waits to be sent
	received int64         // bytes read from the stream, framing included
	heard    atomic.Int64  // Unix nanoseconds of the last of them
	now      func() time.Time

	place   *guest   // of the stream; nil at the side that opened it
	upload  *guest   // of the upload under way; nil: none
	desks   []*guest // of the answers under way
	large   *places  // of large frames; nil: any frame may be large
	small   bool     // only small frames are due now
	conns   *conns   // of the connection; nil at the side that opened the stream
	visitor visitor
	stopped atomic.Pointer[Refusal] // set by interrupt
}

func newSession(stream network.Stream) *session {
	s := &session{stream: stream, now: time.Now}
	s.r = bufio.NewReaderSize(countingReader{s}, readerSize)
	return s
}

// countingReader counts what a session's reader takes from its stream.
type countingReader struct{ s *session }

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.s.stream.Read(b)
	c.s.received += int64(n)
	if n > 0 {
		c.s.heard.Store(time.Now().UnixNano())
	}
	c.s.place.bytes(n)
	c.s.upload.bytes(n)
	return n, c.s.because(err)
}

// because is the reason why the stream was ended here, if it was, in place of an error.
func (s *session) because(err error) error {
	if why := s.stopped.Load(); err != nil && why != nil {
		return why
	}
	return err
}

// interrupt makes what reads from the stream fail with a reason, now and later.
func (s *session) interrupt(why *Refusal) {
	s.stopped.Store(why)
	s.stream.SetReadDeadline(time.Unix(1, 0))
}

// await sets until when the next bytes must be here.
func (s *session) await(wait time.Duration) error {
	if err := s.stream.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	// After the deadline: an interrupt before it would else be forgotten.
	if why := s.stopped.Load(); why != nil {
		return why
	}
	return nil
}

func (s *session) peer() peer.ID { return s.stream.Conn().RemotePeer() }

// send writes a frame and its payload into the buffer; flush sends it.
func (s *session) send(k kind, v any, payload ...[]byte) error {
	body := canon.Encode(v)
	if len(body) > maxFrame {
		return fmt.Errorf("frame of %d bytes: at most %d", len(body), maxFrame)
	}
	var head [5]byte
	head[0] = byte(k)
	binary.BigEndian.PutUint32(head[1:], uint32(len(body)))
	if err := s.write(head[:]); err != nil {
		return err
	}
	if err := s.write(body); err != nil {
		return err
	}
	for _, p := range payload {
		if err := s.write(p); err != nil {
			return err
		}
	}
	return nil
}

// write pushes the deadline forward with every piece that moves, so that a large
// payload may take long while a stalled peer may not.
func (s *session) write(b []byte) error {
	if s.w == nil {
		s.w = s.writers().Get().(*bufio.Writer)
		s.w.Reset(s.stream)
	}
	for len(b) > 0 {
		n := min(len(b), writePiece)
		if err := s.stream.SetWriteDeadline(time.Now().Add(idleLimit)); err != nil {
			return err
		}
		if _, err := s.w.Write(b[:n]); err != nil {
			return s.because(err)
		}
		s.place.bytes(n)
		for _, d := range s.desks {
			d.bytes(n)
		}
		b = b[n:]
	}
	return nil
}

func (s *session) flush() error {
	if s.w == nil {
		return nil
	}
	if err := s.stream.SetWriteDeadline(time.Now().Add(idleLimit)); err != nil {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return s.because(err)
	}
	w := s.w
	w.Reset(nil)
	if s.w = nil; w.Size() == writerSize {
		writers.Put(w)
	} else {
		smallWriters.Put(w)
	}
	return nil
}

// here is the kind of the next frame, if all of a small one has been read from the stream
// already.
func (s *session) here() (kind, bool) {
	const head = 5
	if s.r.Buffered() < head {
		return 0, false
	}
	b, err := s.r.Peek(head)
	if err != nil {
		return 0, false
	}
	return kind(b[0]), uint64(s.r.Buffered()-head) >= uint64(binary.BigEndian.Uint32(b[1:]))
}

// unsent is how many bytes wait for flush.
func (s *session) unsent() int {
	if s.w == nil {
		return 0
	}
	return s.w.Buffered()
}

// writers lends large buffers to what has a place, and to what this host asks: the
// refusals to a stream that has none must not take much when they are not read.
func (s *session) writers() *sync.Pool {
	if s.place != nil && len(s.desks) == 0 {
		return &smallWriters
	}
	return &writers
}

// receive reads the next frame within wait. A refusal comes back as an error.
func (s *session) receive(wait time.Duration) (kind, []byte, error) {
	if err := s.await(wait); err != nil {
		return 0, nil, err
	}
	var head [5]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("frame of %d bytes, at most %d: %w", n, maxFrame, ErrProtocol)
	}
	if n > smallFrame && s.small {
		return 0, nil, fmt.Errorf("request of %d bytes, at most %d: %w", n, smallFrame, ErrProtocol)
	}
	if n > smallFrame && s.large != nil {
		// Many streams with a large frame each that never ends would fill the memory.
		g, ok := s.large.take(s.visitor, func() { s.interrupt(Refuse(CodeBusy, "your frame comes too slowly, and others wait")) })
		if !ok {
			return 0, nil, Refuse(CodeBusy, "%d frames of more than %d bytes at once: try again in a moment", maxLarge, smallFrame)
		}
		defer g.release()
	}
	body, err := s.payload(int(n))
	if err != nil {
		return 0, nil, err
	}
	if kind(head[0]) == kindRefusal {
		r := new(Refusal)
		if err := canon.Decode(body, r); err != nil {
			return 0, nil, fmt.Errorf("refusal: %w: %w", ErrProtocol, err)
		}
		return 0, nil, r.cleaned()
	}
	return kind(head[0]), body, nil
}

// expect is receive for one kind, decoded into v.
func (s *session) expect(k kind, v any, wait time.Duration) error {
	got, body, err := s.receive(wait)
	if err != nil {
		return err
	}
	if got != k {
		return fmt.Errorf("frame of kind %d where %d was due: %w", got, k, ErrProtocol)
	}
	if err := canon.Decode(body, v); err != nil {
		return fmt.Errorf("frame of kind %d: %w: %w", got, ErrProtocol, err)
	}
	return nil
}

// payload reads n raw bytes; n was checked against what may come.
func (s *session) payload(n int) ([]byte, error) {
	// A length is a claim until the bytes are here: grow with what arrives.
	const step = 1 << 20
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		if err := s.await(idleLimit); err != nil {
			return nil, err
		}
		from := len(b)
		part := min(n-from, step)
		if cap(b)-from < part {
			grown := make([]byte, from, min(n, 2*cap(b)+step))
			copy(grown, b)
			b = grown
		}
		b = b[:from+part]
		if _, err := io.ReadFull(s.r, b[from:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// refuse tells the peer why; whatever the error is, it becomes words.
func (s *session) refuse(err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		r = Refuse(CodeInternal, "%v", err)
	}
	r.cleaned()
	if err := s.send(kindRefusal, r); err != nil {
		return err
	}
	return s.flush()
}

// linger reads on for a moment after a refusal: a reset would overtake the words.
func (s *session) linger() {
	const patience, most = 2 * time.Second, 64 << 20
	s.stream.CloseWrite()
	s.stream.SetReadDeadline(time.Now().Add(patience))
	io.CopyN(io.Discard, s.r, most)
}

func (s *session) close(err error) {
	if err != nil {
		s.stream.Reset()
		return
	}
	s.stream.Close()
}

// IsHangup says whether err means that the other side is gone or hung up, rather
// than that it answered something.
func IsHangup(err error) bool {
	var r *Refusal
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, network.ErrReset) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.Is(err, ErrLineEnded) || (!errors.As(err, &r) && isNetError(err))
}

func isNetError(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}
