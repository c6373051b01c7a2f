package rounds

import (
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// receiveOne opens an inbox with a proof of the node's own shard and one of another's.
func receiveOne(p *Participant) *inbox {
	other := p.id
	other[0]++
	b := newInbox(p.Chain, ledger.RoundState{Round: challenge.RoundID{Epoch: 1, Round: 2}, Drawn: true}, ledger.Committee{}, ledger.Params{}, true)
	b.committee.Holder = append(b.committee.Holder, p.id, other)
	b.entries[0], b.entries[1] = entry{raw: []byte("own")}, entry{raw: []byte("other's")}
	p.now = b
	return b
}

// A peer to which a node does not show its own proofs still gets the others.
func TestANodeMayKeepItsOwnProofsFromSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, func(*ledger.Params) {})
		r := n.another(n.ledger)
		receiveOne(r)
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
			r.Behave(tt.conduct)
			got, err := r.serveProof(t.Context(), tt.to, 1, 2, tt.shard)
			if string(got) != tt.want || (err == p2p.ErrNotHeld) != (tt.want == "") {
				t.Errorf("%s asks for shard %d: %q, %v", tt.to, tt.shard, got, err)
			}
		}
	})
}

// A node attests the proofs that it has received, unless its conduct changes that.
func TestANodeAttestsWhatItsConductSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, func(*ledger.Params) {})
		r := n.another(n.ledger)
		b := receiveOne(r)
		listened, _, yes := r.Attest(b.state.Round)
		if !listened || len(yes) != 1 || yes[0] != 0b11 {
			t.Errorf("honest: %v %s", listened, yes)
		}
		r.Behave(Conduct{Attest: func(a Attestation) Attestation {
			if a.Shards != 2 || !a.Listened || a.Yes[0] != 0b11 {
				t.Errorf("%+v", a)
			}
			return Attestation{Yes: []byte{0b10}}
		}})
		if listened, _, yes = r.Attest(b.state.Round); listened || len(yes) != 1 || yes[0] != 0b10 {
			t.Errorf("bent: %v %s", listened, yes)
		}
	})
}
