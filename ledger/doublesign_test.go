package ledger

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// chainOf runs blocks on a world's machine and follows the validators as the
// agreement does: by the updates alone.
type chainOf struct {
	*world
	voices map[staking.NodeID]int64
	blocks []Block
	hashes []blob.Hash
}

func newChainOf(w *world) *chainOf {
	c := &chainOf{world: w, voices: map[staking.NodeID]int64{}}
	first, err := w.l.machine.Validators()
	for _, v := range ok(w, first, err) {
		c.voices[v.NodeID] = v.Power
	}
	return c
}

// block runs one of transactions and evidence.
func (c *chainOf) block(txs [][]byte, found ...DoubleSign) Result {
	c.t.Helper()
	return c.run(Block{Txs: txs, DoubleSigns: found})
}

// run runs a block and checks what must hold of validators after each.
func (c *chainOf) run(b Block) Result {
	c.t.Helper()
	m := c.l.machine
	b.Height, b.TimeMs = m.Height()+1, c.g.Time
	r, err := m.Execute(b)
	if ok(c.world, r, err); m.Commit() != nil {
		c.t.Fatal("no commit")
	}
	c.blocks, c.hashes = append(c.blocks, b), append(c.hashes, r.AppHash)
	told := map[staking.NodeID]bool{}
	for _, v := range r.Validators {
		_, there := c.voices[v.NodeID]
		if told[v.NodeID] || v.Power == 0 && !there {
			c.t.Fatalf("height %d: updates %v: one twice, or one goes who was not there", b.Height, r.Validators)
		}
		told[v.NodeID] = true
		if c.voices[v.NodeID] = v.Power; v.Power == 0 {
			delete(c.voices, v.NodeID)
		}
	}
	now, err := m.Validators()
	sum, stated := int64(0), map[staking.NodeID]int64{}
	for _, v := range ok(c.world, now, err) {
		stated[v.NodeID] = v.Power
		sum += v.Power
	}
	if !maps.Equal(stated, c.voices) {
		c.t.Fatalf("height %d: validators %v, updates lead to %v", b.Height, stated, c.voices)
	}
	if 3*sum <= 2*int64(c.g.Params.Shards) || len(stated) < staking.MinNodes {
		c.t.Fatalf("height %d: %d validators with power %d of %d", b.Height, len(stated), sum, c.g.Params.Shards)
	}
	return r
}

// until runs empty blocks up to a height.
func (c *chainOf) until(height unit.Height) {
	c.t.Helper()
	for c.head().Height < height {
		c.block(nil)
	}
}

func (c *chainOf) member(id staking.NodeID) Member {
	c.t.Helper()
	committee := c.committee()
	i, there := committee.Index(id)
	if !there {
		c.t.Fatalf("%s is not in the committee", id)
	}
	return committee.Nodes[i]
}

func (c *chainOf) out(id staking.NodeID) bool {
	c.t.Helper()
	n, _, err := c.view().Node(id)
	return ok(c.world, n, err).Out
}

func (c *chainOf) record(id staking.NodeID) (DoubleSignRecord, bool) {
	c.t.Helper()
	r, there, err := c.view().DoubleSign(id)
	return ok(c.world, r, err), there
}

func signedTwice(id staking.NodeID, height unit.Height) DoubleSign {
	return DoubleSign{Node: id, Height: height, Power: 2}
}

func TestADoubleSignerLosesItsPowerInTheBlockThatFindsItOut(t *testing.T) {
	c := newChainOf(newWorld(t, small(), 6))
	bad := c.g.Nodes[2].ID
	c.until(4)
	had := c.member(bad)
	if had.Power != had.Shards || had.Power == 0 {
		t.Fatalf("before: %+v", had)
	}
	r := c.block(nil, DoubleSign{Node: bad, Height: 3, Power: 1}, DoubleSign{Node: bad, Height: 2, Power: 9})
	if !slices.Equal(r.Validators, []Validator{{NodeID: bad}}) {
		t.Errorf("updates %v", r.Validators)
	}
	if m := c.member(bad); m.Power != 0 || m.Shards != had.Shards || !c.out(bad) {
		t.Errorf("after: %+v, out %v", m, c.out(bad))
	}
	if got := c.committee(); got.Holders() != 6 || len(got.Validators()) != 5 {
		t.Errorf("%d holders, %d validators", got.Holders(), len(got.Validators()))
	}
	want := DoubleSignRecord{Height: 2, Found: 5, Epoch: 0, Power: 9} // the heavier
	if got, _ := c.record(bad); got != want {
		t.Errorf("record %+v, want %+v", got, want)
	}
	// The same evidence, lighter evidence of the same node, and of an unknown node.
	again := c.block(nil, DoubleSign{Node: bad, Height: 3, Power: 1}, DoubleSign{Node: bad, Height: 5, Power: 2}, DoubleSign{Node: staking.NodeID{5}, Height: 5, Power: 3})
	if got, _ := c.record(bad); len(again.Validators) != 0 || got != want {
		t.Errorf("a second time: updates %v, record %+v", again.Validators, got)
	}
	if _, there := c.record(staking.NodeID{5}); there {
		t.Error("a record of a node that does not exist")
	}
	other := c.g.Nodes[4].ID
	if _, there := c.record(other); there || c.out(other) {
		t.Error("another node is punished")
	}
}

// Its confirmations of before stay worth what they were: shards, not power.
func TestAnExpelledNodesConfirmationsStillCount(t *testing.T) {
	c := newChainOf(newWorld(t, small(), 6))
	bad := c.g.Nodes[2].ID
	m := c.manifest(1, 1000)
	c.do(c.users[1], RegisterBlob{Manifest: m, Epochs: 2, Owner: c.users[1].Address()})
	c.block(nil, signedTwice(bad, 1))
	// Leave out others, as many shards as can be missing.
	shape, err := c.g.Params.Shape()
	ok(c.world, shape, err)
	missing := 0
	sign := func(i int, id staking.NodeID) bool {
		if shards := c.committee().Nodes[i].Shards; id != bad && missing+shards <= shape.F {
			missing += shards
			return false
		}
		return true
	}
	if err := c.send(Certify{Blob: m.ID(), Certificate: c.certificate(m.ID(), 0, sign)}); err != nil {
		t.Fatal(err)
	}
	if without := missing + c.member(bad).Shards; without <= shape.F {
		t.Fatalf("%d shards would miss without it: the test shows nothing", without)
	}
}

func TestPowerGoesOnlyWhileMoreThanTwoThirdsAndFourNodesStay(t *testing.T) {
	id := func(i int) staking.NodeID { return staking.NodeID{byte(i + 1)} }
	for _, c := range []struct {
		name   string
		shards []int
		out    []int // in the order in which they were found
		want   []int
	}{
		{"nobody", []int{2, 2, 2, 2, 2}, nil, []int{2, 2, 2, 2, 2}},
		{"one of five", []int{2, 2, 2, 2, 2}, []int{1}, []int{2, 0, 2, 2, 2}},
		{"two of five: the second stays, four are the least", []int{2, 2, 2, 2, 2}, []int{3, 1}, []int{2, 2, 2, 0, 2}},
		{"one of four", []int{3, 3, 2, 2}, []int{0}, []int{3, 3, 2, 2}},
		{"one of three", []int{4, 3, 3}, []int{0}, []int{4, 3, 3}},
		{"all of four", []int{3, 3, 2, 2}, []int{0, 1, 2, 3}, []int{3, 3, 2, 2}},
		{"exactly two thirds would stay", []int{3, 2, 2, 1, 1}, []int{0}, []int{3, 2, 2, 1, 1}},
		{"one shard more than two thirds stays", []int{2, 2, 2, 2, 1}, []int{0}, []int{0, 2, 2, 2, 1}},
		{"a third of the power at once, in order", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []int{9, 0, 4, 5}, []int{0, 1, 1, 1, 0, 1, 1, 1, 1, 0}},
		{"the first that cannot go keeps those behind it", []int{4, 1, 1, 1, 1, 1, 1}, []int{0, 1}, []int{4, 1, 1, 1, 1, 1, 1}},
		{"found in the other order", []int{4, 1, 1, 1, 1, 1, 1}, []int{1, 0}, []int{4, 0, 1, 1, 1, 1, 1}},
		{"everybody", []int{2, 2, 2, 2, 2}, []int{0, 1, 2, 3, 4}, []int{0, 2, 2, 2, 2}},
		{"one without shards any more does not count", []int{2, 2, 2, 2, 2, 0}, []int{5, 0}, []int{0, 2, 2, 2, 2, 0}},
		{"one that is not there", []int{2, 2, 2, 2, 2}, []int{77, 0}, []int{0, 2, 2, 2, 2}},
	} {
		var committee Committee
		for i, n := range c.shards {
			committee.Nodes = append(committee.Nodes, Member{ID: id(i), Shards: n, Power: 99})
			for range n {
				committee.Holder = append(committee.Holder, id(i))
			}
		}
		var out []staking.NodeID
		for _, i := range c.out {
			out = append(out, id(i))
		}
		for range 2 { // weighing again changes nothing
			committee.weigh(out)
			var got []int
			for i, m := range committee.Nodes {
				got = append(got, m.Power)
				if m.Shards != c.shards[i] {
					t.Errorf("%s: shards %d of %d", c.name, m.Shards, c.shards[i])
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: power %v, want %v", c.name, got, c.want)
			}
		}
	}
}

// Four nodes are the least: then only stake is at risk, however many sign twice.
func TestTheChainGoesOnWhereAllSignTwice(t *testing.T) {
	for _, nodes := range []int{4, 5, 6, 10} {
		c := newChainOf(newWorld(t, small(), nodes))
		c.until(3)
		var all []DoubleSign
		for _, n := range c.g.Nodes {
			all = append(all, signedTwice(n.ID, 2))
		}
		before := len(c.voices)
		c.block(nil, all...)
		if gone := before - len(c.voices); (gone > 0) != (nodes > 4) {
			t.Errorf("%d nodes: %d lost their power", nodes, gone)
		}
		for _, n := range c.g.Nodes {
			if _, there := c.record(n.ID); !there || !c.out(n.ID) {
				t.Errorf("%d nodes: %s gets away", nodes, n.ID)
			}
		}
		c.until(75) // through some epochs
		if c.head().Epoch < 3 {
			t.Fatal("too short to show anything")
		}
	}
}

// The node that is found first loses its power first, whatever its ID is.
func TestPowerGoesInTheOrderOfBeingFoundOut(t *testing.T) {
	c := newChainOf(newWorld(t, small(), 5))
	ids := c.sortedIDs()
	c.block(nil, signedTwice(ids[3], 1))
	c.block(nil, signedTwice(ids[4], 1), signedTwice(ids[0], 1))
	if c.member(ids[3]).Power != 0 || c.member(ids[0]).Power == 0 || c.member(ids[4]).Power == 0 {
		t.Errorf("%v", c.committee().Nodes)
	}
	list, err := c.view().DoubleSigners()
	if ok(c.world, list, err); len(list) != 3 || list[0].Node != ids[3] || list[1].Node != ids[0] || list[2].Node != ids[4] {
		t.Errorf("found out in the order %v", list)
	}
}

// A node that is out for another reason loses its power at the turn that expels it, and
// gives way to one that signed twice where not both can be spared.
func TestOtherExpelledNodesLoseTheirPowerAfterDoubleSigners(t *testing.T) {
	c := newChainOf(newWorld(t, small(), 5))
	ids := c.sortedIDs()
	liar, signer := ids[1], ids[3]
	for round := range c.g.Params.Staking.Ladder.LiesOut {
		c.run(Block{Faults: []Fault{{Node: liar, Kind: Lie, Epoch: 0, Round: unit.Round(round)}}})
	}
	if c.member(liar).Power == 0 {
		t.Fatal("judged before the epoch's end")
	}
	c.until(21)
	if !c.out(liar) || c.member(liar).Power != 0 || c.member(liar).Shards == 0 {
		t.Fatalf("out %v, %+v", c.out(liar), c.member(liar))
	}
	c.block(nil, signedTwice(signer, 21))
	if c.member(signer).Power != 0 || c.member(liar).Power == 0 {
		t.Errorf("%+v", c.committee().Nodes)
	}
}

func (c *chainOf) sortedIDs() (ids []staking.NodeID) {
	for _, m := range c.committee().Nodes {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestEvidenceOfANodeThatHoldsNothingExpelsIt(t *testing.T) {
	w := newWorld(t, small(), 5)
	id, body := w.newcomer(w.users[3], 7, 200*token.WAL)
	w.do(w.users[3], body)
	c := newChainOf(w)
	if r := c.block(nil, signedTwice(id, 1)); len(r.Validators) != 0 || !c.out(id) {
		t.Fatalf("updates %v, out %v", r.Validators, c.out(id))
	}
	if r, there := c.record(id); !there || r.Power != 2 {
		t.Errorf("%+v", r)
	}
	c.until(45) // it would have been given shards
	if _, there := c.committee().Index(id); there {
		t.Error("it is given shards")
	}
}

// A turn that moves a shard to a newcomer and evidence in one block: of the giver,
// of the newcomer, of another node.
func TestEvidenceInTheBlockOfATurn(t *testing.T) {
	for _, who := range []string{"the giver", "the taker", "another"} {
		w := newWorld(t, small(), 6)
		taker, body := w.newcomer(w.users[3], 7, 5000*token.WAL)
		w.do(w.users[3], body)
		c := newChainOf(w)
		c.until(20)
		next, err := c.view().Committee(1)
		var giver, another staking.NodeID
		for s, from := range ok(w, next, err).From {
			if from.IsZero() {
				another = next.Holder[s]
			} else {
				giver = from
			}
		}
		if giver.IsZero() || giver == another {
			t.Fatal("no shard moves: the test shows nothing")
		}
		bad := map[string]staking.NodeID{"the giver": giver, "the taker": taker, "another": another}[who]
		r := c.block(nil, signedTwice(bad, 20))
		// The taker had no voice before: the agreement is not told that it has none now.
		if want := map[string]int{"the giver": 2, "the taker": 1, "another": 3}[who]; c.head().Epoch != 1 || len(r.Validators) != want {
			t.Fatalf("%s: epoch %d, updates %v", who, c.head().Epoch, r.Validators)
		}
		if m := c.member(bad); m.Power != 0 || m.Shards == 0 {
			t.Errorf("%s: %+v", who, m)
		}
		if got, _ := c.record(bad); got.Epoch != 1 || got.Found != 21 {
			t.Errorf("%s: %+v", who, got)
		}
	}
}

// Found in the block of the middle, a node gets nothing in the committee that the
// block chooses; found later, the chosen one says so too. Its power stays away.
func TestEvidenceFromTheMiddleOnReachesTheNextCommittee(t *testing.T) {
	for _, at := range []unit.Height{11, 15} {
		c := newChainOf(newWorld(t, small(), 6))
		bad := c.g.Nodes[1].ID
		if c.head().Middle() != 11 {
			t.Fatal(c.head())
		}
		c.until(at - 1)
		had := c.member(bad).Shards
		c.block(nil, signedTwice(bad, at-1))
		next, err := c.view().Committee(1)
		i, there := ok(c.world, next, err).Index(bad)
		if !there || next.Nodes[i].Power != 0 {
			t.Errorf("found at %d: in the next committee %v, %+v", at, there, next.Nodes)
		}
		if moved := next.Nodes[i].Shards < had; moved != (at == 11) {
			t.Errorf("found at %d: %d shards of %d", at, next.Nodes[i].Shards, had)
		}
		c.until(21)
		if m := c.member(bad); m.Power != 0 || c.head().Epoch != 1 {
			t.Errorf("found at %d: after the turn %+v", at, m)
		}
	}
}

// Random evidence in random blocks, those of turns and middles most of all, beside
// transactions: validators stay within the rule (see block), and a replay agrees.
func TestRandomDoubleSignsKeepTheChainGoingAndReplayAlike(t *testing.T) {
	for seed := range int64(6) {
		r := rand.New(rand.NewSource(seed))
		p := small()
		p.Shards = 10 + 9*int(seed%3)
		w := newWorld(t, p, 4+int(seed)*2)
		id, body := w.newcomer(w.users[3], 90, 5000*token.WAL)
		c := newChainOf(w)
		c.block([][]byte{c.sign(w.users[3], body)})
		ids := append(c.sortedIDs(), id)
		for c.head().Height < 130 {
			h := c.head()
			var found []DoubleSign
			if next := h.Height + 1; next == h.Middle() || next > h.EpochEnd || r.Intn(12) == 0 {
				for range r.Intn(3) {
					found = append(found, DoubleSign{Node: ids[r.Intn(len(ids))], Height: h.Height, Power: int64(r.Intn(5))})
				}
			}
			var txs [][]byte
			if r.Intn(3) == 0 {
				user := c.users[1]
				txs = append(txs, c.sign(user, Transfer{To: token.Address{9}, Amount: 1}))
				c.nonces[user.Address()]++
			}
			for s, from := range c.committee().From {
				if !from.IsZero() && r.Intn(2) == 0 {
					txs = append(txs, c.ready(s))
				}
			}
			c.block(txs, found...)
		}
		c.balanced()
		list, err := c.view().DoubleSigners()
		if len(ok(w, list, err)) < 3 {
			t.Errorf("seed %d: %d nodes were found out: too few to show anything", seed, len(list))
		}
		replay(t, w.g, c.blocks, c.hashes)
		t.Logf("seed %d: %d nodes found out, %d of %d keep a voice", seed, len(list), len(c.voices), len(c.committee().Nodes))
	}
}

// ready is the transaction by which a shard's holder is ready.
func (c *chainOf) ready(shard int) []byte {
	committee := c.committee()
	for _, s := range c.secrets {
		if c.idOf(s) == committee.Holder[shard] {
			return Unsigned(NewShardReady(c.l.ChainID(), s.Key(), committee.Epoch, blob.Shard(shard)))
		}
	}
	c.t.Fatal(fmt.Errorf("nobody holds shard %d", shard))
	return nil
}

// Stake that was counted for the committee that signed a fault cannot be drawn
// before the settlement of the epoch in which evidence of it can come at the latest.
func TestStakeThatCountedAtAFaultIsThereWhenItIsPunished(t *testing.T) {
	for _, shape := range []struct{ round, rounds, unbond uint64 }{{10, 2, 1}, {1, 20, 1}, {20, 1, 2}, {1, 8, 1}, {5, 4, 3}} {
		p := small()
		p.RoundBlocks, p.RoundsPerEpoch, p.Staking.UnbondingEpochs = shape.round, shape.rounds, shape.unbond
		p.Staking.CommissionNotice = shape.unbond + 2
		blocks := p.EpochBlocks()
		epochOf := func(height unit.Height) unit.Epoch { return unit.Epoch(uint64(height-1) / blocks) }
		for asked := unit.Height(blocks) + 1; asked <= unit.Height(2*blocks); asked++ { // all heights of epoch 1
			w := newWorld(t, p, 5)
			op, node, alice := w.users[0], w.g.Nodes[0].ID, w.users[1]
			w.do(alice, Delegate{Node: node, Amount: 50 * token.WAL})
			c := newChainOf(w)
			c.until(asked - 1)
			txs := [][]byte{c.sign(op, Unbond{Node: node, Amount: 50 * token.WAL}), c.sign(alice, Undelegate{Node: node, Shares: staking.Shares(token.WAL)})}
			w.nonces[op.Address()]++
			w.nonces[alice.Address()]++
			for _, x := range c.block(txs).Txs {
				if x.Code != 0 {
					t.Fatal(x.Log)
				}
			}
			counted := uint64(1)
			if c.head().Height >= c.head().Middle() {
				counted = 2 // whose committee is chosen
			}
			pool, _, err := c.view().Pool(node)
			ok(w, pool, err)
			// A committee signs two blocks of the epoch after its own; an age is one more
			// when it is looked at from the block before.
			fault := (counted+1)*blocks + 2
			latest := unit.Height(fault+p.EvidenceBlocks()) + 1
			if drawn := min(pool.BondLeaving[0].Epoch, pool.Leaving[0].Epoch); epochOf(latest) >= drawn {
				t.Errorf("%+v: asked in block %d, drawn in epoch %d, evidence can come in block %d of epoch %d", shape, asked, drawn, latest, epochOf(latest))
			}
			c.until(unit.Height(uint64(min(pool.BondLeaving[0].Epoch, pool.Leaving[0].Epoch)) * blocks)) // the last block before
			c.refusedWith(ErrNothing, c.try(alice, Withdraw{Node: node}))
		}
	}
}
