package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Answer shows the proof that a dispute says no node has. Any peer may send it; any
// proof by the shard's holder that holds for the round will do, as that is what was voted
// for. Of the bond that is lost AnswerBps go to To, for the trouble; the rest is burned,
// so that each dispute costs its opener, even one that answers itself.
//
// An answer that waits for a block can be read, and sent again for another To: the pay
// is thanks, and not worth waiting for.
type Answer struct {
	_       struct{}     `cbor:",toarray"`
	Ordinal unit.Ordinal // of the round
	Shard   blob.Shard
	Proof   []byte        // a challenge.Proof
	To      token.Address // zero: all is burned
}

// answerBytes bounds the transaction: the proof and what surrounds it.
const answerBytes = challenge.MaxProofBytes + 1024

func (Answer) kind() Kind { return KindAnswer }

func (b Answer) check(Params) error {
	if len(b.Proof) > challenge.MaxProofBytes {
		return fmt.Errorf("proof of %d bytes: %w", len(b.Proof), ErrTooLarge)
	}
	return nil
}

func (b Answer) plan(x *exec, _ Tx) (plan, error) {
	d, there, err := x.view().Dispute(b.Ordinal, b.Shard)
	switch sure(there, err); {
	case !there:
		return plan{}, fmt.Errorf("shard %d, round %d: %w", b.Shard, b.Ordinal, ErrNoDispute)
	case d.State != DisputeOpen:
		return plan{}, fmt.Errorf("shard %d, round %d: it was %s in block %d: %w", b.Shard, b.Ordinal, d.State, d.Closed, ErrNoDispute)
	case x.head.Height > d.AnswerBy:
		return plan{}, fmt.Errorf("shard %d, round %d: an answer counted until block %d: %w", b.Shard, b.Ordinal, d.AnswerBy, ErrNoDispute)
	}
	// A proof that held once holds for good, whichever account is paid for it.
	if hash := TxHash(Unsigned(Answer{Ordinal: b.Ordinal, Shard: b.Shard, Proof: b.Proof})); !x.verified.has(hash) {
		if err := x.verifyAnswer(b); err != nil {
			return plan{}, fmt.Errorf("shard %d, round %d: %w: %w", b.Shard, b.Ordinal, ErrAnswer, err)
		}
		x.verified.add(hash)
	}
	return plan{subject: string(KeyDispute(b.Ordinal, b.Shard)), apply: func() {
		at := disputeAt{d.AnswerBy, b.Ordinal, b.Shard}
		bond := x.decide(at, &d, DisputeAnswered)
		part := token.Amount(0)
		if b.To != (token.Address{}) {
			part = bond.Part(x.p.Challenge.AnswerBps)
		}
		x.credit(b.To, part)
		x.supply(func(s *Supply) { s.Burned = must(s.Burned.Add(bond - part)) })
	}}, nil
}

// verifyAnswer checks a proof as its voters did.
func (x *exec) verifyAnswer(b Answer) error {
	r, known, err := x.view().RoundOf(b.Ordinal)
	if !sure(known, err) {
		return fmt.Errorf("round %d is not kept", b.Ordinal)
	}
	p, err := challenge.DecodeProof(b.Proof)
	if err != nil {
		return err
	}
	if p.Shard != b.Shard {
		return fmt.Errorf("it is about shard %d", p.Shard)
	}
	c, err := x.committeeOf(r.Round.Epoch)
	if err != nil {
		return err
	}
	if int(b.Shard) >= len(c.Holder) {
		return fmt.Errorf("shard %d of %d", b.Shard, len(c.Holder))
	}
	holder := c.Holder[b.Shard]
	return r.Challenge(x.chain, x.p.Challenge, b.Shard).Verify(holder.PublicKey(), p)
}
