package ledger

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Committee is the nodes of an epoch and what they hold.
//
// Invariant: Nodes are in the order of their IDs, and are all who hold a shard or
// still keep one for a holder that is not ready; a certificate's bitmap counts them.
type Committee struct {
	Epoch uint64
	Nodes []Member
	staking.Assignment
}

// Member is a node of a committee.
type Member struct {
	_      struct{} `cbor:",toarray"`
	ID     staking.NodeID
	BLS    token.BLSPublicKey
	Shards int // that it has the duty for: its weight in a certificate
	Power  int // in the agreement on blocks: Shards, or 0 for a node that is out; see weigh
}

// Index is the number of a node in the committee.
func (c Committee) Index(id staking.NodeID) (int, bool) {
	return slices.BinarySearchFunc(c.Nodes, id, func(m Member, id staking.NodeID) int { return m.ID.Compare(id) })
}

// Duty is the shards that a node must hold.
func (c Committee) Duty(id staking.NodeID) (out []blob.Shard) {
	for s, h := range c.Holder {
		if h == id {
			out = append(out, blob.Shard(s))
		}
	}
	return out
}

// Keeping is the shards that a node has handed over but must keep until their new holder is ready.
func (c Committee) Keeping(id staking.NodeID) (out []blob.Shard) {
	for s, h := range c.From {
		if h == id {
			out = append(out, blob.Shard(s))
		}
	}
	return out
}

// Certifiers is the committee as a certificate is checked against.
func (c Committee) Certifiers() []registry.Member {
	out := make([]registry.Member, len(c.Nodes))
	for i, m := range c.Nodes {
		out[i] = registry.Member{BLS: m.BLS, Shards: m.Shards}
	}
	return out
}

// Holders is the number of nodes with shards, those without power included.
func (c Committee) Holders() (n int) {
	for _, m := range c.Nodes {
		if m.Shards > 0 {
			n++
		}
	}
	return n
}

// Validators are the nodes with power, in the order of their IDs.
func (c Committee) Validators() (out []Validator) {
	for _, m := range c.Nodes {
		if m.Power > 0 {
			out = append(out, Validator{NodeID: m.ID, Power: int64(m.Power)})
		}
	}
	return out
}

// Validator is a voice in the agreement on blocks.
type Validator struct {
	NodeID staking.NodeID
	Power  int64 // see Member; 0 in an update: not a validator any more
}

// storedCommittee names nodes by their place in the list.
type storedCommittee struct {
	_      struct{} `cbor:",toarray"`
	Epoch  uint64
	Nodes  []Member
	Holder []uint16
	From   []uint16 // 0: ready; else 1 + the place of who keeps it
}

// Committee reads the committee of an epoch.
func (v View) Committee(epoch uint64) (Committee, error) {
	c, ok, err := read[storedCommittee](v, "committee", KeyCommittee(epoch))
	if err != nil {
		return Committee{}, err
	}
	if !ok {
		return Committee{}, fmt.Errorf("epoch %d: %w", epoch, ErrNoCommittee)
	}
	out := Committee{Epoch: c.Epoch, Nodes: c.Nodes}
	for s := range c.Holder {
		if len(c.From) != len(c.Holder) || int(c.Holder[s]) >= len(c.Nodes) || int(c.From[s]) > len(c.Nodes) {
			return Committee{}, fmt.Errorf("committee of epoch %d: shard %d is nobody's", epoch, s)
		}
		out.Holder = append(out.Holder, c.Nodes[c.Holder[s]].ID)
		from := staking.NodeID{}
		if c.From[s] > 0 {
			from = c.Nodes[c.From[s]-1].ID
		}
		out.From = append(out.From, from)
	}
	return out, nil
}

func (c Committee) encode() []byte {
	s := storedCommittee{Epoch: c.Epoch, Nodes: c.Nodes}
	for i := range c.Holder {
		h, _ := c.Index(c.Holder[i])
		s.Holder = append(s.Holder, uint16(h))
		from := uint16(0)
		if !c.From[i].IsZero() {
			k, _ := c.Index(c.From[i])
			from = uint16(k + 1)
		}
		s.From = append(s.From, from)
	}
	return canon.Encode(s)
}

// newCommittee lists the nodes of an assignment; their power is left to weigh.
func newCommittee(epoch uint64, a staking.Assignment, bls func(staking.NodeID) token.BLSPublicKey) Committee {
	count := a.Count()
	for _, id := range a.From {
		if !id.IsZero() {
			count[id] += 0
		}
	}
	c := Committee{Epoch: epoch, Assignment: a}
	for id, n := range count {
		c.Nodes = append(c.Nodes, Member{ID: id, BLS: bls(id), Shards: n})
	}
	slices.SortFunc(c.Nodes, func(x, y Member) int { return x.ID.Compare(y.ID) })
	return c
}
