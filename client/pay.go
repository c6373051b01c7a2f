package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
)

// payment is a transaction by which a store pays, and what it costs.
type payment struct {
	body ledger.Body
	cost Cost
}

// owed works out what is to be paid for a blob as the ledger stands, and says so before
// anything is signed: a registration, or an allowance for a lease that is there and has
// none, or nothing. What was agreed to in an earlier attempt is not said again.
func (s *storing) owed(v ledger.View, entry registry.Entry, kept bool) (*payment, error) {
	params, err := v.Params()
	if err != nil {
		return nil, err
	}
	highest, err := HighestOr(params, s.options.HighestPrice)
	if err != nil {
		return nil, err
	}
	var p payment
	owner := s.key.Address()
	if end, ok := entry.OwnedBy(owner, s.d.Epoch); ok {
		s.out.EndEpoch = end
		i, _ := entry.Last(owner)
		if s.options.Allowance == 0 || entry.Leases[i].Renews() {
			return nil, nil
		}
		p.body = ledger.SetRenewal{Blob: s.p.ID, Allowance: s.options.Allowance, HighestPrice: highest}
		p.cost = Cost{Allowance: s.options.Allowance, Highest: highest}
	} else {
		epochs := s.options.Epochs
		if epochs == 0 {
			epochs = params.Registry.DefaultEpochs
		}
		p.body = ledger.RegisterBlob{Manifest: s.manifest, Epochs: epochs, Owner: owner, Permanent: s.options.Permanent, Allowance: s.options.Allowance, HighestPrice: highest}
		if p.cost, err = CostOf(params, s.p.Layout.StoredKiB(), epochs, kept, s.options.Allowance, highest); err != nil {
			return nil, err
		}
	}
	p.cost.Fee = MostFee(s.c.chain, params.Fees, p.body)
	if s.options.Paying != nil && !s.agreed {
		if err := s.options.Paying(p.cost); err != nil {
			return nil, err
		}
	}
	s.agreed = true
	return &p, nil
}

// pay sends what is owed. What a registration pays is refunded should no certificate follow.
func (s *storing) pay(ctx context.Context) error {
	if s.paying == nil {
		return nil
	}
	s.out.Requests++
	cost := s.paying.cost
	if cost.Epochs > 0 {
		s.out.EndEpoch = s.d.Epoch + cost.Epochs
	}
	receipt, err := s.c.Send(ctx, s.key, s.paying.body)
	if errors.Is(err, ledger.ErrLeased) {
		return nil // paid in an earlier attempt, or by another process of the same owner
	}
	if err != nil {
		return fmt.Errorf("pay: %w", err)
	}
	s.out.Price, s.out.Write, s.out.Allowance = cost.Lease, cost.Write, cost.Allowance
	s.c.log.Debug("paid", "blob", s.p.ID, "height", receipt.Height)
	return nil
}
