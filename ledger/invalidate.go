package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Invalidate shows that a blob contradicts its own commitments. Any peer may send it,
// from the registration on and also after the blob has ended: it is refused for good
// then. Nothing goes back to the payers: what the leases have paid for epochs in which no
// node keeps the blob any more, and their allowances, are lost. A small part goes to the
// finder for the work; the rest is burned, so that a network has nothing to gain from
// taking a bad blob and finding it out later.
//
// A proof that waits for a block can be read, and sent again for another finder: the fee
// is thanks, and not worth waiting for.
type Invalidate struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Proof  []byte        // a redstuff.BadEncoding
	Finder token.Address // zero: all is burned
}

// invalidateBytes bounds the transaction: the proof and what surrounds it.
const invalidateBytes = redstuff.MaxBadEncodingBytes + 1024

func (Invalidate) kind() Kind { return KindInvalidate }

func (b Invalidate) check(Params) error {
	if len(b.Proof) > redstuff.MaxBadEncodingBytes {
		return fmt.Errorf("proof of %d bytes: %w", len(b.Proof), ErrTooLarge)
	}
	return nil
}

func (b Invalidate) plan(x *exec, _ Tx) (plan, error) {
	e, registered := x.entry(b.Blob)
	grave, buried := x.tombstone(b.Blob)
	switch {
	case buried && grave.Reason == registry.Invalid:
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrInvalidBlob)
	case !registered && !buried:
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrUnknownBlob)
	}
	// A proof that held for this blob once holds for good, whichever finder it names.
	if err := x.verified.once(TxHash(Unsigned(Invalidate{Blob: b.Blob, Proof: b.Proof})), b.verify); err != nil {
		return plan{}, err
	}
	return plan{subject: string(b.Blob[:]), apply: func() {
		if registered {
			x.settle(b.Blob)
			if e, registered = x.entry(b.Blob); !registered {
				grave, _ = x.tombstone(b.Blob) // it had ended
			}
		}
		if !registered {
			grave.Reason = registry.Invalid
			x.putTombstone(b.Blob, grave)
			return
		}
		lost := token.Amount(0)
		from := registry.FreeFrom(registry.Invalid, x.epoch())
		for _, l := range e.Leases {
			lost = must(lost.Add(x.forfeit(e, l, from)))
		}
		x.burn(lost, b.Finder)
		x.keepLeases(b.Blob, e, nil, registry.Invalid)
	}}, nil
}

func (b Invalidate) verify() error {
	p, err := redstuff.DecodeBadEncoding(b.Proof)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if p.Manifest.ID() != b.Blob {
		return fmt.Errorf("it is about another blob than %s: %w", b.Blob, ErrProof)
	}
	if err := p.Check(p.Manifest); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// forfeit takes from a lease what it has paid for the epochs from one on, or all of it
// if the blob was never certified, and what would have renewed it.
func (x *exec) forfeit(e registry.Entry, l registry.Lease, from unit.Epoch) (lost token.Amount) {
	if lost = l.Escrow(); e.Certified() {
		lost = l.Unused(from)
	}
	x.unbook(e, l, from)
	x.supply(func(s *Supply) { s.Allowances = must(s.Allowances.Sub(l.Renewal.Left)) })
	return must(lost.Add(l.Renewal.Left))
}

// burn destroys what was lost, but for the finder's part.
func (x *exec) burn(lost token.Amount, finder token.Address) {
	fee := token.Amount(0)
	if finder != (token.Address{}) {
		fee = x.p.Registry.FindersFee(lost)
	}
	x.credit(finder, fee)
	x.supply(func(s *Supply) { s.Burned = must(s.Burned.Add(lost - fee)) })
}
