package p2p

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/canon"
)

// LedgerProtocol is how whoever runs no ledger speaks to one who does: a request
// and an answer, any number of times on one stream.
const LedgerProtocol protocol.ID = "/walrus/ledger/1"

// Ask names a question of the ledger protocol. Question and answer are bytes that
// this package does not read.
type Ask uint8

const (
	AskGenesis Ask = 1 // nothing -> the genesis
	AskGet     Ask = 2 // keys -> values with proofs
	AskLight   Ask = 3 // a height -> a light block
	AskSubmit  Ask = 4 // a transaction -> its receipt, once a block holds it
	AskList    Ask = 5 // a prefix -> keys and values, without proof
	AskStatus  Ask = 6 // nothing -> height and health, without proof
)

const (
	kindAsk    kind = 1
	kindAnswer kind = 2

	submitLimit = 90 * time.Second // a transaction waits for a block; a halted ledger has none
	maxAsks     = 1024             // questions on one stream
)

type askFrame struct {
	_    struct{} `cbor:",toarray"`
	Ask  Ask
	Body []byte
}

// Oracle answers the ledger protocol.
type Oracle interface {
	Answer(ctx context.Context, from peer.ID, ask Ask, body []byte) ([]byte, error)
}

// ServeLedger answers ledger questions with o.
func (h *Host) ServeLedger(o Oracle) {
	h.serve(LedgerProtocol, func(ctx context.Context, s *session) error {
		for range maxAsks {
			k, body, err := s.receive(idleLimit)
			if err != nil {
				return nil // the asker is done
			}
			var q askFrame
			if k != kindAsk || canon.Decode(body, &q) != nil {
				return s.refuse(Refuse(CodeBadRequest, "not a ledger question"))
			}
			if hello, _ := h.greeted.get(s.peer()); hello.Chain == "" && q.Ask != AskGenesis {
				return s.refuse(Refuse(CodeWrongNetwork, "say which network you belong to first"))
			}
			ctx, cancel := context.WithTimeout(ctx, submitLimit)
			answer, err := o.Answer(ctx, s.peer(), q.Ask, q.Body)
			cancel()
			if err != nil {
				if err := s.refuse(err); err != nil {
					return err
				}
				continue
			}
			if err := s.send(kindAnswer, answer); err != nil {
				return err
			}
			if err := s.flush(); err != nil {
				return err
			}
		}
		return nil
	})
}

// AskLedger puts one question to a peer.
func (h *Host) AskLedger(ctx context.Context, p peer.ID, ask Ask, body []byte) ([]byte, error) {
	s, err := h.open(ctx, p, nil, LedgerProtocol)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.stream.Reset() })
	defer stop()
	answer, err := askOn(s, ask, body)
	s.close(err)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("ask %s: %w", p, err)
	}
	return answer, nil
}

func askOn(s *session, ask Ask, body []byte) (answer []byte, err error) {
	if err := s.send(kindAsk, askFrame{Ask: ask, Body: body}); err != nil {
		return nil, err
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	wait := idleLimit
	if ask == AskSubmit {
		wait = submitLimit + 5*time.Second
	}
	err = s.expect(kindAnswer, &answer, wait)
	return answer, err
}
