package gateway

import (
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/token"
)

// charge is what one request takes from the day of its key. It is counted when it is known
// what is to be paid, before anything is signed, and settled when it is known what was: all
// that costs goes through it, so that a day holds what was paid or may have been, and nothing
// else.
type charge struct {
	s       *Server
	g       *access.Grant
	use     access.Use // but for its cost
	refusal error      // why nothing may be paid; nil: it may

	cost client.Cost // that was counted
	sum  token.Amount
	paid bool // or may be: it was counted
}

// agree counts a cost, as client.StoreOptions.Paying.
func (c *charge) agree(cost client.Cost) error {
	if c.refusal != nil {
		return c.refusal
	}
	sum, err := blobs.Total(cost)
	if err != nil {
		return err
	}
	use := c.use
	use.Cost = sum
	if err := c.g.Spend(use); err != nil {
		return err
	}
	c.cost, c.sum, c.paid = cost, sum, true
	return nil
}

// settle gives back what was counted and surely not paid. paid is what is known to be, without
// fees, and err how the request ended.
func (c *charge) settle(paid token.Amount, err error) (total token.Amount) {
	switch {
	case !c.paid:
		return 0
	case paid > 0:
		total = paid + c.cost.Fee
	case err != nil && !client.IsUnpaid(err):
		return c.sum // it may have been paid
	}
	if total >= c.sum {
		return total
	}
	back := access.Use{Cost: c.sum - total}
	if total == 0 {
		back.Bytes = c.use.Bytes
	}
	if err := c.g.Return(back); err != nil {
		c.s.o.Log.Warn("what a key has used is counted too high", "key", c.g.Name(), "err", err)
	}
	return total
}
