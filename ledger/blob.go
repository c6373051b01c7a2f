package ledger

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// RegisterBlob asks the network to keep a blob, and pays for it in advance. The money
// waits until the blob is certified; if it never is, what was paid for writing and for
// the epochs after its room is free comes back. An allowance may be left with it, which
// renews the lease when it would end. An account that pays for another owner gets a lease
// of its own beside the owner's.
type RegisterBlob struct {
	_            struct{} `cbor:",toarray"`
	Manifest     blob.Manifest
	Epochs       uint64 // from the present one on
	Owner        token.Address
	Permanent    bool         // no delete, no refund
	Allowance    token.Amount // 0: the lease ends when it ends
	HighestPrice token.Amount // of a stored KiB and epoch at which it is renewed
}

func (RegisterBlob) kind() Kind { return KindRegisterBlob }

func (b RegisterBlob) check(p Params) error {
	if int(b.Manifest.N) != p.Shards {
		return fmt.Errorf("cut for %d shards, the network has %d: %w", b.Manifest.N, p.Shards, ErrManifest)
	}
	if _, err := b.Manifest.Layout(); err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if b.Epochs < 1 || b.Epochs > p.Registry.MaxEpochs {
		return fmt.Errorf("%d epochs, 1 to %d: %w", b.Epochs, p.Registry.MaxEpochs, ErrEpochs)
	}
	if b.Owner == (token.Address{}) {
		return fmt.Errorf("no owner: %w", ErrMalformed)
	}
	return checkAllowance(b.Allowance, b.HighestPrice)
}

func (b RegisterBlob) spends() token.Amount { return b.Allowance }

func (b RegisterBlob) plan(x *exec, tx Tx) (plan, error) {
	layout, err := b.Manifest.Layout()
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	id := b.Manifest.ID()
	grave, buried := x.tombstone(id)
	if buried && grave.Reason == registry.Invalid {
		return plan{}, fmt.Errorf("%s: %w", id, ErrInvalidBlob)
	}
	e, live := x.live(id)
	if !live {
		e = registry.Entry{Manifest: b.Manifest, Units: layout.StoredKiB()}
	}
	if end, ok := e.PaidBy(b.Owner, tx.Signer.Address(), x.epoch()); ok {
		return plan{}, fmt.Errorf("%s, until epoch %d: %w", id, end, ErrLeased)
	}
	if e.Rivals(b.Owner == tx.Signer.Address()) >= x.p.Registry.MaxLeases {
		return plan{}, fmt.Errorf("%s: %w", id, ErrFullEntry)
	}
	_, stale := x.entry(id)
	if reserved := live || stale || buried && grave.Reserved; !reserved {
		if err := x.room(e.Units); err != nil {
			return plan{}, err
		}
	}
	lease, err := x.newLease(b, tx.Signer.Address(), e)
	if err != nil {
		return plan{}, err
	}
	cost, err := lease.Escrow().Add(b.Allowance)
	if err != nil {
		return plan{}, fmt.Errorf("%s and an allowance of %s: %w", lease.Escrow(), b.Allowance, ErrFunds)
	}
	return plan{cost: cost, apply: func() {
		x.settle(id)
		if !live {
			x.exhume(id)
			x.usage(func(u *Usage) { u.ReservedKiB += e.Units })
		}
		if !e.Certified() {
			e.RegisteredEpoch, e.RegisteredHeight = x.epoch(), x.head.Height
		}
		e.Leases = append(slices.Clone(e.Leases), lease)
		x.fund(e, lease)
		x.allow(lease.Renewal)
		x.putEntry(id, e)
		x.o.Set(KeyOwned(b.Owner, id), nil)
		x.settle(id) // it may be due at once: a lease of one epoch in its second half
	}}, nil
}

// newLease is what a registration pays for.
func (x *exec) newLease(b RegisterBlob, payer token.Address, e registry.Entry) (l registry.Lease, err error) {
	l = registry.Lease{Owner: b.Owner, Payer: payer, Start: x.epoch(), End: x.epoch().Plus(b.Epochs), Permanent: b.Permanent, Renewal: renewalOf(payer, b.Allowance, b.HighestPrice)}
	cost, err := x.p.Registry.CostOf(e.Units, b.Epochs, e.Certified())
	if err == nil {
		_, err = cost.Total()
	}
	if err == nil {
		l.Write = cost.Write
		l.Price, err = x.p.Registry.PriceOf(e.Units)
	}
	if err != nil {
		return l, fmt.Errorf("%w: %w", ErrFunds, err)
	}
	return l, nil
}

// Certify shows that more than two thirds of the shards hold a blob. Any peer may send
// it; the registration paid for it.
type Certify struct {
	_           struct{} `cbor:",toarray"`
	Blob        blob.ID
	Certificate registry.Certificate
}

func (Certify) kind() Kind { return KindCertify }

func (b Certify) check(p Params) error {
	if len(b.Certificate.Bitmap) > 2*(p.Shards+7)/8 {
		return fmt.Errorf("bitmap of %d bytes: %w", len(b.Certificate.Bitmap), ErrCertificate)
	}
	return nil
}

func (b Certify) plan(x *exec, _ Tx) (plan, error) {
	e, live := x.live(b.Blob)
	switch {
	case !live:
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrUnknownBlob)
	case e.Certified():
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrCertified)
	}
	if err := b.Certificate.Counts(x.head.Half()); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	committee, err := x.committeeOf(b.Certificate.Epoch)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	// What was found once stays true: keys and shards of a committee in force never change.
	err = x.verified.once(TxHash(Unsigned(b)), func() error {
		return b.Certificate.Verify(x.chain, b.Blob, committee.Certifiers(), x.p.Shards, x.keys)
	})
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return plan{subject: string(b.Blob[:]), apply: func() {
		x.settle(b.Blob)
		e.CertifiedEpoch, e.CertifiedHeight = x.epoch(), x.head.Height
		x.queueSlot(b.Blob)
		x.keepCertificate(b.Blob, b.Certificate, committee)
		e.Leases = slices.Clone(e.Leases)
		for i := range e.Leases {
			l := &e.Leases[i]
			x.supply(func(s *Supply) { s.Escrow = must(s.Escrow.Sub(l.Escrow())) })
			x.fund(e, *l)
			l.Write = 0 // earned with this epoch
		}
		x.putEntry(b.Blob, e)
		x.settle(b.Blob) // a renewal may be due at once
	}}, nil
}

// ownSegments is how many leases an owner may have by extending at changing prices,
// however many others have on the same blob.
const ownSegments = 4

// Extend adds epochs to the end of the owner's claim, at the present price. A renewal of
// the owner's moves to the new end. What others paid for the owner stays as it is.
type Extend struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Epochs uint64
}

func (Extend) kind() Kind { return KindExtend }

func (b Extend) check(p Params) error {
	if b.Epochs < 1 || b.Epochs > p.Registry.MaxEpochs {
		return fmt.Errorf("%d epochs, 1 to %d: %w", b.Epochs, p.Registry.MaxEpochs, ErrEpochs)
	}
	return nil
}

func (b Extend) plan(x *exec, tx Tx) (plan, error) {
	e, live := x.live(b.Blob)
	if !live {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrUnknownBlob)
	}
	owner := tx.Signer.Address()
	end, ok := e.OwnedBy(owner, x.epoch())
	if !ok {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrNotOwner)
	}
	if last := x.epoch().Plus(x.p.Registry.MaxEpochs); end.Plus(b.Epochs) > last {
		return plan{}, fmt.Errorf("until epoch %d, at most %d: %w", end.Plus(b.Epochs), last, ErrEpochs)
	}
	cost, err := x.p.Registry.CostOf(e.Units, b.Epochs, true)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrFunds, err)
	}
	longer, added := e.Extended(owner, b.Epochs, x.p.Registry)
	if grows := len(longer.Leases) > len(e.Leases); grows && uint64(len(e.Leases)) >= x.p.Registry.MaxLeases && e.Segments(owner) >= ownSegments {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrFullEntry)
	}
	return plan{cost: cost.Lease, apply: func() {
		x.settle(b.Blob)
		x.fund(e, added)
		x.putEntry(b.Blob, longer)
	}}, nil
}

// Delete gives up all the signer's leases on a blob that are not permanent. What was paid
// for whole epochs after the bytes may go is refunded to its payer, less a fee;
// allowances are refunded whole.
type Delete struct {
	_    struct{} `cbor:",toarray"`
	Blob blob.ID
}

func (Delete) kind() Kind { return KindDelete }

func (Delete) check(Params) error { return nil }

func (b Delete) plan(x *exec, tx Tx) (plan, error) {
	e, live := x.live(b.Blob)
	if !live {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrUnknownBlob)
	}
	owner := tx.Signer.Address()
	var given, rest []registry.Lease
	for _, l := range e.Leases {
		if l.Owner == owner && !l.Permanent {
			given = append(given, l)
		} else {
			rest = append(rest, l)
		}
	}
	if _, ok := e.OwnedBy(owner, x.epoch()); !ok {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrNotOwner)
	}
	if len(given) == 0 {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrPermanent)
	}
	return plan{apply: func() {
		x.settle(b.Blob)
		for _, l := range given {
			x.release(l.Renewal)
			x.refund(e, l, registry.FreeFrom(registry.Deleted, x.epoch()))
		}
		x.keepLeases(b.Blob, e, rest, registry.Deleted)
	}}, nil
}
