package challenge

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/token"
)

// ErrTrue is returned for evidence that shows nothing false.
var ErrTrue = errors.New("the proof is not shown to be false")

// Falsehood is evidence that a holder signed a proof that does not hold: what it
// signed, and the opening that is false, where it is not false by itself.
type Falsehood struct {
	_         struct{} `cbor:",toarray"`
	Signed    Signed
	Signature token.Signature
	At        uint64 // which opening
	Opening   Opening
	Path      []blob.Hash // of its hash among the openings'
}

// maxFalsehoodBytes bounds evidence from outside: one opening.
const maxFalsehoodBytes = 32 << 10

// Encode is the canonical bytes.
func (f Falsehood) Encode() []byte { return canon.Encode(f) }

// DecodeFalsehood reads evidence from a stranger; Check says whether it shows anything.
func DecodeFalsehood(b []byte) (f Falsehood, err error) {
	if len(b) > maxFalsehoodBytes {
		return f, fmt.Errorf("evidence of %d bytes: at most %d", len(b), maxFalsehoodBytes)
	}
	err = canon.Decode(b, &f)
	return f, err
}

// Check is nil if the holder signed a falsehood about a challenge: another beacon than the
// round has, another number of answers than questions, or an answer that does not hold.
func (f Falsehood) Check(c Challenge, holder token.PublicKey) error {
	_, err := f.Why(c, holder)
	return err
}

// Why is the fault of the signed proof; err is ErrTrue where the evidence shows none.
func (f Falsehood) Why(c Challenge, holder token.PublicKey) (why, err error) {
	if err := holder.Verify(f.Signed.Message(c.Chain), f.Signature); err != nil {
		return nil, fmt.Errorf("%w: it is not signed by the shard's holder: %w", ErrTrue, err)
	}
	switch {
	case f.Signed.Shard != c.Shard:
		return nil, fmt.Errorf("%w: it is about another shard", ErrTrue)
	case f.Signed.Round != c.Round:
		return nil, fmt.Errorf("%w: it is about another round", ErrTrue)
	case f.Signed.Beacon != c.Beacon:
		return fmt.Errorf("it answers beacon %s, not %s", f.Signed.Beacon, c.Beacon), nil
	case f.Signed.Count != uint64(len(c.Questions)):
		return fmt.Errorf("%d answers to %d questions", f.Signed.Count, len(c.Questions)), nil
	case f.At >= f.Signed.Count:
		return nil, fmt.Errorf("%w: opening %d of %d", ErrTrue, f.At, f.Signed.Count)
	}
	root, err := blob.Climb(f.Opening.hash(), int(f.At), len(c.Questions), f.Path)
	if err != nil || root != f.Signed.Openings {
		return nil, fmt.Errorf("%w: the opening is not the signed one", ErrTrue)
	}
	q := c.Questions[f.At]
	if why = f.Opening.check(q, c.Commitments(q.Blob)); why == nil {
		return nil, fmt.Errorf("%w: opening %d holds", ErrTrue, f.At)
	}
	return why, nil
}
