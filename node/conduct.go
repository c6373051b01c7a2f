package node

import (
	"context"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node/rounds"
)

// Conduct is how a node acts where the rules cannot force it. The zero Conduct is an
// honest node's, and `walrus node run` has no other. A testnet runs nodes with another
// one, to see how the rules answer. Several of its functions may run at the same time.
type Conduct struct {
	// Rounds is the conduct in the storage challenges.
	Rounds rounds.Conduct
	// Keeps says whether the node keeps its fragments at a place of a blob. It drops the
	// others once the blob is certified, and never rebuilds them. Nil: it keeps all.
	Keeps func(blob.ID, blob.Place) bool
	// Choose is the node's choice when it proposes a block. Nil: its block holds all that
	// the node has seen. See comet.Options.
	Choose func(comet.ProposerView) comet.Choice
	// Meet, if not nil, is called with the node before it runs: a conduct drops and
	// rebuilds fragments with it, by LetGo and Rebuild.
	Meet func(*Node)
}

// Behave gives the node another conduct than an honest one. It is called before Run.
func (n *Node) Behave(c Conduct) {
	n.conduct = c
	n.rounds.Behave(c.Rounds)
	if c.Meet != nil {
		c.Meet(n)
	}
}

// keeps splits the places of a blob into those that the node keeps and the rest.
func (c Conduct) keeps(id blob.ID, places []blob.Place) (kept, rest []blob.Place) {
	if c.Keeps == nil {
		return places, nil
	}
	for _, p := range places {
		if c.Keeps(id, p) {
			kept = append(kept, p)
		} else {
			rest = append(rest, p)
		}
	}
	return kept, rest
}

// LetGo drops the node's fragments at places of a blob. Errors: those of the store.
func (n *Node) LetGo(ctx context.Context, id blob.ID, places []blob.Place) error {
	if len(places) == 0 {
		return nil
	}
	n.drops.Lock()
	defer n.drops.Unlock()
	for _, p := range places {
		if err := n.store.DropPlace(ctx, id, p); err != nil {
			return err
		}
	}
	return nil
}

// Rebuild rebuilds a fragment of a blob from other nodes, as repair does, unless the node
// holds it. Errors: those of package fetch, of the ledger and of the store.
func (n *Node) Rebuild(ctx context.Context, c blob.Commitment, at blob.Position) error {
	if held, err := n.store.Has(at); err != nil || held {
		return err
	}
	v, release, err := n.ledger.Hold(ctx)
	if err != nil {
		return err
	}
	d, err := client.DirectoryOf(v)
	release()
	if err != nil {
		return err
	}
	if err := n.store.Keep(ctx, c.Manifest()); err != nil {
		return err
	}
	return n.repairRun(ctx, d, &work{c: c}, runsOf(c.Layout, []blob.Position{at})[0])
}
