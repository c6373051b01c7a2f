package challenge

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/token"
)

// MaxProofBytes bounds a proof's message: any shape and any draw fits into it.
const MaxProofBytes = 240 << 10

// ErrProof is returned for a proof that shows something else than was asked.
var ErrProof = errors.New("proof does not hold")

// Proof is what a shard's holder answers in a round: an opening for each question, in
// their order. The questions are never sent: the checker works them out.
type Proof struct {
	_         struct{} `cbor:",toarray"`
	Round     RoundID
	Shard     blob.Shard
	Beacon    Beacon
	Openings  []Opening
	Signature token.Signature // by the holder's node key, over ProofMessage
}

// Opening answers one question.
type Opening struct {
	_       struct{} `cbor:",toarray"`
	Roots   blob.RootsProof
	Leaves  []blob.Hash // of the symbols that were asked for: left out where the symbol itself is in Symbols
	Symbols [][]byte    // each a slice of the chunk that was asked for, or all of a short symbol
	Others  []blob.Hash // the rest of the fragment's trees
}

// Signed is what the holder of a shard signs of its proof: the openings stand in it as
// the root over their hashes, so that one that is false can be shown without the rest.
type Signed struct {
	_        struct{} `cbor:",toarray"`
	Round    RoundID
	Shard    blob.Shard
	Beacon   Beacon
	Count    uint64    // of openings
	Openings blob.Hash // root over their hashes; zero of none
}

// Signed is what is signed of a proof.
func (p Proof) Signed() Signed {
	s := Signed{Round: p.Round, Shard: p.Shard, Beacon: p.Beacon, Count: uint64(len(p.Openings))}
	if len(p.Openings) > 0 {
		s.Openings = blob.Root(p.leaves())
	}
	return s
}

func (p Proof) leaves() []blob.Hash {
	out := make([]blob.Hash, len(p.Openings))
	for i, o := range p.Openings {
		out[i] = o.hash()
	}
	return out
}

func (o Opening) hash() blob.Hash { return blob.Leaf(canon.Encode(o)) }

// Message is the bytes that are signed.
func (s Signed) Message(chain token.ChainID) []byte {
	return token.Message(token.PurposeProof, chain, s.Round.Epoch, s.Round.Round, uint64(s.Shard), s.Beacon, s.Count, s.Openings)
}

// ProofMessage is what the holder signs.
func ProofMessage(chain token.ChainID, p Proof) []byte { return p.Signed().Message(chain) }

// Encode is the canonical bytes.
func (p Proof) Encode() []byte { return canon.Encode(p) }

// Hash is what votes and late redemption name a proof by.
func (p Proof) Hash() blob.Hash { return blob.Leaf(p.Encode()) }

// DecodeProof reads a proof from a stranger. It checks its form, not what it shows.
func DecodeProof(b []byte) (p Proof, err error) {
	if len(b) > MaxProofBytes {
		return p, fmt.Errorf("proof of %d bytes: at most %d", len(b), MaxProofBytes)
	}
	err = canon.Decode(b, &p)
	return p, err
}

// Source is what a holder keeps. It answers for what it checked when it took it in.
type Source interface {
	Fragment(at blob.Position) (blob.VerifiedFragment, error)
	Witness(id blob.ID, stripe uint32, p blob.Place) (blob.Witness, error)
}

// Code computes the parity, which no node stores.
type Code interface {
	Extend(axis blob.Axis, symbols []byte, seg int) (parity []byte, err error)
}

func open(q Question, from Source, code Code, l blob.Layout) (o Opening, err error) {
	kept, err := from.Fragment(q.Position())
	if err != nil {
		return o, err
	}
	witness, err := from.Witness(q.Blob, q.Stripe, q.Place)
	if err != nil {
		return o, err
	}
	if o.Roots, err = witness.RootsProof(q.Place, l.N); err != nil {
		return o, err
	}
	seg := l.StripeSeg(int(q.Stripe))
	parity, err := code.Extend(q.Axis, kept.Bytes(), seg)
	if err != nil {
		return o, err
	}
	all := append(append(make([]byte, 0, l.N*seg), kept.Bytes()...), parity...)
	leaves := blob.Leaves(all, seg)
	o.Others = blob.OthersOf(l.Shape, q.Axis, leaves, q.At)
	for n, i := range q.At {
		slice, err := cutChunk(all[i*seg:(i+1)*seg], q.Chunks[n])
		if err != nil {
			return o, err
		}
		o.Symbols = append(o.Symbols, slice)
		if chunksOf(seg) > 1 {
			o.Leaves = append(o.Leaves, leaves[i])
		}
	}
	return o, nil
}

// check says whether an opening answers its question.
func (o Opening) check(q Question, c blob.Commitment) error {
	roots, err := o.Roots.Prove(c, q.Stripe, q.Place)
	if err != nil {
		return err
	}
	if len(o.Symbols) != len(q.At) {
		return fmt.Errorf("%d symbols, %d were asked for", len(o.Symbols), len(q.At))
	}
	leaves, seg := o.Leaves, c.Layout.StripeSeg(int(q.Stripe))
	if chunksOf(seg) == 1 {
		if len(o.Leaves) > 0 {
			return errors.New("leaves beside whole symbols")
		}
		for _, s := range o.Symbols {
			if len(s) != seg {
				return fmt.Errorf("symbol of %d bytes, want %d", len(s), seg)
			}
			leaves = append(leaves, blob.Leaf(s))
		}
	} else if err := o.checkChunks(q, seg); err != nil {
		return err
	}
	return roots.ProveLeaves(q.Axis, q.At, leaves, o.Others)
}

func (o Opening) checkChunks(q Question, seg int) error {
	if len(o.Leaves) != len(q.At) {
		return fmt.Errorf("%d leaves, %d were asked for", len(o.Leaves), len(q.At))
	}
	for n := range q.At {
		if err := checkChunk(o.Symbols[n], seg, q.Chunks[n], o.Leaves[n]); err != nil {
			return fmt.Errorf("symbol %d: %w", q.At[n], err)
		}
	}
	return nil
}
