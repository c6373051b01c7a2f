package ledger

import (
	"errors"
	"slices"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// errEnough ends a walk that has found as much as it wanted.
var errEnough = errors.New("enough")

// begin does what a block does before its transactions: the turn of an epoch, the
// choice of the next committee, and what is due. It returns changes of validators.
func (x *exec) begin(b Block) (updates []Validator) {
	x.head.Height, x.head.TimeMs = b.Height, b.TimeMs
	if b.Height > x.head.EpochEnd {
		updates = x.turn()
	}
	x.put(KeyHead(), x.head)
	for _, id := range b.DoubleSigners {
		x.expel(id)
	}
	if b.Height == x.head.Middle() {
		x.choose()
	}
	x.sweep()
	return updates
}

// turn ends an epoch and begins the next: rewards, rates, committee.
func (x *exec) turn() []Validator {
	before := x.committee()
	x.reward(before)
	x.head.Epoch++
	x.head.EpochStart = x.head.EpochEnd + 1
	x.head.EpochEnd += x.p.EpochBlocks()
	x.turnPools()
	after := x.activate(before)
	x.weighRoom()
	return diff(before.Validators(), after.Validators())
}

// credit is how many shards' worth of an epoch's pay each node earned. For now a
// shard earns when its holder was ready at the epoch's end.
func credit(c Committee) map[staking.NodeID]uint64 {
	out := map[staking.NodeID]uint64{}
	for s, id := range c.Holder {
		if c.From[s].IsZero() {
			out[id]++
		}
	}
	return out
}

// reward pays the epoch's bucket and what was carried. Each node gets its credit's
// part of all shards, rounded down, so that another's failure never raises it;
// what nobody earned is carried.
func (x *exec) reward(c Committee) {
	supply := sure(x.view().Supply())
	bucket := sure(x.view().Bucket(c.Epoch))
	pay := must(supply.Carry.Add(bucket))
	x.o.Delete(KeyBucket(c.Epoch))
	earned := credit(c)
	left := pay
	for _, m := range c.Nodes {
		r := must(pay.MulDiv(earned[m.ID], uint64(x.p.Shards)))
		if r == 0 {
			continue
		}
		p := x.pool(m.ID)
		p.Reward(r)
		x.put(KeyPool(m.ID), p)
		left = must(left.Sub(r))
	}
	x.supply(func(s *Supply) { s.Carry = left })
}

// turnPools lets deposits in and withdrawals out, and notes the rate at which.
func (x *exec) turnPools() {
	for _, n := range x.nodes() {
		p := x.pool(n.ID)
		if rate, changed := p.Turn(x.epoch()); changed {
			x.put(KeyRate(n.ID, x.epoch()), rate)
			x.put(KeyPool(n.ID), p)
		}
	}
}

// choose fixes the committee of the next epoch by the stake of now.
func (x *exec) choose() {
	now := x.committee()
	next := sure(staking.Next(now.Assignment, x.candidates()))
	x.putCommittee(newCommittee(x.epoch()+1, next, x.blsOf))
}

// activate puts the chosen committee in force and forgets the one before last.
func (x *exec) activate(before Committee) Committee {
	next := sure(x.view().Committee(x.epoch()))
	after := newCommittee(x.epoch(), staking.Activate(before.Assignment, next.Assignment), x.blsOf)
	x.putCommittee(after)
	if x.epoch() >= 2 {
		x.o.Delete(KeyCommittee(x.epoch() - 2))
	}
	return after
}

func (x *exec) nodes() (out []NodeRecord) {
	err := x.view().EachNode(func(n NodeRecord) error {
		out = append(out, n)
		return nil
	})
	return sure(out, err)
}

// candidates are the nodes that may be given shards.
func (x *exec) candidates() (out []staking.Candidate) {
	perShard := x.perShard()
	for _, n := range x.nodes() {
		p := x.pool(n.ID)
		if n.Out || !x.p.Staking.Seated(p) {
			continue
		}
		room := x.p.Shards
		if perShard > 0 {
			room = int(min(n.CapacityKiB/perShard, uint64(room)))
		}
		out = append(out, staking.Candidate{ID: n.ID, Stake: p.Stake(), Capacity: room})
	}
	return out
}

// perShard is how many KiB are promised for each shard.
func (x *exec) perShard() uint64 {
	shards := uint64(x.p.Shards)
	return (sure(x.view().Usage()).ReservedKiB + shards - 1) / shards
}

// weighRoom works out how much may be promised for each shard, so that not more
// than f shards outgrow their holders' capacity. The k-th shard of a node has room
// while a shard weighs no more than capacity/k; of all shards in the order of that
// weight, the one after the first f sets the limit. Who declared less than they
// hold is taken to have room for what they hold.
func (x *exec) weighRoom() {
	now := x.perShard()
	var most []uint64
	for _, m := range x.committee().Nodes {
		n, err := x.node(m.ID)
		capacity := sure(n, err).CapacityKiB
		for k := 1; k <= m.Shards; k++ {
			most = append(most, max(capacity/uint64(k), now))
		}
	}
	slices.Sort(most)
	shape := sure(x.p.Shape())
	x.usage(func(u *Usage) { u.ShardKiB = most[shape.F] })
}

// expel marks a node that signed two blocks at one height: no new shards, and those
// it has move away within the bound. Doing it twice does it once.
func (x *exec) expel(id staking.NodeID) {
	n, ok, err := x.view().Node(id)
	if sure(ok, err) && !n.Out {
		n.Out = true
		x.put(KeyNode(id), n)
	}
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

// Audit adds up all the money of the ledger. It reads every account and pool, and
// is for checkers, not for blocks.
type Audit struct {
	Accounts, Pools, Buckets, Carry, Escrow, Allowances, Burned, Total token.Amount
}

// Balanced says that no FROST was made or lost.
func (a Audit) Balanced() bool {
	sum := token.Amount(0)
	for _, part := range []token.Amount{a.Accounts, a.Pools, a.Buckets, a.Carry, a.Escrow, a.Allowances, a.Burned} {
		var err error
		if sum, err = sum.Add(part); err != nil {
			return false
		}
	}
	return sum == a.Total
}

// Audit adds up all the money there is.
func (v View) Audit() (a Audit, err error) {
	s, err := v.Supply()
	if err != nil {
		return a, err
	}
	a.Carry, a.Escrow, a.Allowances, a.Burned, a.Total = s.Carry, s.Escrow, s.Allowances, s.Burned, s.Total
	err = each(v, key(letterAccount), func(_ []byte, acc Account) (err error) {
		a.Accounts, err = a.Accounts.Add(acc.Balance)
		return err
	})
	if err == nil {
		err = each(v, key(letterPool), func(_ []byte, p staking.Pool) (err error) {
			a.Pools, err = a.Pools.Add(p.Total())
			return err
		})
	}
	if err == nil {
		err = each(v, key(letterBucket), func(_ []byte, b token.Amount) (err error) {
			a.Buckets, err = a.Buckets.Add(b)
			return err
		})
	}
	return a, err
}
