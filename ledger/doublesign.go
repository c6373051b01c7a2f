package ledger

import (
	"cmp"
	"errors"
	"slices"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// DoubleSign is proof, checked by the agreement, that a node signed two blocks at
// one height.
type DoubleSign struct {
	Node   staking.NodeID
	Height unit.Height // of the fault
	Power  int64       // of the node at the fault, in shards
}

// DoubleSignRecord is what the ledger keeps of a node's first proven double sign: what
// its stake is slashed by. Of several that are found before the end of the epoch the one
// with most power counts, so that no node can hide it behind a lighter one; later ones of
// the same node change nothing.
type DoubleSignRecord struct {
	_        struct{}    `cbor:",toarray"`
	Height   unit.Height // of the fault
	Found    unit.Height // height of the block that held the evidence
	Epoch    unit.Epoch  // of that block
	Power    uint64      // of the node at the fault, in shards
	TakenBps unit.Bps    // of the node's stake, taken for it until now, in 1/10000
}

// DoubleSigner is a node and what it is punished for.
type DoubleSigner struct {
	Node staking.NodeID
	DoubleSignRecord
}

// DoubleSign is a node's record; ok is false for a node that was never found out.
func (v View) DoubleSign(id staking.NodeID) (r DoubleSignRecord, ok bool, err error) {
	return read[DoubleSignRecord](v, "double sign", KeyDoubleSign(id))
}

// DoubleSigners are all nodes that were found out, in the order in which they were;
// those of one block in the order of their IDs.
func (v View) DoubleSigners() (out []DoubleSigner, err error) {
	err = each(v, key(letterDoubleSign), func(k []byte, r DoubleSignRecord) error {
		out = append(out, DoubleSigner{Node: staking.NodeID(k), DoubleSignRecord: r})
		return nil
	})
	slices.SortStableFunc(out, func(a, b DoubleSigner) int { return cmp.Compare(a.Found, b.Found) })
	return out, err
}

func (x *exec) doubleSigners() []DoubleSigner { return sure(x.view().DoubleSigners()) }

// expel punishes nodes at once: no new shards, those they have move away within the
// bound, and no power as far as Committee.weigh lets it. What it costs them is
// settled at the epoch's end, by the record. Nodes that the ledger does not know
// are passed over; doing it twice does it once.
func (x *exec) expel(found []DoubleSign) {
	fresh := false
	for _, d := range found {
		n, registered, err := x.view().Node(d.Node)
		r, known, err2 := x.view().DoubleSign(d.Node)
		power := uint64(max(0, d.Power))
		if !sure(registered, errors.Join(err, err2)) || known && (r.TakenBps > 0 || power <= r.Power) {
			continue
		}
		if known { // a heavier fault than the first, before that was settled
			r.Height, r.Power = d.Height, power
			x.put(KeyDoubleSign(d.Node), r)
			continue
		}
		fresh, n.Out = true, true
		x.put(KeyNode(d.Node), n)
		x.put(KeyDoubleSign(d.Node), DoubleSignRecord{Height: d.Height, Found: x.head.Height, Epoch: x.epoch(), Power: power})
	}
	if fresh {
		x.reweigh()
	}
}

// reweigh gives power anew in the committee in force, and in the next where it is chosen.
func (x *exec) reweigh() {
	out := x.expelled()
	for _, epoch := range []unit.Epoch{x.epoch(), x.epoch() + 1} {
		c, err := x.view().Committee(epoch)
		if errors.Is(err, ErrNoCommittee) {
			continue
		}
		sure(c, err)
		c.weigh(out)
		x.putCommittee(c)
	}
}

// expelled are the nodes whose power is to go: double signers in the order in which they
// were found, since they strike at the agreement itself; then the nodes that are out for
// anything else, in the order of their IDs.
func (x *exec) expelled() (out []staking.NodeID) {
	for _, d := range x.doubleSigners() {
		out = append(out, d.Node)
	}
	signers := len(out)
	for _, n := range x.nodes() {
		if n.Out && !slices.Contains(out[:signers], n.ID) {
			out = append(out, n.ID)
		}
	}
	return out
}

// convene makes a committee of an assignment.
func (x *exec) convene(epoch unit.Epoch, a staking.Assignment) Committee {
	c := newCommittee(epoch, a, x.blsOf)
	c.weigh(x.expelled())
	return c
}

// weigh gives every member its shards as power, and takes it from the nodes of out, in
// their order. A node loses it if more than 2/3 of all shards and at least MinNodes voices
// are left then: so the honest nodes can go on without it, and no small group agrees for
// all. The first node that cannot be spared and all after it keep their power until the
// shards have moved: until then they risk only stake.
func (c *Committee) weigh(out []staking.NodeID) {
	power, voices := 0, 0
	for i := range c.Nodes {
		m := &c.Nodes[i]
		m.Power = m.Shards
		if m.Power > 0 {
			power, voices = power+m.Power, voices+1
		}
	}
	for _, id := range out {
		i, ok := c.Index(id)
		if !ok || c.Nodes[i].Shards == 0 {
			continue
		}
		m := &c.Nodes[i]
		if 3*(power-m.Shards) <= 2*len(c.Holder) || voices <= staking.MinNodes {
			return
		}
		power, voices, m.Power = power-m.Shards, voices-1, 0
	}
}

// doubleSlash is what a node pays at this epoch's end for a double sign of this or the
// last epoch, in 1/10000: by all the power that did so within the two, less what it has
// paid before. A node that double-signed just before the turn pays also for nodes that
// did so after it. It also returns that power, and what was paid before.
func (x *exec) doubleSlash(id staking.NodeID) (bps unit.Bps, power uint64, taken unit.Bps) {
	own, ok, err := x.view().DoubleSign(id)
	if !sure(ok, err) || own.Epoch+1 < x.epoch() {
		return 0, 0, 0
	}
	for _, d := range x.doubleSigners() {
		if d.Epoch+1 >= own.Epoch && d.Epoch <= own.Epoch+1 {
			power += d.Power
		}
	}
	taken = own.TakenBps
	due := x.p.Staking.Ladder.DoubleSignDue(int(power), x.p.Shards, taken)
	if due <= taken {
		return 0, power, taken
	}
	own.TakenBps = due
	x.put(KeyDoubleSign(id), own)
	return staking.SlashMore(due, taken), power, taken
}
