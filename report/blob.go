package report

import (
	"bytes"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// The states of a blob, beside the reasons for which one ends (registry.Reason).
const (
	Certified  = "certified"  // the network keeps it
	Registered = "registered" // paid for, not yet certified
	Unknown    = "unknown"    // neither entry nor tombstone
)

// Blob is a blob's state, its leases and, while it is certified, its safety. The caller
// adds what is not a figure: Answer for a blob that is not certified, Warning, Ledger and
// Error.
type Blob struct {
	Blob           blob.ID      `json:"blob"`
	Answer         string       `json:"answer,omitempty"` // is it safe now? in a line
	Safe           *bool        `json:"safe,omitempty"`   // Safety's verdict is safe
	State          string       `json:"state"`            // certified, registered, expired, lapsed, deleted, invalid, unknown
	Bytes          int64        `json:"bytes,omitempty"`
	StoredKiB      unit.KiB     `json:"stored_kib,omitempty"` // in the network, over all shards
	CertifiedEpoch *unit.Epoch  `json:"certified_epoch,omitempty"`
	EndEpoch       unit.Epoch   `json:"end_epoch,omitempty"`   // the first that no lease pays for
	EndedEpoch     *unit.Epoch  `json:"ended_epoch,omitempty"` // of the tombstone
	Nodes          int          `json:"nodes,omitempty"`       // nodes that keep its fragments
	Shards         int          `json:"shards,omitempty"`      // N, shards that hold its fragments
	Needed         int          `json:"needed,omitempty"`      // k1, shards: any k1 bring it back
	Safety         *Safety      `json:"safety,omitempty"`
	PaidUntil      *time.Time   `json:"paid_until,omitempty"` // when EndEpoch begins, estimated, UTC
	Leases         []Lease      `json:"leases,omitempty"`
	RenewsUntil    unit.Epoch   `json:"renews_until_epoch,omitempty"` // estimated at today's price; 0: no lease is renewed
	Warning        string       `json:"warning,omitempty"`            // it ends soon
	Ledger         *LedgerState `json:"ledger,omitempty"`
	Error          string       `json:"error,omitempty"`
}

// Lease is an owner's paid claim on a blob.
type Lease struct {
	Owner     token.Address `json:"owner"`
	Payer     token.Address `json:"payer"`
	Start     unit.Epoch    `json:"start_epoch"`
	End       unit.Epoch    `json:"end_epoch"` // the first epoch that it does not pay for
	Price     token.Amount  `json:"price_per_epoch"`
	Write     token.Amount  `json:"write_price"` // not yet earned by a certificate
	Permanent bool          `json:"permanent"`
	Renewal   *Renewal      `json:"renewal,omitempty"` // nil: it ends at End
}

// Renewal is the allowance left with a lease to renew it.
type Renewal struct {
	Payer   token.Address `json:"payer"`         // gets back the rest
	Left    token.Amount  `json:"left"`          // allowance
	Highest token.Amount  `json:"highest_price"` // for a stored KiB and epoch: the lease is not renewed above it
	Until   unit.Epoch    `json:"until_epoch"`   // estimated at today's price
}

// Blob reads the state and the leases of a blob. The errors are those of the view.
func (n Now) Blob(id blob.ID) (Blob, error) {
	b := Blob{Blob: id, State: Unknown}
	e, known, err := n.View.Blob(id)
	if err != nil {
		return b, err
	}
	if known {
		n.fill(&b, e)
		return b, nil
	}
	t, buried, err := n.View.Tombstone(id)
	if buried {
		b.State, b.EndedEpoch = t.Reason.String(), &t.Ended
	}
	return b, err
}

// OwnedBlobs reads the blobs on which an owner has a lease, in the order of their IDs. The
// errors are those of the view.
func (n Now) OwnedBlobs(owner token.Address) ([]Blob, error) {
	var ids []blob.ID
	if err := n.View.EachOwnedEntry(owner, func(id blob.ID) error { ids = append(ids, id); return nil }); err != nil {
		return nil, err
	}
	return n.blobs(ids)
}

func (n Now) blobs(ids []blob.ID) ([]Blob, error) {
	var keys [][]byte
	for _, id := range ids {
		keys = append(keys, ledger.KeyBlob(id))
	}
	if err := n.Prefetch(keys...); err != nil {
		return nil, err
	}
	list := []Blob{}
	for _, id := range ids {
		b, err := n.Blob(id)
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// OwnedPage is a part of OwnedBlobs: at most limit blobs whose IDs follow after, and whether
// there are more.
func (n Now) OwnedPage(owner token.Address, after blob.ID, limit int) (list []Blob, more bool, err error) {
	var ids []blob.ID
	err = n.View.EachOwned(owner, func(id blob.ID) error {
		if bytes.Compare(id[:], after[:]) > 0 && len(ids) <= limit {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	more = len(ids) > limit
	ids = ids[:min(len(ids), limit)]
	list, err = n.blobs(ids)
	return list, more, err
}

// WithSafety adds a certified blob's safety, and the figures that follow from it.
func (n Now) WithSafety(b Blob, s Safety) Blob {
	safe, paid := s.Verdict == Safe, n.Begins(b.EndEpoch).UTC()
	b.Safety, b.Answer, b.Safe, b.PaidUntil = &s, s.String(), &safe, &paid
	b.Nodes, b.Shards, b.Needed = len(s.Holders), s.Shards, s.Needed
	return b
}

// RefundOf is what comes back to an owner that gives up its leases on a blob now, less the
// fee, and how many other leases keep the blob on the network.
func (n Now) RefundOf(e registry.Entry, owner token.Address) (refund token.Amount, others int) {
	free := registry.FreeFrom(registry.Deleted, n.Head.Epoch)
	for _, l := range e.Leases {
		if l.Owner != owner || l.Permanent {
			others++
			continue
		}
		if l.Renewal.Payer == owner {
			refund += l.Renewal.Left
		}
		if l.Payer == owner { // else it goes back to the account that paid
			back := e.Refund(l, free)
			refund += back - n.Params.Registry.Fee(back)
		}
	}
	return refund, others
}

// Room says why the network cannot take units more, or nil. It wraps ledger.ErrCapacity.
func (n Now) Room(units unit.KiB) error {
	u, err := n.View.Usage()
	if err != nil {
		return err
	}
	return u.Room(units, n.Params.Shards)
}

func (n Now) fill(b *Blob, e registry.Entry) {
	b.Bytes, b.StoredKiB, b.EndEpoch = int64(e.Manifest.Size), e.Units, e.End()
	switch {
	case e.Invalid:
		b.State = registry.Invalid.String()
	case !e.Live(n.Head.Epoch):
		b.State = registry.Expired.String()
	case e.Certified():
		b.State = Certified
	default:
		b.State = Registered
	}
	if e.Certified() {
		b.CertifiedEpoch = &e.CertifiedEpoch
	}
	for _, l := range e.Leases {
		b.Leases = append(b.Leases, Lease{l.Owner, l.Payer, l.Start, l.End, l.Price, l.Write, l.Permanent, n.renewal(e, l)})
	}
	if end, until := b.Lasts(token.Address{}); until > end {
		b.RenewsUntil = until
	}
}

// renewal is nil for a lease that is not renewed.
func (n Now) renewal(e registry.Entry, l registry.Lease) *Renewal {
	if !l.Renews() {
		return nil
	}
	return &Renewal{l.Renewal.Payer, l.Renewal.Left, l.Renewal.Highest, l.End.Plus(l.RenewableEpochs(n.Params.Registry, e.Units))}
}

// Lasts gives the epochs in which the leases of one owner end, or all leases if owner is
// zero: as they are paid, and as their renewals last at today's price.
func (b Blob) Lasts(owner token.Address) (end, renewed unit.Epoch) {
	for _, l := range b.Leases {
		if owner != (token.Address{}) && l.Owner != owner {
			continue
		}
		end = max(end, l.End)
		renewed = max(renewed, l.End)
		if l.Renewal != nil {
			renewed = max(renewed, l.Renewal.Until)
		}
	}
	return end, renewed
}
