package light

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// submitQuestion submits a transaction and asks for what shows its effect: Prove is a question
// at no height, which is that of the header after the transaction's block.
type submitQuestion struct {
	_     struct{} `cbor:",toarray"`
	Tx    []byte
	Prove proveQuestion
}

// submitAnswer is the receipt, as the node says, and the answer to Prove that shows it. Proof
// is empty where the transaction was refused, and where the proof does not fit.
type submitAnswer struct {
	_       struct{} `cbor:",toarray"`
	Receipt []byte
	Proof   []byte
}

// SubmitAndProve answers AskSubmitProve. submit waits until a block holds a transaction.
func (r Responder) SubmitAndProve(ctx context.Context, body []byte, submit func(context.Context, []byte) (ledger.TxReceipt, error)) ([]byte, error) {
	var q submitQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if q.Prove.Height != 0 || len(q.Prove.Keys) == 0 || len(q.Prove.Keys) > maxSubmitKeys {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "%d keys at height %d: 1 to %d at none", len(q.Prove.Keys), q.Prove.Height, maxSubmitKeys)
	}
	receipt, err := submit(ctx, q.Tx)
	if err != nil {
		return nil, err
	}
	a := submitAnswer{Receipt: ledger.EncodeTxReceipt(receipt)}
	if receipt.Code == 0 {
		q.Prove.Height = receipt.Height + 1
		proof := canon.Encode(q.Prove)
		r.Await(ctx, p2p.AskProve, proof)
		// Without a proof the asker has the receipt, and asks again.
		if proof, err := r.prove(proof); err == nil && len(proof) <= maxSubmitProof {
			a.Proof = proof
		}
	}
	return canon.Encode(a), nil
}

// Bounds on what is proven with a receipt: such an answer has no place in the budget of
// answers that are not read yet.
const (
	maxSubmitKeys  = 16
	maxSubmitProof = 128 << 10 // bytes
)

// submitTo submits the transaction to a node, and asks for its proof in the same question. A
// node that knows no such question is asked for the receipt alone.
func (s *submission) submitTo(ctx context.Context, p peer.ID) reply {
	var keys [][]byte
	for _, k := range append(ledger.KeysOfFate(s.tx), s.also...) {
		if !slices.ContainsFunc(keys, func(has []byte) bool { return bytes.Equal(has, k) }) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 || len(keys) > maxSubmitKeys {
		return s.submitPlainly(ctx, p)
	}
	q := s.r.question(keys, 0, false)
	answer, err := s.r.host.AskLedger(ctx, p, p2p.AskSubmitProve, canon.Encode(submitQuestion{Tx: s.tx, Prove: q}))
	if p2p.IsRefusal(err, p2p.CodeBadRequest) {
		return s.submitPlainly(ctx, p)
	}
	w := reply{from: p, err: err}
	if err != nil {
		return w
	}
	var a submitAnswer
	if w.err = decodeAnswer(answer, &a); w.err == nil {
		w.receipt, w.err = ledger.DecodeTxReceipt(a.Receipt)
	}
	if w.err != nil {
		s.r.host.Blame(p, w.err)
		return w
	}
	if w.receipt.Code != 0 || len(a.Proof) == 0 {
		return w
	}
	q.Height = w.receipt.Height + 1
	proven, err := s.r.check(ctx, p, q, nil, a.Proof)
	switch {
	case err == nil && len(proven.values) == len(keys):
		w.shows = &reader{r: s.r, read: map[string]value{}}
		w.shows.keep(keys, proven)
	case err != nil && !errors.As(err, new(noAnswer)) && !ours(err) && !errors.Is(err, ErrExpired):
		s.r.host.Blame(p, err)
	}
	return w
}

// submitPlainly submits the transaction to a node that is asked for its receipt alone.
func (s *submission) submitPlainly(ctx context.Context, p peer.ID) reply {
	answer, err := s.r.host.AskLedger(ctx, p, p2p.AskSubmit, s.tx)
	w := reply{from: p, err: err}
	if err == nil {
		if w.receipt, w.err = ledger.DecodeTxReceipt(answer); w.err != nil {
			s.r.host.Blame(p, w.err)
		}
	}
	return w
}
