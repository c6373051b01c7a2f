package node

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/store"
)

// liar answers the fragment protocol as a node does, but bends what it says.
type liar struct {
	keeper
	fragment func(at blob.Position, data, witness []byte) ([]byte, []byte, error)
	symbols  func(at blob.Position, proven bool, s p2p.Symbols) (p2p.Symbols, error)
	witness  func(w []byte) ([]byte, error)
	asked    atomic.Int64
	begun    atomic.Int64 // requests for fragments from the first stripe on
}

func (l *liar) Fragment(ctx context.Context, at blob.Position) ([]byte, []byte, error) {
	l.asked.Add(1)
	if at.Stripe == 0 {
		l.begun.Add(1)
	}
	data, witness, err := l.keeper.Fragment(ctx, at)
	if err != nil || l.fragment == nil {
		return data, witness, err
	}
	return l.fragment(at, bytes.Clone(data), bytes.Clone(witness))
}

func (l *liar) Symbols(ctx context.Context, at blob.Position, indices []int, proven bool) (p2p.Symbols, error) {
	l.asked.Add(1)
	s, err := l.keeper.Symbols(ctx, at, indices, proven)
	if err != nil || l.symbols == nil {
		return s, err
	}
	return l.symbols(at, proven, s)
}

func (l *liar) Witness(ctx context.Context, id blob.ID, stripe uint32, p blob.Place) ([]byte, error) {
	l.asked.Add(1)
	w, err := l.keeper.Witness(ctx, id, stripe, p)
	if err != nil || l.witness == nil {
		return w, err
	}
	return l.witness(bytes.Clone(w))
}

// Receive of a liar is that of an honest node: it must have something to bend.
func (l *liar) Receive(ctx context.Context, from peer.ID, in *p2p.Upload) (p2p.Confirmation, error) {
	return l.keeper.Receive(ctx, from, in)
}

// turn makes node i answer as l does.
func (n *network) turn(i int, l *liar) *liar {
	l.keeper = keeper{n.nodes[i].node}
	n.nodes[i].host.ServeFragments(l)
	return l
}

func (n *network) peer(i int) peer.ID { return n.nodes[i].host.ID() }

// blamed is the nodes whose wrong bytes a client remembers.
func (n *network) blamed(c *client.Client) (out []int) {
	n.t.Helper()
	for i := range n.nodes {
		if c.Avoids(n.peer(i)) {
			out = append(out, i)
		}
	}
	return out
}

func flip(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

// Whatever one holder says, a reader gets the blob, and blames that holder alone.
func TestALyingHolderIsBlamedAndReadAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		data, other := random(300_000, 1), random(300_000, 2)
		stored := n.store(ctx, n.client(), data)
		foreign := n.store(ctx, n.client(), other)
		const bad = 0
		swap := func(at blob.Position) (d, w []byte, err error) {
			k := keeper{n.nodes[bad].node}
			at.Blob = foreign.ID
			for p := range blob.Place(4) { // whatever it holds of the other blob
				at.Place = p
				if d, w, err = k.Fragment(context.Background(), at); err == nil {
					return d, w, nil
				}
			}
			return nil, nil, err
		}
		for name, lie := range map[string]*liar{
			"a flipped bit": {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) { return flip(d), w, nil }},
			"a witness bent": {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) {
				return d, flip(w), nil
			}},
			"a witness cut": {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) { return d, w[:len(w)/2], nil }},
			"a wrong parity root": {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) {
				x, err := blob.DecodeWitness(w)
				if err != nil {
					return nil, nil, err
				}
				x.Parity.Row[3] ^= 1
				return d, x.Encode(), nil
			}},
			"short by a byte":         {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) { return d[:len(d)-1], w, nil }},
			"nothing":                 {fragment: func(_ blob.Position, _, w []byte) ([]byte, []byte, error) { return nil, w, nil }},
			"too long":                {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) { return append(d, d...), w, nil }},
			"another blob's fragment": {fragment: func(at blob.Position, _, _ []byte) ([]byte, []byte, error) { return swap(at) }},
			"another axis": {fragment: func(at blob.Position, _, _ []byte) ([]byte, []byte, error) {
				at.Axis = at.Axis.Cross()
				return keeper{n.nodes[bad].node}.Fragment(context.Background(), at)
			}},
		} {
			l := n.turn(bad, lie)
			c := n.client()
			n.readAll(ctx, c, stored.ID, data, l)
			if got := n.blamed(c); len(got) != 1 || got[0] != bad {
				t.Errorf("%s: node 0 lied, %v are blamed", name, got)
			}
		}
	})
}

// readAll reads until the liar was asked: which rows are read first depends on the ID.
func (n *network) readAll(ctx context.Context, c *client.Client, id blob.ID, want []byte, l *liar) {
	n.t.Helper()
	_, commitment, d, err := c.Find(ctx, id)
	if err != nil {
		n.t.Fatal(err)
	}
	n.read(ctx, c, id, want)
	// A single byte of each row asks each holder of a source row.
	for at := int64(0); at < commitment.Layout.Size; at += 7001 {
		var got bytes.Buffer
		if err := c.ReadRange(ctx, d, commitment, at, 1, &got); err != nil || got.Bytes()[0] != want[at] {
			n.t.Fatalf("byte %d: %v", at, err)
		}
	}
	if l.asked.Load() == 0 {
		// Its place is a parity row: read with the holders of source rows down.
		n.readWithoutSource(ctx, c, commitment, d, want)
	}
	if l.asked.Load() == 0 {
		n.t.Fatal("the liar was never asked")
	}
}

func (n *network) readWithoutSource(ctx context.Context, c *client.Client, commitment blob.Commitment, d *fetch.Directory, want []byte) {
	n.t.Helper()
	short := *d
	short.Members = append([]fetch.Member(nil), d.Members...)
	victim := d.Holder[commitment.ID.ShardOf(0, d.Shape.N)]
	short.Members[victim].Peer, short.Members[victim].Addrs = peer.ID("nobody"), nil
	var got bytes.Buffer
	if err := c.Fetcher.Read(ctx, &short, commitment, &got); err != nil {
		n.t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		n.t.Fatal("reads wrong")
	}
}

// Repair is optimistic: symbols come without proofs. A liar is found all the same.
func TestALyingHolderDoesNotStopRepairAndIsFound(t *testing.T) {
	testlevel.Middle(t, "starts five networks")
	for name, lie := range map[string]func() *liar{
		"lies always": func() *liar {
			return &liar{symbols: func(_ blob.Position, proven bool, s p2p.Symbols) (p2p.Symbols, error) {
				if proven {
					s.Openings[0] = flip(bytes.Clone(s.Openings[0]))
				} else {
					s.Data = flip(bytes.Clone(s.Data))
				}
				return s, nil
			}}
		},
		"lies where it need not prove": func() *liar {
			return &liar{symbols: func(_ blob.Position, proven bool, s p2p.Symbols) (p2p.Symbols, error) {
				if !proven {
					s.Data = flip(bytes.Clone(s.Data))
				}
				return s, nil
			}}
		},
		"does not hold what it has to prove": func() *liar {
			return &liar{symbols: func(_ blob.Position, proven bool, s p2p.Symbols) (p2p.Symbols, error) {
				if proven {
					return p2p.Symbols{}, p2p.ErrNotHeld
				}
				s.Data = flip(bytes.Clone(s.Data))
				return s, nil
			}}
		},
		"bends witnesses": func() *liar {
			return &liar{witness: func(w []byte) ([]byte, error) { return flip(w), nil }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := startNetwork(t, 7, 7)
				ctx := within(t)
				data := random(700_000, 3)
				stored := n.store(ctx, n.client(), data)
				const bad, healing = 1, 4
				l := n.turn(bad, lie())
				n.wipe(healing)
				n.start(healing)
				n.healed(ctx, healing)
				if l.asked.Load() == 0 {
					t.Fatal("the liar was never asked: keys and content decide its place")
				}
				for i := range n.nodes {
					if got := n.nodes[healing].host.Avoided(n.peer(i)); got != (i == bad) {
						t.Errorf("node %d avoided: %v", i, got)
					}
				}
				n.possesses(healing, stored.ID)
			})
		})
	}
}

// possesses checks that a node holds all of its fragments of a blob, and reads each.
func (n *network) possesses(i int, id blob.ID) {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	e, ok, err := v.Blob(id)
	if err != nil || !ok {
		n.t.Fatal(ok, err)
	}
	c, err := e.Manifest.Commitment()
	if err != nil {
		n.t.Fatal(err)
	}
	d, err := dutyOf(v, n.nodes[i].node.id)
	if err != nil {
		n.t.Fatal(err)
	}
	places := d.places(id, d.shards)
	missing, err := n.nodes[i].store.Missing(c, places)
	if err != nil || len(missing) > 0 {
		n.t.Fatalf("node %d lacks %d fragments of %s: %v", i, len(missing), id, err)
	}
	for _, p := range places {
		for stripe := range uint32(c.Layout.Stripes) {
			w, err := n.nodes[i].store.Witness(id, stripe, p)
			if err != nil {
				n.t.Fatal(err)
			}
			roots, err := w.Prove(c, stripe, p)
			if err != nil {
				n.t.Fatal(err)
			}
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				f, err := n.nodes[i].store.Fragment(blob.Position{Blob: id, Stripe: stripe, Place: p, Axis: axis})
				if err != nil {
					n.t.Fatal(err)
				}
				if _, err := roots.VerifySource(axis, f.Bytes(), w.Parity.Of(axis)); err != nil {
					n.t.Fatalf("node %d: %v", i, err)
				}
			}
		}
	}
}

// Silence, a trickle and a hangup cost a read a moment, not a timeout, and only once.
func TestASilentOrSlowHolderIsReadAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		data := random(2_000_000, 4)
		stored := n.store(ctx, n.client(), data)
		block := make(chan struct{})
		t.Cleanup(func() { close(block) })
		for name, lie := range map[string]*liar{
			"silent": {fragment: func(blob.Position, []byte, []byte) ([]byte, []byte, error) {
				<-block
				return nil, nil, store.ErrMissing
			}},
			"slow": {fragment: func(_ blob.Position, d, w []byte) ([]byte, []byte, error) {
				select {
				case <-block:
				case <-time.After(200 * time.Millisecond): // always within the hedge
				}
				return d, w, nil
			}},
			"hangs up": {fragment: func(blob.Position, []byte, []byte) ([]byte, []byte, error) {
				return nil, nil, errors.New("disk on fire")
			}},
		} {
			for _, bad := range []int{0, 1, 2, 3} {
				l := n.turn(bad, &liar{fragment: lie.fragment})
				c := n.client()
				n.read(ctx, c, stored.ID, data)
				if asked := l.asked.Load(); name == "slow" && asked > 15 {
					t.Errorf("waited for %d of 21 stripes of a holder that is slow on purpose", asked)
				}
				if got := n.blamed(c); len(got) != 0 {
					t.Errorf("%s: %v are blamed for what is no lie", name, got)
				}
				// The next read asks the others first.
				l.begun.Store(0) // it may still be busy with a call that has been given up
				n.read(ctx, c, stored.ID, data)
				if asked := l.begun.Load(); asked > 0 {
					t.Errorf("%s: node %d is asked first again", name, bad)
				}
				n.nodes[bad].host.ServeFragments(keeper{n.nodes[bad].node})
			}
		}
	})
}
