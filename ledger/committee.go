package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Committee is the nodes of an epoch and what they hold.
//
// Invariant: Nodes are in the order of their IDs, and are all nodes that hold a shard or
// still keep one for a holder that is not ready; a certificate's bitmap counts them.
type Committee struct {
	Epoch unit.Epoch
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
	Epoch  unit.Epoch
	Nodes  []Member
	Holder []uint16
	From   []uint16 // 0: ready; else 1 + the index of the node that keeps it
}

// Committee reads the committee of an epoch.
func (v View) Committee(epoch unit.Epoch) (Committee, error) {
	raw, err := v.rawCommittee(epoch)
	if err != nil {
		return Committee{}, err
	}
	return decodeCommittee(epoch, raw)
}

func (v View) rawCommittee(epoch unit.Epoch) ([]byte, error) {
	raw, ok, err := v.R.Get(KeyCommittee(epoch))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read committee: %w", err)
	case !ok:
		return nil, fmt.Errorf("epoch %d: %w", epoch, ErrNoCommittee)
	}
	return raw, nil
}

func decodeCommittee(epoch unit.Epoch, raw []byte) (Committee, error) {
	var c storedCommittee
	if err := canon.Decode(raw, &c); err != nil {
		return Committee{}, fmt.Errorf("read committee: %w", err)
	}
	out := Committee{Epoch: c.Epoch, Nodes: c.Nodes}
	for s := range c.Holder {
		if len(c.From) != len(c.Holder) || int(c.Holder[s]) >= len(c.Nodes) || int(c.From[s]) > len(c.Nodes) {
			return Committee{}, fmt.Errorf("committee of epoch %d: shard %d has no holder", epoch, s)
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

// committees keeps committees that were decoded: many transactions of a block ask for
// the same one, and one of a thousand nodes takes a millisecond. It only saves work:
// what is kept is used for the very same bytes alone.
type committees struct {
	mu   sync.Mutex // guards kept
	kept map[unit.Epoch]decodedCommittee
}

type decodedCommittee struct {
	raw []byte
	c   Committee
}

// of is the committee of an epoch, for the caller to change. A nil k keeps nothing.
func (k *committees) of(v View, epoch unit.Epoch) (Committee, error) {
	if k == nil {
		return v.Committee(epoch)
	}
	raw, err := v.rawCommittee(epoch)
	if err != nil {
		return Committee{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d, ok := k.kept[epoch]
	if !ok || !bytes.Equal(d.raw, raw) {
		if d.c, err = decodeCommittee(epoch, raw); err != nil {
			return Committee{}, err
		}
		d.raw = bytes.Clone(raw)
		if len(k.kept) >= 4 || k.kept == nil {
			k.kept = map[unit.Epoch]decodedCommittee{}
		}
		k.kept[epoch] = d
	}
	out := d.c
	out.Nodes, out.Holder, out.From = slices.Clone(out.Nodes), slices.Clone(out.Holder), slices.Clone(out.From)
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
func newCommittee(epoch unit.Epoch, a staking.Assignment, bls func(staking.NodeID) token.BLSPublicKey) Committee {
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
