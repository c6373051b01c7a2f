package client

import (
	"fmt"
	"math"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Cost is what a transaction about a lease takes from the wallet, each part for itself:
// they come back at different times, or never.
type Cost struct {
	Epochs    uint64       // that are paid for
	Lease     token.Amount // for them
	Write     token.Amount // once, for what the network does not keep yet
	Allowance token.Amount // left with the lease to renew it; what is not used comes back
	Highest   token.Amount // price of a stored KiB and epoch up to which it is renewed
	Fee       token.Amount // at most
}

// String says it in a line, parts of nothing left out.
func (c Cost) String() string {
	text := fmt.Sprintf("a fee of at most %s", c.Fee)
	if c.Allowance > 0 {
		text = fmt.Sprintf("an allowance of %s to renew it at up to %s for a KiB and epoch, %s", c.Allowance, c.Highest, text)
	}
	if c.Write > 0 {
		text = fmt.Sprintf("%s for writing, %s", c.Write, text)
	}
	if c.Epochs > 0 {
		text = fmt.Sprintf("%s for %d epochs, %s", c.Lease, c.Epochs, text)
	}
	return text
}

// CostOf is what a lease on units costs, with an allowance to renew it that accepts a
// highest price. certified says that the network keeps the blob already.
func CostOf(p ledger.Params, units unit.KiB, epochs uint64, certified bool, allowance, highest token.Amount) (Cost, error) {
	parts, err := p.Registry.CostOf(units, epochs, certified)
	return Cost{Epochs: epochs, Lease: parts.Lease, Write: parts.Write, Allowance: allowance, Highest: highest}, err
}

// HighestOr is the highest price that a renewal accepts where none was named: twice
// that of today, so that it neither ends with the first rise nor pays any price.
func HighestOr(p ledger.Params, named token.Amount) (token.Amount, error) {
	if named > 0 {
		return named, nil
	}
	return p.Registry.Price.Mul(2)
}

// MostFee is the most that Send pays in fees for a body.
func MostFee(chain token.ChainID, fees ledger.Fees, body ledger.Body) token.Amount {
	any := token.KeyFromSeed([32]byte{}) // all keys and signatures are of one length
	return leastFee(any, chain, math.MaxUint64, math.MaxUint64, fees, body) + feeSpread
}
