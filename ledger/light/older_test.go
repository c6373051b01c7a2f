package light

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

// olderTown is nodes of which some run a release that does not know the question prove.
type olderTown struct {
	*town
	older map[peer.ID]bool
	vain  atomic.Int64 // questions that were not known
}

func (o *olderTown) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	if ask == p2p.AskProve && o.older[p] {
		o.vain.Add(1)
		return nil, p2p.Refuse(p2p.CodeBadRequest, "unknown question %d", ask)
	}
	return o.town.AskLedger(ctx, p, ask, body)
}

// Networks are upgraded node by node: a client reads from nodes of the release before, from
// a mixed network, and from a node that is upgraded in the middle.
func TestNodesOfTheReleaseBeforeAreRead(t *testing.T) {
	w := newWorld(t, "test", 20)
	o := &olderTown{town: &town{nodes: []oracle{w.whole, w.whole}}}
	o.older = map[peer.ID]bool{o.name(0): true, o.name(1): true}
	r := NewRemote(o, w.genesis, RemoteOptions{})
	look := func(when string) {
		t.Helper()
		v, err := firstLook(within(t), r)
		if err == nil {
			err = readDirectory(v)
		}
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	for range 3 {
		look("with old nodes alone")
	}
	if n := o.vain.Load(); n > 2 {
		t.Errorf("nodes were asked %d times what they do not know", n)
	}
	delete(o.older, o.name(1))
	look("with a node of each release")
	clear(o.older)
	look("with all nodes upgraded")
	if len(o.blamed) > 0 {
		t.Errorf("nodes are blamed for their release: %v", o.blamed)
	}
}
