package ledger

import (
	"errors"
	"slices"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// errEnough ends a walk that has found as much as it wanted.
var errEnough = errors.New("enough")

// begin does what a block does before its transactions: the turn of an epoch, the
// punishment of double signers, the choice of the next committee, and what is due. It
// returns changes of validators, one for each at most.
func (x *exec) begin(b Block) (updates []Validator) {
	x.head.Height, x.head.TimeMs = b.Height, b.TimeMs
	if turn := b.Height > x.head.EpochEnd; turn || len(b.DoubleSigns) > 0 {
		before := x.committee().Validators()
		if turn {
			x.turn()
		}
		x.expel(b.DoubleSigns)
		updates = diff(before, x.committee().Validators())
	}
	x.put(KeyHead(), x.head)
	for _, f := range b.Faults {
		x.note(f)
	}
	x.tally(b.Rounds)
	x.closeDisputes()
	x.round(b)
	x.moveIndex()
	if b.Height == x.head.Middle() {
		x.choose()
	}
	x.sweep()
	x.flushBuckets()
	return updates
}

// turn ends an epoch and begins the next. The order is a rule: slashes come before stake
// leaves, and stake that joins earns nothing of the epoch that ended.
func (x *exec) turn() {
	before := x.committee()
	s := x.openBooks(before)
	s.punish()
	s.reward()
	s.release()
	x.head.Epoch++
	x.head.EpochStart = x.head.EpochEnd + 1
	x.head.EpochEnd = x.head.EpochEnd.Plus(x.p.EpochBlocks())
	s.turnPools()
	s.close()
	x.activate(before)
	x.votes(before)
	x.weighRoom()
}

// choose fixes the committee of the next epoch by the stake of now.
func (x *exec) choose() {
	now := x.committee()
	next := sure(staking.Next(now.Assignment, x.candidates(), x.badness))
	x.putCommittee(x.convene(x.epoch()+1, next))
}

// activate puts the chosen committee in force and forgets the one before last.
func (x *exec) activate(before Committee) {
	next := sure(x.view().Committee(x.epoch()))
	x.putCommittee(x.convene(x.epoch(), staking.Activate(before.Assignment, next.Assignment)))
	if x.epoch() >= 2 {
		x.o.Delete(KeyCommittee(x.epoch() - 2))
	}
}

func (x *exec) nodes() (out []NodeRecord) {
	err := x.view().EachNode(func(n NodeRecord) error {
		out = append(out, n)
		return nil
	})
	return sure(out, err)
}

// candidates are the nodes that may have shards in the next epoch.
func (x *exec) candidates() (out []staking.Candidate) {
	perShard := x.perShard()
	for _, n := range x.nodes() {
		p, standing := x.pool(n.ID), sure(x.view().Sanctions(n.ID))
		if n.Out || standing.Moves(x.epoch()) || !x.p.Staking.Seated(p) {
			continue
		}
		room := x.p.Shards
		if perShard > 0 {
			room = int(min(n.CapacityKiB/perShard, unit.KiB(room)))
		}
		out = append(out, staking.Candidate{ID: n.ID, Stake: p.Counted(x.epoch()+1, x.p.Staking), Capacity: room, NoNew: standing.NoNew(x.epoch())})
	}
	return out
}

// badness orders the nodes whose shards are moved away: nodes that are out come first,
// then those that were slashed most.
func (x *exec) badness(id staking.NodeID) uint64 {
	n, err := x.node(id)
	if sure(n, err).Out {
		return 1 << 20
	}
	if s := sure(x.view().Sanctions(id)); s.Moves(x.epoch()) {
		return s.Badness
	}
	return 0
}

// counted is the last epoch whose committee is fixed: what joins now counts from the
// one after it on, what leaves now has counted until then.
func (x *exec) counted() unit.Epoch {
	if x.head.Height >= x.head.Middle() {
		return x.epoch() + 1
	}
	return x.epoch()
}

// perShard is what is promised for each shard.
func (x *exec) perShard() unit.KiB {
	return sure(x.view().Usage()).ReservedKiB.Share(x.p.Shards)
}

// weighRoom works out how much may be promised for each shard, so that not more than f
// shards outgrow their holders' capacity. The k-th shard of a node has room while a shard
// weighs no more than capacity/k; of all shards in the order of that weight, the one
// after the first f sets the limit. A node that declared less than it holds is taken to
// have room for what it holds.
func (x *exec) weighRoom() {
	now := x.perShard()
	var most []unit.KiB
	for _, m := range x.committee().Nodes {
		n, err := x.node(m.ID)
		capacity := sure(n, err).CapacityKiB
		for k := 1; k <= m.Shards; k++ {
			most = append(most, max(capacity/unit.KiB(k), now))
		}
	}
	slices.Sort(most)
	shape := sure(x.p.Shape())
	x.usage(func(u *Usage) { u.ShardKiB = most[shape.F] })
}

// diff is what changed from one list of validators, sorted by ID, to another.
func diff(before, after []Validator) (out []Validator) {
	power := map[staking.NodeID]int64{}
	for _, v := range before {
		power[v.NodeID] = v.Power
	}
	for _, v := range after {
		if power[v.NodeID] != v.Power {
			out = append(out, v)
		}
		delete(power, v.NodeID)
	}
	for _, v := range before {
		if _, gone := power[v.NodeID]; gone {
			out = append(out, Validator{NodeID: v.NodeID})
		}
	}
	return out
}
