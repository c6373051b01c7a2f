package light

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// council is nodes of which all are connected members of the committee.
type council struct {
	*town
	members []peer.ID
	told    []peer.ID // that were asked, in order
	gone    peer.ID   // it answers no more
}

func newCouncil(t *testing.T, w *world) *council {
	c := &council{town: &town{}}
	for _, v := range w.committee(t).Validators {
		p, err := p2p.PeerOf(v.PubKey.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		c.members, c.nodes = append(c.members, p), append(c.nodes, w.whole)
	}
	return c
}

func (c *council) Peers() map[peer.ID]p2p.Hello {
	out := map[peer.ID]p2p.Hello{}
	for _, p := range c.members {
		out[p] = p2p.Hello{}
	}
	return out
}

func (c *council) Bootstrap() []peer.AddrInfo { return []peer.AddrInfo{{ID: c.members[0]}} }

func (c *council) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	c.told = append(c.told, p)
	if p == c.gone {
		return nil, errors.New("the connection has ended")
	}
	return c.town.AskLedger(ctx, c.name(slices.Index(c.members, p)), ask, body)
}

// One question after the other goes to the node that answered last, to which a stream stands;
// to another one once that node fails.
func TestTheNodeThatAnsweredIsAskedAgain(t *testing.T) {
	w := newWorld(t, "test", 20)
	c := newCouncil(t, w)
	r := NewRemote(c, w.genesis, RemoteOptions{})
	r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
	look := func() {
		t.Helper()
		v, err := r.View(within(t))
		if err == nil {
			err = v.Prefetch(ledger.KeyHead())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	for range 2 {
		at := c.told[len(c.told)-1]
		for range 20 {
			look()
			if now := c.told[len(c.told)-1]; now != at {
				t.Fatalf("node %s is asked after node %s has answered", now, at)
			}
		}
		c.gone = at
		look()
		if now := c.told[len(c.told)-1]; now == at {
			t.Fatal("a node that is gone has answered")
		}
	}
}
