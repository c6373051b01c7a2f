package node

import (
	"context"

	"github.com/walrus-network/walrus/unit"
)

// watchRules tells the operator, once an epoch, of rules to come that this program does
// not know: the ledger stops here before them.
func (n *Node) watchRules(ctx context.Context) error {
	told, last := false, unit.Epoch(0)
	for {
		changed := n.ledger.Changed()
		if notice, epoch, err := n.rulesNotice(ctx); err == nil && notice != "" && (!told || epoch != last) {
			told, last = true, epoch
			n.log.Warn(notice, "epoch", epoch)
		} // what could not be read, the next block tells
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// rulesNotice is what the rules that are planned ask of the operator, and the present epoch.
func (n *Node) rulesNotice(ctx context.Context) (string, unit.Epoch, error) {
	v, err := n.ledger.View(ctx)
	if err != nil {
		return "", 0, err
	}
	head, err := v.Head()
	if err != nil {
		return "", 0, err
	}
	r, err := v.Rules()
	return r.Notice(), head.Epoch, err
}
