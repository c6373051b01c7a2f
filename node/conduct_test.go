package node

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// A node that does not keep all lets go of exactly the rest once the blob is certified,
// and does not rebuild it, nor after a restart. An honest one lets go of nothing.
func TestANodeLetsGoOfWhatItDoesNotKeep(t *testing.T) {
	n := startNetwork(t, 7, 28)
	ctx := within(t)
	even := Conduct{Keeps: func(_ blob.ID, p blob.Place) bool { return p%2 == 0 }}
	n.stop(3)
	n.nodes[3].conduct = even
	n.start(3)
	stored := n.store(ctx, n.client(), random(1<<20, 9))
	v, err := n.ledger.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := v.Blob(stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Manifest.Commitment()
	if err != nil {
		t.Fatal(err)
	}
	// odd is how much of the odd places and of the even ones is missing.
	missing := func(i int) (odd, even int) {
		d, err := n.nodes[i].node.duty(ctx)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := n.nodes[i].store.Missing(c, d.places(c.ID, d.shards))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range gone {
			if at.Place%2 == 0 {
				even++
			} else {
				odd++
			}
		}
		return odd, even
	}
	d, err := n.nodes[3].node.duty(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, p := range d.places(c.ID, d.shards) {
		if p%2 == 1 {
			all += 2 * c.Layout.Stripes
		}
	}
	if all == 0 {
		t.Fatal("it has no odd place: choose another seed")
	}
	for odd, even := missing(3); odd != all || even != 0; odd, even = missing(3) {
		if ctx.Err() != nil {
			t.Fatalf("lacks %d fragments at odd places of %d, and %d at even ones", odd, all, even)
		}
		time.Sleep(20 * time.Millisecond) // its loop looks when it looks
	}
	n.stop(3)
	n.start(3)
	n.healed(ctx, 3)
	if odd, even := missing(3); odd != all || even != 0 {
		t.Errorf("after a restart it lacks %d fragments at odd places of %d, and %d at even ones", odd, all, even)
	}
	n.healed(ctx, 0)
	if odd, even := missing(0); odd+even > 0 {
		t.Errorf("an honest node lacks %d", odd+even)
	}
	n.stop(3)
	n.nodes[3].conduct = Conduct{}
	n.start(3)
	n.healed(ctx, 3)
	if odd, even := missing(3); odd+even > 0 {
		t.Errorf("honest again it lacks %d", odd+even)
	}
}

// hearOne is a round with one proof of the node's own shard and one of another's.
func hearOne(n *Node) *hearing {
	other := n.id
	other[0]++
	h := newHearing(n.chain, ledger.RoundState{Round: challenge.Round{Epoch: 1, Round: 2}, Drawn: true}, ledger.Committee{}, ledger.Params{}, true)
	h.committee.Holder = append(h.committee.Holder, n.id, other)
	h.heard[0], h.heard[1] = heard{raw: []byte("own")}, heard{raw: []byte("other's")}
	n.rounds.now = h
	return h
}

// Whom a node does not show its own proofs still gets those that it heard.
func TestANodeMayKeepItsOwnProofsFromSome(t *testing.T) {
	n := startNetwork(t, 4, 7)
	n.stop(3)
	r := n.nodes[3].node.rounds
	hearOne(r.n)
	for _, tt := range []struct {
		conduct Conduct
		to      peer.ID
		shard   blob.Shard
		want    string
	}{
		{Conduct{}, "friend", 0, "own"},
		{Conduct{}, "friend", 1, "other's"},
		{Conduct{}, "friend", 2, ""},
		{Conduct{Shows: func(p peer.ID) bool { return p == "friend" }}, "friend", 0, "own"},
		{Conduct{Shows: func(p peer.ID) bool { return p == "friend" }}, "stranger", 0, ""},
		{Conduct{Shows: func(p peer.ID) bool { return p == "friend" }}, "stranger", 1, "other's"},
	} {
		r.n.Behave(tt.conduct)
		got, err := r.held(t.Context(), tt.to, 1, 2, tt.shard)
		if string(got) != tt.want || (err == p2p.ErrNotHeld) != (tt.want == "") {
			t.Errorf("%s asks for shard %d: %q, %v", tt.to, tt.shard, got, err)
		}
	}
}

// What a node attests is what it heard, unless its conduct says another thing.
func TestANodeAttestsWhatItsConductSays(t *testing.T) {
	n := startNetwork(t, 4, 7)
	n.stop(3)
	r := n.nodes[3].node.rounds
	h := hearOne(r.n)
	listened, _, yes := r.Attest(h.state.Round)
	if !listened || len(yes) != 1 || yes[0] != 0b11 {
		t.Errorf("honest: %v %b", listened, yes)
	}
	r.n.Behave(Conduct{Attest: func(a Attestation) Attestation {
		if a.Shards != 2 || !a.Listened || a.Yes[0] != 0b11 {
			t.Errorf("%+v", a)
		}
		return Attestation{Yes: []byte{0b10}}
	}})
	if listened, _, yes = r.Attest(h.state.Round); listened || len(yes) != 1 || yes[0] != 0b10 {
		t.Errorf("bent: %v %b", listened, yes)
	}
}
