package rounds

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// party is one node in the round under way.
type party struct {
	secret   token.Secret
	downs    []span // of the present epoch
	round    challenge.RoundID
	reveal   []byte
	sends    unit.Height         // height at which it gossips its proofs
	sent     bool                // its proofs are out
	listened bool                // since the draw
	heard    map[blob.Shard]bool // shards whose proofs it has
	proves   map[blob.Shard]bool // shards of its own that it can prove
	pulled   bool
}

type span struct{ from, to unit.Height }

func (p *party) up(height unit.Height) bool {
	for _, d := range p.downs {
		if height >= d.from && height < d.to {
			return false
		}
	}
	return true
}

// follow runs the nodes' part of a block, and enters a round or an epoch that it ended.
func (s *simulation) follow(height unit.Height) error {
	v, err := s.net.View()
	if err != nil {
		return err
	}
	h, err := v.Head()
	if err != nil {
		return err
	}
	if h.Epoch != s.epoch() {
		if err := s.account(v); err != nil {
			return err
		}
		if err := s.convene(); err != nil {
			return err
		}
	}
	r, known, err := v.Round()
	if err != nil || !known || !r.Drawn {
		return err
	}
	if r.Over {
		return s.enter(v, r)
	}
	if height == r.T {
		s.ask(r)
	}
	s.carry(r, height)
	return nil
}

// ask settles which shards each node can prove.
func (s *simulation) ask(r ledger.RoundState) {
	for _, n := range s.nodes {
		n.heard, n.proves, n.sent, n.pulled = map[blob.Shard]bool{}, map[blob.Shard]bool{}, false, false
		n.listened = n.up(r.T)
		n.sends = r.T + 1 // within a sixth of the time until the deadline
	}
	for shard, id := range s.committee.Holder {
		if i := s.net.Index[id]; r.Asked(blob.Shard(shard)) {
			s.nodes[i].proves[blob.Shard(shard)] = i > 0 || s.holds(r, blob.Shard(shard))
		}
	}
}

// holds reports whether node0 has every fragment that its shard is asked for.
func (s *simulation) holds(r ledger.RoundState, shard blob.Shard) bool {
	if s.o.Drop == 0 {
		return true
	}
	for _, q := range r.Challenge(s.net.Chain, s.p.Challenge, shard).Questions {
		name := binary.BigEndian.AppendUint64(q.Blob[:], uint64(q.Stripe)<<32|uint64(q.Place)<<1|uint64(q.Axis)&1)
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(name, s.o.Seed))
		if float64(binary.BigEndian.Uint64(sum[:])>>11)/(1<<53) < s.o.Drop {
			return false
		}
	}
	return true
}

// carry moves proofs: gossip brings each to every node once; a node pulls those it missed.
func (s *simulation) carry(r ledger.RoundState, height unit.Height) {
	due := r.T.Plus(s.p.Challenge.Deadline)
	for _, n := range s.nodes {
		if !n.up(height) { // a process that ends forgets
			n.listened, n.heard = false, map[blob.Shard]bool{}
			continue
		}
		if height < n.sends || n.sent || height >= due {
			continue
		}
		n.sent = true
		for shard := range blob.Shard(s.p.Shards) { // in order: one seed gives one history
			for _, to := range s.nodes {
				if n.proves[shard] && to.up(height) && (to == n || s.arrives()) {
					to.heard[shard] = true
				}
			}
		}
	}
	if height < r.T.Plus(s.p.Challenge.Pull) || height >= due {
		return
	}
	for _, n := range s.nodes {
		if n.up(height) && !n.pulled {
			n.pulled = true
			s.pull(n, height)
		}
	}
}

// pull asks the holder of each missing shard for its proof, then two peers.
func (s *simulation) pull(n *party, height unit.Height) {
	for shard, id := range s.committee.Holder {
		of := []*party{s.nodes[s.net.Index[id]], s.nodes[s.random.IntN(len(s.nodes))], s.nodes[s.random.IntN(len(s.nodes))]}
		for _, from := range of {
			if !n.heard[blob.Shard(shard)] && from.up(height) && from.heard[blob.Shard(shard)] && s.arrives() && s.arrives() {
				n.heard[blob.Shard(shard)] = true
			}
		}
	}
}
