package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// ledgerLimit bounds the time that the network may take to answer.
const ledgerLimit = 20 * time.Second

// ledgerFacts is the part of the ledger that concerns the node, proven.
type ledgerFacts struct {
	head   ledger.Head
	rules  ledger.Rules
	nodes  int                // in the present committee
	record *ledger.NodeRecord // nil: not registered
	pool   staking.Pool
	shards int // of the node's duty
}

// registered checks the ledger's record of the node.
func (x *examination) registered() Check {
	const name = "registration"
	r := x.ledger.record
	switch {
	case r == nil:
		return healthy(name, "the ledger does not know this node: walrus node register, or walrus node request, when all else is well")
	case r.Out:
		return Check{name, Failing, "the node is expelled", "make a new node, with another key: walrus explain slash tells why"}
	}
	c := healthy(name, "%q, a bond of %s, %d shards", r.Name, x.ledger.pool.Bond, x.ledger.shards)
	if p := x.ledger.rules.Params; !p.Staking.Seated(x.ledger.pool) {
		c.Health, c.Advice = Doubtful, fmt.Sprintf("no shards are given for less than %s: walrus pool bond", p.Staking.MinBond)
	}
	return c
}

// look reads the ledger over the network.
func (x *examination) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerLimit)
	defer cancel()
	c, err := client.Connect(ctx, x.network, client.ConnectOptions{Version: x.Version, Log: x.Log})
	if err != nil {
		return err
	}
	facts, err := readFacts(ctx, c, *x.Node)
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	x.ledger = &facts
	return nil
}

func readFacts(ctx context.Context, c *client.Connection, id staking.NodeID) (f ledgerFacts, err error) {
	v, err := c.Remote.View(ctx)
	if err != nil {
		return f, err
	}
	if f.head, err = v.Head(); err != nil {
		return f, err
	}
	if f.rules, err = v.Rules(); err != nil {
		return f, err
	}
	committee, err := v.Committee(f.head.Epoch)
	if err != nil {
		return f, err
	}
	f.nodes, f.shards = len(committee.Nodes), len(committee.Duty(id))
	record, known, err := v.Node(id)
	if err != nil || !known {
		return f, err
	}
	f.record = &record
	f.pool, _, err = v.Pool(id)
	return f, err
}
