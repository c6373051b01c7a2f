package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/unit"
)

// ErrTerms is returned where the owner has a lease whose terms cannot become those that
// were asked for.
var ErrTerms = errors.New("the lease that is there cannot be changed to what was asked")

// errMore is returned where the ledger shows less than was asked for, so that more is to
// be paid.
var errMore = errors.New("the lease does not last as long as was asked: another process with this wallet paid for less at the same time")

// payment is a transaction by which a store pays, and what it costs.
type payment struct {
	body ledger.Body
	cost Cost
}

// owed works out what is to be paid for a blob as the ledger stands, and says so before
// anything is signed: a registration, or what a lease that is there lacks of what was
// asked for, or nothing. What was agreed to in an earlier attempt is not said again.
func (s *storeRun) owed(v ledger.View, entry registry.Entry, kept bool) error {
	params, err := v.Params()
	if err != nil {
		return err
	}
	owner, payer, o := s.owner(), s.key.Address(), s.options
	highest, err := HighestOr(params, o.HighestPrice)
	if err != nil {
		return err
	}
	s.paying = nil
	add := func(body ledger.Body, cost Cost) {
		cost.Fee = MostFee(s.c.chain, params.Fees, body)
		s.paying = append(s.paying, payment{body, cost})
	}
	// What strangers have paid in the owner's name shortens nothing that the owner asks for,
	// and its terms are not the owner's.
	paid, own := entry.PaidBy(owner, payer, s.d.epoch)
	end, _ := entry.OwnedBy(owner, s.d.epoch)
	if own && owner != payer {
		return s.given(entry, paid)
	}
	if !own {
		epochs := o.Epochs
		if epochs == 0 {
			epochs = params.Registry.DefaultEpochs
		}
		if end >= s.d.epoch.Plus(epochs) && !o.Permanent && o.Allowance == 0 {
			s.until = s.d.epoch.Plus(epochs)
			return s.agree() // others have paid for all of it
		}
		cost, err := CostOf(params, s.p.Layout.StoredKiB(), epochs, kept, o.Allowance, highest)
		if err != nil {
			return err
		}
		s.until = s.d.epoch.Plus(epochs)
		add(ledger.RegisterBlob{Manifest: s.manifest, Epochs: epochs, Owner: owner, Permanent: o.Permanent, Allowance: o.Allowance, HighestPrice: highest}, cost)
		return s.agree()
	}
	i, _ := entry.Last(owner)
	last := entry.Leases[i]
	if o.Permanent && !(last.Permanent && last.Payer == owner) {
		return fmt.Errorf("a permanent lease was asked for, and one that can be deleted is there until epoch %d: delete the blob and store it again: %w", end, ErrTerms)
	}
	s.until = max(s.until, s.d.epoch.Plus(o.Epochs))
	if o.Epochs > 0 && end < s.until {
		cost, err := CostOf(params, entry.Units, s.until.Since(end), true, 0, 0)
		if err != nil {
			return err
		}
		add(ledger.Extend{Blob: s.p.ID, Epochs: s.until.Since(end)}, cost)
	}
	if o.Allowance > 0 && !last.Renews() {
		add(ledger.SetRenewal{Blob: s.p.ID, Allowance: o.Allowance, HighestPrice: highest}, Cost{Allowance: o.Allowance, Highest: highest})
	}
	return s.agree()
}

// given checks that what the payer has paid for another owner is what was asked for: only the
// owner can change it.
func (s *storeRun) given(entry registry.Entry, end unit.Epoch) error {
	owner, o := s.owner(), s.options
	i, _ := entry.LastOf(owner, s.key.Address())
	last := entry.Leases[i]
	s.until = s.d.epoch.Plus(o.Epochs)
	switch {
	case end < s.until:
		return fmt.Errorf("%s has paid for it until epoch %d in the name of %s, and only the owner can lengthen that: walrus extend %s: %w", s.key.Address(), end, owner, s.p.ID, ErrTerms)
	case o.Permanent && !last.Permanent:
		return fmt.Errorf("a permanent lease was asked for, and one that %s can delete is there until epoch %d: %w", owner, end, ErrTerms)
	case o.Allowance > 0 && !last.Renews():
		return fmt.Errorf("only %s can leave an allowance with the lease that is there until epoch %d: walrus renew: %w", owner, end, ErrTerms)
	}
	return s.agree()
}

// agree tells the caller once what all payments cost together.
func (s *storeRun) agree() error {
	if s.options.Paying == nil || s.agreed || len(s.paying) == 0 {
		return nil
	}
	sum := s.paying[0].cost
	for _, p := range s.paying[1:] {
		sum.Allowance, sum.Highest = sum.Allowance+p.cost.Allowance, max(sum.Highest, p.cost.Highest)
		sum.Fee += p.cost.Fee
	}
	if err := s.options.Paying(sum); err != nil {
		return err
	}
	s.agreed = true
	return nil
}

// pay sends what is owed, and notes what the ledger shows to be paid.
func (s *storeRun) pay(ctx context.Context) error {
	for _, p := range s.paying {
		s.requests.Add(1)
		receipt, err := s.c.sendFrom(ctx, s.key, p.body, s.account, s.turn.sends)
		s.account = nil
		if errors.Is(err, ledger.ErrLeased) {
			continue // another process of the same owner was quicker; settled says for how long
		}
		if err != nil {
			return fmt.Errorf("pay: %w", err)
		}
		switch body := p.body.(type) {
		case ledger.RegisterBlob:
			s.out.Registered = true
		case ledger.Extend:
			s.out.Extended += body.Epochs
		}
		s.out.Price += p.cost.Lease
		s.out.Write += p.cost.Write
		s.out.Allowance += p.cost.Allowance
		s.c.log.Debug("paid", "blob", s.p.ID, "height", receipt.Height)
	}
	s.turn.sends() // where an interrupted process had sent it, or there is nothing to pay
	return nil
}

// settled reads back what the ledger shows: the end of the owner's claim, which must be
// what was asked for.
func (s *storeRun) settled(ctx context.Context) error {
	v, err := s.settledView(ctx)
	if err != nil {
		return err
	}
	entry, known, err := v.Blob(s.p.ID)
	if err != nil {
		return err
	}
	head, err := v.Head()
	if err != nil {
		return err
	}
	end, leased := entry.OwnedBy(s.owner(), head.Epoch)
	s.out.EndEpoch, s.out.Entry, s.out.Epoch = end, entry, head.Epoch
	switch {
	case !known || !entry.Certified() || entry.Invalid || !leased:
		return fmt.Errorf("the ledger does not show at block %d that the blob is kept for %s: %w", head.Height, s.owner(), errMore)
	case end < s.until:
		return fmt.Errorf("kept until epoch %d, asked for %d: %w", end, s.until, errMore)
	}
	return nil
}

// settledView is the state that shows the certificate, or the newest.
func (s *storeRun) settledView(ctx context.Context) (ledger.View, error) {
	if v := s.shown; v != nil {
		s.shown = nil
		return *v, nil
	}
	v, err := s.c.ledger.View(ctx)
	if err == nil {
		err = v.Prefetch(ledger.KeyHead(), ledger.KeyBlob(s.p.ID))
	}
	return v, err
}
