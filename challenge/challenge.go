package challenge

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// Challenge is a round's questions to one shard, with everything that an answer is signed
// over and checked against.
type Challenge struct {
	Chain       token.ChainID
	Round       RoundID
	Beacon      Beacon
	Shard       blob.Shard
	Questions   []Question                    // one for each draw
	Commitments func(blob.ID) blob.Commitment // of the drawn blobs
}

// New is the challenge to a shard that follows from a round's beacon and draws.
func New(p Params, chain token.ChainID, r RoundID, b Beacon, draws []Draw, s blob.Shard, commitments func(blob.ID) blob.Commitment) Challenge {
	return Challenge{Chain: chain, Round: r, Beacon: b, Shard: s, Commitments: commitments,
		Questions: Questions(p, b, draws, s, func(id blob.ID) blob.Layout { return commitments(id).Layout })}
}

// Prove answers the questions with the holder's fragments, and signs. An error names the
// first fragment that is missing: the holder declares it lost.
func (c Challenge) Prove(key token.Key, from Source, code Code) (Proof, error) {
	p := Proof{Round: c.Round, Shard: c.Shard, Beacon: c.Beacon, Openings: make([]Opening, len(c.Questions))}
	for i, q := range c.Questions {
		var err error
		if p.Openings[i], err = open(q, from, code, c.Commitments(q.Blob).Layout); err != nil {
			return Proof{}, fmt.Errorf("prove shard %d: %v: %w", c.Shard, q.Position(), err)
		}
	}
	p.Signature = key.Sign(ProofMessage(c.Chain, p))
	return p, nil
}

// Verify checks a proof and the signature of the shard's holder. The error is ErrProof.
func (c Challenge) Verify(holder token.PublicKey, p Proof) error {
	fail := func(err error) error {
		return fmt.Errorf("shard %d, epoch %d, round %d: %w: %w", p.Shard, p.Round.Epoch, p.Round.Round, ErrProof, err)
	}
	switch {
	case p.Shard != c.Shard:
		return fail(fmt.Errorf("it is of another shard than %d", c.Shard))
	case p.Round != c.Round:
		return fail(fmt.Errorf("it is of another round than %d of epoch %d", c.Round.Round, c.Round.Epoch))
	case p.Beacon != c.Beacon:
		return fail(fmt.Errorf("it answers beacon %s, not %s", p.Beacon, c.Beacon))
	case len(p.Openings) != len(c.Questions):
		return fail(fmt.Errorf("%d answers to %d questions", len(p.Openings), len(c.Questions)))
	}
	if err := holder.Verify(ProofMessage(c.Chain, p), p.Signature); err != nil {
		return fail(err)
	}
	for i, q := range c.Questions {
		if err := p.Openings[i].check(q, c.Commitments(q.Blob)); err != nil {
			return fail(fmt.Errorf("%v: %w", q.Position(), err))
		}
	}
	return nil
}

// Falsehood is the evidence that a proof of this shard, round and beacon is false: Verify
// has refused it although its signature is right. ok is false where every answer holds.
func (c Challenge) Falsehood(p Proof) (f Falsehood, ok bool) {
	f = Falsehood{Signed: p.Signed(), Signature: p.Signature}
	if len(p.Openings) != len(c.Questions) {
		return f, true
	}
	for i, q := range c.Questions {
		if p.Openings[i].check(q, c.Commitments(q.Blob)) != nil {
			f.At, f.Opening, f.Path = uint64(i), p.Openings[i], blob.NewTree(p.leaves()).Path(i)
			return f, true
		}
	}
	return f, false
}
