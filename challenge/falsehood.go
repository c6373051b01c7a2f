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

// NewFalsehood makes evidence of a proof that Verify has refused although its signature
// is right; ok is false where it shows nothing false after all.
func NewFalsehood(p Proof, questions []Question, commitments func(blob.ID) blob.Commitment) (f Falsehood, ok bool) {
	f = Falsehood{Signed: p.Signed(), Signature: p.Signature}
	if len(p.Openings) != len(questions) {
		return f, true
	}
	for i, q := range questions {
		if p.Openings[i].check(q, commitments(q.Blob)) != nil {
			f.At, f.Opening, f.Path = uint64(i), p.Openings[i], blob.NewTree(p.leaves()).Path(i)
			return f, true
		}
	}
	return f, false
}

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

// Check is nil if the holder signed something false about a round: another beacon than
// the round has, another number of answers than there were questions, or an answer
// that does not hold.
func (f Falsehood) Check(chain token.ChainID, holder token.PublicKey, r Round, beacon Beacon, questions []Question, commitments func(blob.ID) blob.Commitment) error {
	_, err := f.Why(chain, holder, r, beacon, questions, commitments)
	return err
}

// Why is what does not hold of what the holder signed; err is ErrTrue where nothing false
// is shown.
func (f Falsehood) Why(chain token.ChainID, holder token.PublicKey, r Round, beacon Beacon, questions []Question, commitments func(blob.ID) blob.Commitment) (why, err error) {
	if err := holder.Verify(f.Signed.Message(chain), f.Signature); err != nil {
		return nil, fmt.Errorf("%w: it is not signed by the shard's holder: %w", ErrTrue, err)
	}
	switch {
	case f.Signed.Round != r:
		return nil, fmt.Errorf("%w: it is about another round", ErrTrue)
	case f.Signed.Beacon != beacon:
		return fmt.Errorf("it answers beacon %s, not %s", f.Signed.Beacon, beacon), nil
	case f.Signed.Count != uint64(len(questions)):
		return fmt.Errorf("%d answers to %d questions", f.Signed.Count, len(questions)), nil
	case f.At >= f.Signed.Count:
		return nil, fmt.Errorf("%w: opening %d of %d", ErrTrue, f.At, f.Signed.Count)
	}
	root, err := blob.Climb(f.Opening.hash(), int(f.At), len(questions), f.Path)
	if err != nil || root != f.Signed.Openings {
		return nil, fmt.Errorf("%w: the opening is not the signed one", ErrTrue)
	}
	q := questions[f.At]
	if why = f.Opening.check(q, commitments(q.Blob)); why == nil {
		return nil, fmt.Errorf("%w: opening %d holds", ErrTrue, f.At)
	}
	return why, nil
}
