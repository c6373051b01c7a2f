package ledger

import (
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// spot is one shard of one blob.
type spot struct {
	blob  int
	shard int
}

// placement follows what each node has on its disk, in a network in which at most f shards are
// in the hands of nodes that are Byzantine or down (see bad): a Byzantine node says that it is ready and confirms
// what it does not have; one that is down does nothing and loses nothing. All others
// keep what they have the duty for and what they are told to keep for a receiver, and
// what they hand over until the end of the epoch in which the receiver is ready. What
// they lack they repair where k1 places can be read, at the latest in the epoch after
// the one in which they came to lack it.
type placement struct {
	*chaos
	shape blob.Shape
	liars map[staking.NodeID]bool
	down  map[staking.NodeID]bool
	disks map[spot]map[staking.NodeID]unit.Epoch // its holders, and the last epoch in which each keeps it
	blobs []unit.Epoch                           // the epoch of each one's certificate
	log   []string
	lost  string
	fair  bool // it ends where liars have more than f shards
}

// forever is of what a node has the duty for.
const forever = 1 << 40

func newPlacement(t testing.TB, seed int64, liars int) *placement {
	c := newChaos(t, seed)
	shape, err := c.g.Params.Shape()
	p := &placement{chaos: c, shape: ok(c.world, shape, err), liars: map[staking.NodeID]bool{},
		down: map[staking.NodeID]bool{}, disks: map[spot]map[staking.NodeID]unit.Epoch{}}
	for _, i := range c.r.Perm(len(c.g.Nodes))[:liars] {
		p.liars[c.g.Nodes[i].ID] = true
	}
	c.confirm, c.most = p.confirm, 4
	return p
}

func (p *placement) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf("block %d, epoch %d: ", p.head().Height, p.head().Epoch)+fmt.Sprintf(format, args...))
}

func (p *placement) honest(id staking.NodeID) bool { return !p.liars[id] }

func (p *placement) up(id staking.NodeID) bool { return p.honest(id) && !p.down[id] }

func (p *placement) has(id staking.NodeID, at spot) bool {
	_, there := p.disks[at][id]
	return there
}

func (p *placement) keep(id staking.NodeID, at spot, until unit.Epoch) {
	if p.disks[at] == nil {
		p.disks[at] = map[staking.NodeID]unit.Epoch{}
	}
	p.disks[at][id] = until
}

// readable is how many places of a blob the honest nodes that are up have.
func (p *placement) readable(b int) int {
	n := 0
	for s := range p.shape.N {
		for id := range p.disks[spot{b, s}] {
			if p.up(id) {
				n++
				break
			}
		}
	}
	return n
}

// check is invariant 21.
func (p *placement) check() bool {
	for b, since := range p.blobs {
		if n := p.readable(b); n < p.shape.K1 {
			p.lost = fmt.Sprintf("epoch %d: %d places of blob %d can be read, certified in epoch %d; %d are needed", p.head().Epoch, n, b, since, p.shape.K1)
			return false
		}
	}
	return true
}

// lies is how many shards the liars have.
func (p *placement) lies(c Committee) (n int) {
	for id, shards := range c.Count() {
		if p.liars[id] {
			n += shards
		}
	}
	return n
}

// certify makes a blob: liars confirm with nothing behind it, and as few others as are
// needed.
func (p *placement) certify() {
	c := p.committee()
	shards := c.Count()
	signed, b := p.lies(c), len(p.blobs)
	var signers []staking.NodeID
	for _, i := range p.r.Perm(len(c.Nodes)) {
		id := c.Nodes[i].ID
		if !staking.Carried(signed, p.shape.N) && p.up(id) && shards[id] > 0 {
			signed += shards[id]
			signers = append(signers, id)
		}
	}
	if !staking.Carried(signed, p.shape.N) {
		return
	}
	for _, id := range signers {
		for _, s := range c.Duty(id) {
			p.keep(id, spot{b, int(s)}, forever)
		}
	}
	p.blobs = append(p.blobs, c.Epoch)
	p.note("blob %d is certified by %d of %d shards, %d of them of liars", b, signed, p.shape.N, p.lies(c))
}

// repair lets the nodes that are up rebuild what they have the duty for and lack: all of it,
// or some.
func (p *placement) repair(all bool) {
	c := p.committee()
	for b := range p.blobs {
		if p.readable(b) < p.shape.K1 {
			continue
		}
		for s, id := range c.Holder {
			if at := (spot{b, s}); p.up(id) && !p.has(id, at) && (all || p.r.Intn(30) == 0) {
				p.keep(id, at, forever)
			}
		}
	}
}

// whole says that a node has all of a shard.
func (p *placement) whole(id staking.NodeID, s int) bool {
	for b := range p.blobs {
		if !p.has(id, spot{b, s}) {
			return false
		}
	}
	return true
}

// confirm is what receivers say: liars at once, others when it is true.
func (p *placement) confirm(c Committee) (txs [][]byte) {
	for s, from := range c.From {
		id := c.Holder[s]
		if from.IsZero() || p.down[id] || p.honest(id) && (!p.whole(id, s) || p.r.Intn(3) > 0) {
			continue
		}
		for _, k := range p.secrets {
			if p.idOf(k) == id {
				txs = append(txs, Unsigned(NewShardReady(p.l.ChainID(), k.Key(), c.Epoch, blob.Shard(s))))
			}
		}
	}
	return txs
}

// follow brings the disks to what a block's committee asks for.
func (p *placement) follow(before Committee) {
	c := p.committee()
	wants := func(id staking.NodeID, s int) bool { return c.Holder[s] == id || c.From[s] == id }
	for at, there := range p.disks {
		for id, until := range there {
			switch {
			case wants(id, at.shard):
				there[id] = forever
			case until == forever: // it has just been let go
				there[id] = c.Epoch
			case until < c.Epoch:
				delete(there, id)
			}
		}
	}
	if c.Epoch != before.Epoch {
		moves := 0
		for s := range c.Holder {
			if c.Holder[s] != before.Holder[s] {
				moves++
			}
		}
		if moves > 0 {
			p.note("%d shards move, %d are on the move; the liars have %d", moves, c.NotReady(), p.lies(c))
		}
	}
}

// bad is how many shards are in bad hands: their holder's, or, where it is not ready, those
// of the node that keeps them for it. To count holders alone would not do: a blob may be certified
// by liars with f shards and k1 others, and where one of the liars' shards moves on and
// waits for its receiver, and another node with one falls over, k1-1 places are left.
func (p *placement) bad(c Committee) (n int) {
	for s, id := range c.Holder {
		if from := c.From[s]; !p.up(id) || !from.IsZero() && !p.up(from) {
			n++
		}
	}
	return n
}

// fall changes which nodes are down, within f shards together with the liars'; false says that
// these alone have more.
func (p *placement) fall() bool {
	c := p.committee()
	bad := p.bad(c)
	if bad > p.shape.F {
		return false
	}
	clear(p.down)
	for _, i := range p.r.Perm(len(c.Nodes)) {
		id := c.Nodes[i].ID
		if !p.honest(id) || p.r.Intn(3) == 0 {
			continue
		}
		p.down[id] = true
		if p.bad(c) > p.shape.F {
			delete(p.down, id)
		}
	}
	for id := range p.away { // a node that is down misses its rounds
		delete(p.away, id)
	}
	for id := range p.down {
		p.away[id] = true
	}
	return true
}

// play goes on for some epochs; false says that a blob was lost.
func (p *placement) play(epochs uint64) bool {
	p.t.Helper()
	if !p.fall() && p.fair {
		return true
	}
	for p.head().Epoch < unit.Epoch(epochs) {
		before := p.committee()
		if p.r.Intn(8) == 0 && len(p.blobs) < 12 {
			p.certify()
		}
		p.repair(false)
		if h := p.head(); h.Height == h.EpochEnd && before.Epoch%2 == 1 {
			p.repair(true)
		}
		p.run(p.block())
		p.follow(before)
		now := p.committee()
		if now.Epoch != before.Epoch {
			if now.Epoch%2 == 1 && len(p.down) > 0 {
				clear(p.down)
				clear(p.away)
			} else if !p.fall() && p.fair {
				return true // more than f shards are liars': nothing is promised
			}
		}
		if !p.check() {
			return false
		}
	}
	return true
}

// TestEveryCertifiedBlobKeepsEnoughPlaces is invariant 21: while stake moves, nodes join,
// are slashed, expelled and fall over, at least k1 places of each blob can be read. So it
// is not where liars have more than f shards: that shows that the test can see a loss.
func TestEveryCertifiedBlobKeepsEnoughPlaces(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	blobs, moves, epochs := 0, 0, uint64(0)
	for seed := range int64(testlevel.Repeat(0, 12, 24)) {
		p := newPlacement(t, seed, 1+int(seed%2))
		p.fair = true
		if !p.play(24) {
			t.Fatalf("seed %d: %s\n%s", seed, p.lost, joined(p.log))
		}
		blobs += len(p.blobs)
		moves += p.done[KindShardReady]
		epochs += uint64(p.head().Epoch)
	}
	t.Logf("%d epochs, %d blobs, %d shards were handed over", epochs, blobs, moves)
	if blobs < 100 || moves < 100 {
		t.Error("too little happened to show anything")
	}
	for seed := int64(0); newPlacement(t, seed, 3).play(10); seed++ {
		if seed == 10 {
			t.Fatal("half of the shards are liars', and nothing is ever lost")
		}
	}
}

func joined(lines []string) (s string) {
	for _, l := range lines {
		s += "    " + l + "\n"
	}
	return s
}
