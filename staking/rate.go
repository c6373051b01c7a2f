package staking

import "github.com/walrus-network/walrus/token"

// Rate is what shares stood for at the turn into an epoch.
type Rate struct {
	_        struct{} `cbor:",toarray"`
	Balance  token.Amount
	Shares   Shares
	Returned bool // the shares stood for nothing: deposits were given back
}

// Rate is what the pool's shares stand for now.
func (p Pool) Rate() Rate { return Rate{Balance: p.Balance, Shares: p.Shares} }

// Worth is the money that s shares stand for, rounded down.
func (r Rate) Worth(s Shares) token.Amount {
	if r.Shares == 0 {
		return 0
	}
	return must(r.Balance.MulDiv(uint64(min(s, r.Shares)), uint64(r.Shares)))
}

// Buys is the shares that an amount buys, rounded down. Shares that stand for nothing,
// or for so little that their number would not fit, cannot be bought.
func (r Rate) Buys(a token.Amount) (Shares, error) {
	if r.Shares == 0 {
		return Shares(a), nil
	}
	s, err := a.MulDiv(uint64(r.Shares), uint64(r.Balance))
	if err != nil {
		return 0, ErrRuined
	}
	return Shares(s), nil
}

// Costs is the least number of shares that stand for an amount.
func (r Rate) Costs(a token.Amount) (Shares, error) {
	if r.Balance == 0 {
		return 0, ErrRuined
	}
	s, err := a.MulDivUp(uint64(r.Shares), uint64(r.Balance))
	return Shares(s), err
}

// AtLeast says that a share stands for at least as much as at another rate.
func (r Rate) AtLeast(other Rate) bool {
	if r.Shares == 0 || other.Shares == 0 {
		return true
	}
	return !ahead(other.Balance, uint64(other.Shares), r.Balance, uint64(r.Shares))
}
