package p2p

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/canon"
)

// LedgerProtocol is how a client without a ledger speaks to a node with one: any number of
// numbered questions on one standing stream, answered in whatever order the answers
// come. A transaction waits for its block; what is asked after it does not.
const LedgerProtocol protocol.ID = "/walrus/ledger/1"

// Ask names a question of the ledger protocol. Question and answer are bytes that
// this package does not read.
type Ask uint8

const (
	AskGenesis Ask = 1 // nothing -> the genesis
	AskGet     Ask = 2 // keys -> values with proofs
	AskLight   Ask = 3 // a height -> a light block
	AskSubmit  Ask = 4 // a transaction -> its receipt, once a block holds it
	AskList    Ask = 5 // a prefix -> keys, without proof that none is left out
	AskStatus  Ask = 6 // nothing -> height and health, without proof
	AskPart    Ask = 7 // a height, a key and an offset -> a part of a value too long for one answer
	AskProve   Ask = 8 // keys of one state -> values with proofs, and the headers that lead to them
	// A snapshot is the whole state at one height.
	AskSnapshot Ask = 9  // a height or none -> the height of a snapshot that the node gives, or makes
	AskState    Ask = 10 // a height and a part of its state -> keys and values, or hashes that prove them
	AskHistory  Ask = 11 // a height -> the headers that the node keeps for ever, from there on
	// A transaction and keys -> its receipt, and proofs after the block that holds it.
	AskSubmitProve Ask = 12
)

// submits says whether a question brings a transaction, and so waits for a block.
func (a Ask) submits() bool { return a == AskSubmit || a == AskSubmitProve }

const (
	kindAsk    kind = 1
	kindAnswer kind = 2
	kindNo     kind = 3 // one question is refused; the stream goes on

	submitLimit = 90 * time.Second // a transaction waits for a block; a halted ledger has none
	readLimit   = 20 * time.Second // any other question
	standLimit  = 2 * time.Minute  // a stream on which nothing is asked is closed

	malformedCost = 10.0 // questions' worth of patience that a malformed one costs

	maxWaiting = 2048 // questions of one stream that wait for their answers
)

// MaxAnswer bounds an answer's bytes: it travels in one frame.
const MaxAnswer = maxFrame - 1024

type askFrame struct {
	_      struct{} `cbor:",toarray"`
	Number uint64
	Ask    Ask
	Body   []byte
}

type answerFrame struct {
	_      struct{} `cbor:",toarray"`
	Number uint64
	Body   []byte
}

// noFrame is a refusal of one question.
type noFrame struct {
	_       struct{} `cbor:",toarray"`
	Number  uint64
	Refusal Refusal
}

// Oracle answers the ledger protocol. Many questions are asked at the same time.
type Oracle interface {
	Answer(ctx context.Context, from peer.ID, ask Ask, body []byte) ([]byte, error)
}

// ServeLedger answers ledger questions with o.
func (h *Host) ServeLedger(o Oracle) {
	h.serve(LedgerProtocol, func(ctx context.Context, s *session) error {
		ctx, cancel := context.WithCancel(ctx)
		d := &ledgerStream{host: h, oracle: o, s: s, cancel: cancel, out: make(chan outgoingFrame, 2*pendingAnswers), room: make(chan struct{}, maxWaiting), left: make(chan struct{})}
		var writer sync.WaitGroup
		writer.Go(func() { d.write(ctx) })
		err := d.read(ctx)
		cancel()
		close(d.left)
		d.asked.Wait()
		writer.Wait()
		return err
	})
}

// ledgerStream is one stream of questions at the side that answers.
type ledgerStream struct {
	host   *Host
	oracle Oracle
	s      *session
	cancel func()
	out    chan outgoingFrame
	room   chan struct{} // one for each question that waits
	asked  sync.WaitGroup
	left   chan struct{} // closed when no more is read, and so no more is asked
}

// outgoingFrame is a frame on its way out.
type outgoingFrame struct {
	kind kind
	body any
	done func() // called when it was written, or never will be; nil: nothing to do
}

// size is about how many bytes the frame holds.
func (f outgoingFrame) size() int {
	const around = 256 // what holds a frame, or a refusal's words
	if a, ok := f.body.(answerFrame); ok {
		return len(a.Body) + around
	}
	return around
}

// read takes questions until the asker is done. Where too many wait it reads no
// further: the asker feels it.
func (d *ledgerStream) read(ctx context.Context) error {
	limit := firstLimit
	for {
		k, body, err := d.s.receive(limit)
		if err != nil {
			if IsRefusal(err, CodeBusy) {
				d.s.refuse(err)
			}
			return nil // the asker is done, or gone
		}
		limit = standLimit
		var q askFrame
		if k != kindAsk {
			return errors.New("not a ledger question")
		}
		if err := canon.Decode(body, &q); err != nil {
			// A mistake in the asking program: it is told, and costs patience.
			if err := d.host.admission.paces.slow(ctx, d.s.visitor, malformedCost); err != nil {
				return nil
			}
			d.send(ctx, refusal(0, Refuse(CodeBadRequest, "not a question [number, ask, body], with the body a byte string: %v", err)))
			continue
		}
		if len(d.room) == 0 {
			d.s.rest()
		}
		cost := 1.0
		if q.Ask.submits() {
			cost = float64(len(q.Body)) / askBytes
		}
		if err := d.host.admission.paces.slow(ctx, d.s.visitor, cost); err != nil {
			return nil
		}
		if err := d.host.admission.unread.below(ctx, d.s.peer(), pendingAnswers, pendingBytes); err != nil {
			return nil
		}
		select {
		case d.room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		d.take(ctx, q)
	}
}

// take finds a question its place and begins to answer it. The place is given back as
// soon as the answer is made: until that is written it has its bytes in a budget, so that
// an asker that does not read keeps no other from being answered.
func (d *ledgerStream) take(ctx context.Context, q askFrame) {
	asked, cancel := context.WithCancelCause(ctx)
	done := func() {
		cancel(nil)
		if <-d.room; len(d.room) == 0 {
			d.s.rest()
		}
	}
	var place *guest
	var err error
	switch hello, _ := d.host.greeted.get(d.s.peer()); {
	case hello.Chain == "" && q.Ask != AskGenesis:
		err = Refuse(CodeWrongNetwork, "say which network you belong to first")
	case q.Ask.submits():
		var leave func()
		if leave, err = d.host.admission.submits.take(d.s.peer(), len(q.Body), cancel); err == nil {
			free := done
			done = func() { leave(); free() }
		}
	case len(q.Body) > smallFrame:
		err = Refuse(CodeBadRequest, "a question of %d bytes: at most %d", len(q.Body), smallFrame)
	default:
		waiting, stop := context.WithTimeout(ctx, serveWait)
		var ok bool
		place, ok = d.host.admission.desks.wait(waiting, d.s.visitor, d.leave)
		stop()
		if !ok {
			err = Refuse(CodeBusy, "%d questions at once, %d of one peer: try again in a moment", maxServed, maxPeerServed)
		}
	}
	if err != nil {
		f := refusal(q.Number, err)
		f.done = done
		d.send(ctx, f)
		return
	}
	stays, busy := d.s.place.hold(), d.host.admission.conns.hold(d.s.stream.Conn())
	d.asked.Go(func() {
		f := refusal(q.Number, Refuse(CodeInternal, "%v", ErrPanic))
		_ = Guard(d.host.log, "answer a ledger question", func() error {
			f = d.answer(asked, q)
			return nil
		})
		f.done = done
		place.release()
		stays()
		busy()
		d.s.place.patient(firstPatience)
		if a, made := f.body.(answerFrame); made && q.Ask != AskSubmit {
			d.host.admission.paces.charge(d.s.visitor, float64(len(a.Body))/answerBytes)
		}
		if q.Ask.submits() { // its bytes are counted until its receipt is written
			d.send(ctx, f)
			return
		}
		d.hand(ctx, q.Number, f)
	})
}

// hand gives an answer to the writer, with its bytes in the budget of what is not read
// yet. Where there is no room for it a refusal goes in its place; a peer that has not
// read even those before it is left.
func (d *ledgerStream) hand(ctx context.Context, number uint64, f outgoingFrame) {
	gone, err := d.host.admission.unread.take(d.s.peer(), f.size(), func(error) { d.leave() })
	if err == nil {
		free := f.done
		f.done = func() { gone(); free() }
		d.send(ctx, f)
		return
	}
	no := refusal(number, err)
	no.done = f.done
	select {
	case d.out <- no:
	default:
		no.end()
		d.leave()
	}
}

// leave ends the stream.
func (d *ledgerStream) leave() {
	d.cancel()
	d.s.stream.Reset()
}

// refusal is the answer to a question that is refused.
func refusal(number uint64, err error) outgoingFrame {
	var r *Refusal
	if !errors.As(err, &r) {
		r = Refuse(CodeInternal, "%v", err)
	}
	return outgoingFrame{kind: kindNo, body: noFrame{Number: number, Refusal: *r.cleaned()}}
}

func (d *ledgerStream) answer(ctx context.Context, q askFrame) outgoingFrame {
	limit := readLimit
	if q.Ask.submits() {
		limit = submitLimit
	}
	given := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := d.oracle.Answer(ctx, d.s.peer(), q.Ask, q.Body)
	var why *Refusal
	if errors.As(context.Cause(given), &why) {
		err = why // its place was given away
	}
	switch {
	case err != nil:
		return refusal(q.Number, err)
	case len(answer) > MaxAnswer:
		// The oracle's fault, not the asker's: another node may do better.
		return refusal(q.Number, Refuse(CodeInternal, "the answer has %d bytes, at most %d: ask for less at once", len(answer), MaxAnswer))
	}
	return outgoingFrame{kind: kindAnswer, body: answerFrame{Number: q.Number, Body: answer}}
}

// send hands a frame to the writer, which ends it.
func (d *ledgerStream) send(ctx context.Context, f outgoingFrame) {
	select {
	case d.out <- f:
	case <-ctx.Done():
		f.end()
	}
}

func (d *ledgerStream) write(ctx context.Context) {
	if err := d.s.drain(ctx, d.out); err != nil {
		d.leave() // wakes the reader
	}
	// What was handed over and not written gives its places back. The askers' goroutines
	// end with ctx, so that this comes to an end.
	<-ctx.Done()
	settled := make(chan struct{})
	go func() {
		<-d.left
		d.asked.Wait()
		close(settled)
	}()
	for {
		select {
		case f := <-d.out:
			f.end()
		case <-settled:
			for len(d.out) > 0 {
				f := <-d.out
				f.end()
			}
			return
		}
	}
}

func (f outgoingFrame) end() {
	if f.done != nil {
		f.done()
	}
}

// drain writes frames as they come, and flushes when none is left: what was made in
// the meantime goes out in one write.
func (s *session) drain(ctx context.Context, out <-chan outgoingFrame) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-out:
			if err := s.drainNow(f, out); err != nil {
				return err
			}
		}
	}
}

// drainNow writes a frame and those that are ready behind it.
func (s *session) drainNow(f outgoingFrame, out <-chan outgoingFrame) (err error) {
	var written []outgoingFrame
	defer func() {
		for _, f := range written {
			f.end()
		}
	}()
	for more := true; more && err == nil; {
		written = append(written, f)
		err = s.send(f.kind, f.body)
		select {
		case f = <-out:
		default:
			more = false
		}
	}
	if err != nil {
		return err
	}
	return s.flush()
}
