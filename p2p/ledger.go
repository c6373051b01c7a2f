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

// LedgerProtocol is how whoever runs no ledger speaks to one who does: any number of
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
)

const (
	kindAsk    kind = 1
	kindAnswer kind = 2
	kindNo     kind = 3 // one question is refused; the stream goes on

	submitLimit = 90 * time.Second // a transaction waits for a block; a halted ledger has none
	readLimit   = 20 * time.Second // any other question
	standLimit  = 2 * time.Minute  // a stream on which nothing is asked is closed

	maxWaiting = 2048 // questions of one stream that wait for their answers
	maxReads   = 8    // of these, that are not transactions and cost the disk
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
		d := &desk{host: h, oracle: o, s: s, out: make(chan framed, 64), room: make(chan struct{}, maxWaiting), reads: make(chan struct{}, maxReads)}
		var writer sync.WaitGroup
		writer.Go(func() { d.write(ctx, cancel) })
		err := d.read(ctx)
		cancel()
		d.asked.Wait()
		writer.Wait()
		return err
	})
}

// desk is one stream of questions at the side that answers.
type desk struct {
	host   *Host
	oracle Oracle
	s      *session
	out    chan framed
	room   chan struct{} // one for each question that waits
	reads  chan struct{}
	asked  sync.WaitGroup
}

// framed is a frame on its way out.
type framed struct {
	kind kind
	body any
}

// read takes questions until the asker is done. Where too many wait it reads no
// further: the asker feels it.
func (d *desk) read(ctx context.Context) error {
	for {
		k, body, err := d.s.receive(standLimit)
		if err != nil {
			return nil // the asker is done, or gone
		}
		var q askFrame
		if k != kindAsk || canon.Decode(body, &q) != nil {
			return errors.New("not a ledger question")
		}
		select {
		case d.room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		d.asked.Go(func() {
			defer func() { <-d.room }()
			d.send(ctx, d.answer(ctx, q))
		})
	}
}

func (d *desk) answer(ctx context.Context, q askFrame) framed {
	no := func(err error) framed {
		var r *Refusal
		if !errors.As(err, &r) {
			r = Refuse(CodeInternal, "%v", err)
		}
		return framed{kindNo, noFrame{Number: q.Number, Refusal: *r}}
	}
	if hello, _ := d.host.greeted.get(d.s.peer()); hello.Chain == "" && q.Ask != AskGenesis {
		return no(Refuse(CodeWrongNetwork, "say which network you belong to first"))
	}
	limit := submitLimit
	if q.Ask != AskSubmit {
		limit = readLimit
		select {
		case d.reads <- struct{}{}:
			defer func() { <-d.reads }()
		case <-ctx.Done():
			return no(ctx.Err())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := d.oracle.Answer(ctx, d.s.peer(), q.Ask, q.Body)
	switch {
	case err != nil:
		return no(err)
	case len(answer) > MaxAnswer:
		// The oracle's fault, not the asker's: another node may do better.
		return no(Refuse(CodeInternal, "the answer has %d bytes, at most %d: ask for less at once", len(answer), MaxAnswer))
	}
	return framed{kindAnswer, answerFrame{Number: q.Number, Body: answer}}
}

func (d *desk) send(ctx context.Context, f framed) {
	select {
	case d.out <- f:
	case <-ctx.Done():
	}
}

func (d *desk) write(ctx context.Context, cancel func()) {
	if err := d.s.drain(ctx, d.out); err != nil {
		cancel()
		d.s.stream.Reset() // wakes the reader
	}
}

// drain writes frames as they come, and flushes when none is left: what was made in
// the meantime goes out in one write.
func (s *session) drain(ctx context.Context, out <-chan framed) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-out:
			for more := true; more; {
				if err := s.send(f.kind, f.body); err != nil {
					return err
				}
				select {
				case f = <-out:
				default:
					more = false
				}
			}
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}
