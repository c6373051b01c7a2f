package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// before is what a turn, or the choice of a committee, began with.
type before struct {
	head      Head
	committee Committee
	rules     Rules
	supply    Supply
	bucket    token.Amount
	pools     map[staking.NodeID]staking.Pool
	standings map[staking.NodeID]staking.Sanctions
	nodes     map[staking.NodeID]NodeRecord
	list      []staking.Candidate
}

func (c *chaos) remember() (b before) {
	c.t.Helper()
	v := c.view()
	b = before{head: c.head(), committee: c.committee(), rules: c.rules(), pools: map[staking.NodeID]staking.Pool{}, standings: map[staking.NodeID]staking.Sanctions{}, nodes: map[staking.NodeID]NodeRecord{}}
	var err, err2, err3 error
	b.supply, err = v.Supply()
	b.bucket, err2 = v.Bucket(b.head.Epoch)
	err3 = v.EachNode(func(n NodeRecord) error {
		p, _, err := v.Pool(n.ID)
		s, err2 := v.Sanctions(n.ID)
		b.nodes[n.ID], b.pools[n.ID], b.standings[n.ID] = n, p, s
		return errors.Join(err, err2)
	})
	x, err4 := c.l.machine.exec()
	if err := errors.Join(err, err2, err3, err4); err != nil {
		c.t.Fatal(err)
	}
	x.head.Height++
	b.list = x.candidates()
	return b
}

// afterBlock checks what is cheap.
func (c *chaos) afterBlock(was before, b Block) {
	c.t.Helper()
	c.balanced() // 1
	if c.head().Epoch != was.head.Epoch {
		return
	}
	for id, p := range was.pools {
		now, _, err := c.view().Pool(id)
		if ok(c.world, now, err); now.Rate() != p.Rate() { // 5
			c.fatalf("block %d: the rate of %s moved in the middle of an epoch", b.Height, id)
		}
	}
}

// afterTurn checks what an epoch's end has done.
func (c *chaos) afterTurn(was before) {
	c.t.Helper()
	epoch := was.head.Epoch
	books, known, err := c.view().Books(epoch)
	if err != nil || !known {
		c.t.Fatal(known, err)
	}
	rewards := token.Amount(0)
	for id, n := range was.nodes {
		o, told, err := c.view().Statement(epoch, id)
		ok(c.world, o, err)
		rewards += o.Reward
		c.rungs[o.Verdict.Rung]++
		c.turned(was, n, o, told)
	}
	// 6: the books add up, to the last FROST.
	gross := books.Bucket + books.Subsidy + books.Carry
	if books.Bucket != was.bucket || books.Carry != was.supply.Carry || books.Subsidy > was.supply.Subsidy || books.Subsidy > was.rules.Params.Subsidy {
		c.fatalf("epoch %d: books %+v, there was %s, %+v", epoch, books, was.bucket, was.supply)
	}
	if rewards > books.Pool() || books.Pool()+books.Fee != gross || rewards+books.Unearned+books.Dust != books.Pool() ||
		books.Insured+books.FeeBurned != books.Fee || books.Repair+books.Burned != books.Unearned {
		c.fatalf("epoch %d: rewards %s, books %+v", epoch, rewards, books)
	}
	c.moved(was)
	c.leased()
	c.vouched()
}

// turned checks one node's end of an epoch.
func (c *chaos) turned(was before, n NodeRecord, o Statement, told bool) {
	c.t.Helper()
	epoch, had, standing := was.head.Epoch, was.pools[n.ID], was.standings[n.ID]
	pool, _, err := c.view().Pool(n.ID)
	ok(c.world, pool, err)
	if !pool.Rate().AtLeast(had.Rate()) && o.Cut.Balance == 0 { // 5
		c.fatalf("epoch %d: the rate of %s fell from %+v to %+v without a slash", epoch, n.ID, had.Rate(), pool.Rate())
	}
	if had.Held.Total()+o.Held != o.Released+o.Lost+pool.Held.Total() || told && o.HeldAfter != pool.Held.Total() { // 12
		c.fatalf("epoch %d: %s held %s, and %s more; %s released, %s lost, %s held: %+v", epoch, n.ID, had.Held.Total(), o.Held, o.Released, o.Lost, pool.Held.Total(), o)
	}
	if (n.Out || standing.Jailed(epoch)) && (o.Reward > 0 || o.Paid > 0) { // 13
		c.fatalf("epoch %d: %s is out or in jail and earns %s", epoch, n.ID, o.Reward)
	}
	if standing.Jailed(epoch) && o.Released > 0 || o.Verdict.Out && pool.Held.Total() > 0 {
		c.fatalf("epoch %d: %s is punished and is paid what is held: %+v", epoch, n.ID, o)
	}
	if o.Cut.Balance > 0 && o.Cut.Bond < had.OwnBond() { // 8
		c.fatalf("epoch %d: a slash of %s took the delegators' before the bond: %+v of %s", epoch, n.ID, o.Cut, had.OwnBond())
	}
	if o.Cut.Total() != o.Bounty+o.Repair+o.Burned {
		c.fatalf("epoch %d: the slash of %s is %s, of which %+v", epoch, n.ID, o.Cut.Total(), o)
	}
	if o.Payment.Commission+o.Payment.Bond+o.Payment.Delegators != o.Reward-o.Held+o.Released {
		c.fatalf("epoch %d: %s is paid %+v of %+v", epoch, n.ID, o.Payment, o)
	}
	next, err := c.view().Sanctions(n.ID)
	if ok(c.world, next, err); o.Verdict.Jail && !next.Jailed(epoch+2) && was.rules.Params.Staking.Ladder.JailEpochs > 0 {
		c.fatalf("epoch %d: %s is sent to jail and is not in it: %+v", epoch, n.ID, next)
	}
	if standing.Jailed(epoch+1) && !next.Jailed(epoch+1) {
		c.fatalf("epoch %d: %s gets away from jail: %+v, then %+v", epoch, n.ID, standing, next)
	}
}

// moved checks the committee that came into force (11).
func (c *chaos) moved(was before) {
	c.t.Helper()
	now := c.committee()
	for s := range now.Holder {
		keeper := was.committee.Holder[s]
		if from := was.committee.From[s]; !from.IsZero() {
			keeper = from
		}
		if now.Holder[s] != keeper && now.From[s] != keeper {
			c.fatalf("epoch %d: nobody is told to keep shard %d, which %s keeps", now.Epoch, s, keeper)
		}
	}
	if got, most := now.NotReady(), max(staking.MoveBound(len(now.Holder)), was.committee.NotReady()); got > most {
		c.fatalf("epoch %d: %d shards on the move, at most %d", now.Epoch, got, most)
	}
}

// chosen checks the committee that a middle chooses: 11 and 13.
func (c *chaos) chosen(was before) {
	c.t.Helper()
	next, err := c.view().Committee(was.head.Epoch + 1)
	ok(c.world, next, err)
	has, had := next.Count(), was.committee.Count()
	shards := len(next.Holder)
	seats, err := staking.Seats(shards, was.list, func(x staking.Candidate) int {
		if x.NoNew {
			return had[x.ID]
		}
		return max(x.Capacity, had[x.ID])
	})
	staked, total := 0, token.Amount(0)
	for _, x := range was.list {
		if total += x.Stake; x.Stake > 0 {
			staked++
		}
	}
	if err != nil || staked < staking.MinNodes && staked < len(had) {
		if fmt.Sprint(next.Holder) != fmt.Sprint(was.committee.Holder) {
			c.fatalf("epoch %d: too few candidates, and shards move", next.Epoch)
		}
		return
	}
	able := map[staking.NodeID]staking.Candidate{}
	free := 0 // shards that nodes which may have new ones have the stake for
	for _, x := range was.list {
		if able[x.ID] = x; !x.NoNew {
			free += int(must(x.Stake.MulDiv(2*uint64(shards), uint64(total))))
		}
	}
	most := staking.Cap(shards, staked)
	given, moves, lack := 0, 0, 0
	for _, x := range was.list {
		lack += max(0, seats[x.ID]-had[x.ID])
	}
	for s := range next.Holder {
		if next.Holder[s] != was.committee.Holder[s] {
			moves++
		}
	}
	for id, n := range has {
		given += n
		x, candidate := able[id]
		gains := n > had[id]
		switch {
		case gains && !candidate:
			c.fatalf("epoch %d: %s is no candidate and gets shards: %+v", next.Epoch, id, was.nodes[id])
		case gains && n > most && n > seats[id]:
			c.fatalf("epoch %d: %s has %d shards, the cap is %d and its seats %d", next.Epoch, id, n, most, seats[id])
		case gains && x.NoNew && free >= shards:
			c.fatalf("epoch %d: %s may have no new shards and goes from %d to %d", next.Epoch, id, had[id], n)
		}
	}
	if given != shards || moves > lack {
		c.fatalf("epoch %d: %d shards of %d, %d moves, %d would do", next.Epoch, given, shards, moves, lack)
	}
}

// leased checks that what is set aside for each epoch is what live leases paid for it:
// 16 and 18. This epoch's and the next one's hold more: what was deleted is kept so long.
func (c *chaos) leased() {
	c.t.Helper()
	h, v := c.head(), c.view()
	paid, end := map[unit.Epoch]token.Amount{}, h.Epoch+2
	err := v.EachBlob(func(_ blob.ID, e registry.Entry) error {
		for _, l := range e.Leases {
			for epoch := max(l.Start, h.Epoch+2); e.Certified() && epoch < l.End; epoch++ {
				paid[epoch] += l.Price
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	err = each(v, key(letterBucket), func(k []byte, a token.Amount) error {
		epoch := unit.Epoch(numberAt(k))
		if end = max(end, epoch+1); epoch < h.Epoch || epoch >= h.Epoch+2 && a != paid[epoch] {
			return fmt.Errorf("epoch %d: %s is set aside for epoch %d, leases paid %s", h.Epoch, a, epoch, paid[epoch])
		}
		delete(paid, epoch)
		return nil
	})
	if err != nil {
		c.fatalf("%v", err)
	}
	for epoch, a := range paid {
		if a > 0 {
			c.fatalf("epoch %d: leases paid %s for epoch %d, and nothing is there", h.Epoch, a, epoch)
		}
	}
}

// elsewhere works the next blocks out on a copy, up to the turn, and answers what its
// statements say. Nothing of it stays.
func (c *chaos) elsewhere(rounds ...staking.RoundResult) map[staking.NodeID]Statement {
	c.t.Helper()
	x, err := c.l.machine.exec()
	ok(c.world, x, err)
	epoch := x.head.Epoch
	for x.head.Epoch == epoch {
		x.begin(Block{Height: x.head.Height + 1, TimeMs: x.head.TimeMs, Rounds: rounds})
		rounds = nil
	}
	out := map[staking.NodeID]Statement{}
	for _, n := range x.nodes() {
		s, _, err := x.view().Statement(epoch, n.ID)
		out[n.ID] = ok(c.world, s, err)
	}
	return out
}

// creditPays runs the rest of an epoch twice, with one shard-round of one node changed (7).
func (c *chaos) creditPays() {
	c.t.Helper()
	committee := c.committee()
	r := c.round(committee)
	s := c.r.Intn(len(r.Outcomes))
	if !committee.From[s].IsZero() {
		return
	}
	worse := staking.RoundResult{Void: r.Void, Outcomes: slices.Clone(r.Outcomes)}
	r.Outcomes[s] = staking.Passed
	worse.Outcomes[s] = []staking.Outcome{staking.Failed, staking.Away, staking.Inconclusive}[c.r.Intn(3)]
	with, without := c.elsewhere(r), c.elsewhere(worse)
	for id, a := range with {
		b := without[id]
		if id == committee.Holder[s] {
			if a.Reward < b.Reward || a.Credit.Passed != b.Credit.Passed+1 && a.Credit != b.Credit {
				c.fatalf("epoch %d: %s earns %s for %+v, and %s for %+v", committee.Epoch, id, a.Reward, a.Credit, b.Reward, b.Credit)
			}
			continue
		}
		if a.Reward != b.Reward || a.Paid != b.Paid {
			c.fatalf("epoch %d: what %s earns depends on %s: %s or %s", committee.Epoch, id, committee.Holder[s], a.Reward, b.Reward)
		}
	}
}

// play runs a history of some steps.
func (c *chaos) play(steps int) {
	c.t.Helper()
	for c.steps < steps {
		was := c.remember()
		b := c.block()
		if b.Height == was.head.EpochEnd && !c.unjudgedNow() {
			c.creditPays()
		}
		c.run(b)
		c.afterBlock(was, b)
		turn := b.Height > was.head.EpochEnd
		switch {
		case turn:
			c.afterTurn(was)
			c.invariants(was.committee) // 3, 11, 16, 19
		case b.Height == was.head.Middle() && len(b.DoubleSigns) == 0:
			c.chosen(was)
		case c.r.Intn(12) == 0:
			c.invariants(was.committee)
		}
		if c.r.Intn(60) == 0 {
			c.reopen()
		}
	}
}

func (c *chaos) unjudgedNow() bool {
	x, err := c.l.machine.exec()
	return ok(c.world, x, err).unjudged(c.committee())
}

// TestRandomHistoriesKeepTheInvariants is invariants 1 to 3, 5 to 8, 11 to 13 and 16
// to 19 over random histories. One in three is replayed from its genesis.
//
//	go test ./ledger -run Histories -invariant.steps 1000000 -invariant.seed 77
func TestRandomHistoriesKeepTheInvariants(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	const each = 3000
	want := testlevel.Repeat(0, 12_000, 102_000)
	if *chaosSteps > 0 {
		want = *chaosSteps
	}
	histories := (want + each - 1) / each
	done := make(chan *chaos, histories)
	t.Run("of", func(t *testing.T) {
		for i := range histories {
			seed := *chaosSeed + int64(i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				c := newChaos(t, seed)
				c.play(each)
				if i%3 == 0 {
					replay(t, c.g, c.blocks, c.hashes)
				}
				done <- c
			})
		}
	})
	close(done)
	kinds, slashes, steps, epochs := map[Kind]int{}, map[uint8]int{}, 0, uint64(0)
	voted := map[string]int{}
	for c := range done {
		steps += c.steps
		epochs += uint64(c.head().Epoch)
		for k, n := range c.done {
			kinds[k] += n
		}
		for r, n := range c.rungs {
			slashes[r] += n
		}
		for _, v := range votables {
			if v.Of(c.rules().Params) != v.Of(c.g.Params) {
				voted[v.Name]++
			}
		}
	}
	t.Logf("%d steps, %d epochs; done %v; verdicts by rung %v; changed by vote %v", steps, epochs, kinds, slashes, voted)
	if steps < 50_000 || t.Failed() {
		return // too few to expect everything
	}
	for k := KindTransfer; k <= KindSetNodeKeys; k++ {
		if kinds[k] == 0 {
			t.Errorf("no %s was ever done", k)
		}
	}
	for rung := uint8(1); rung <= 9; rung++ {
		if slashes[rung] == 0 {
			t.Errorf("nobody was ever on rung %d", rung)
		}
	}
	if voted["pay.tranches"] == 0 || len(voted) < 10 {
		t.Errorf("votes changed %v", voted)
	}
}

// vouched checks that each certified blob has its certificate and the committee to check it, and
// that nothing is left of any other.
func (c *chaos) vouched() {
	c.t.Helper()
	v, blobs := c.view(), map[unit.Epoch]uint64{}
	err := v.EachBlob(func(id blob.ID, e registry.Entry) error {
		cert, has, err := v.Certificate(id)
		if err == nil && has != e.Certified() {
			return fmt.Errorf("%s: certified %v, certificate %v", id, e.Certified(), has)
		}
		if has {
			blobs[cert.Epoch]++
		}
		return err
	})
	total := uint64(0)
	for _, n := range blobs {
		total += n
	}
	certificates, certifiers := uint64(0), 0
	err2 := each(v, key(letterCertified), func([]byte, registry.Certificate) error { certificates++; return nil })
	err3 := each(v, key(letterVouched), func(k []byte, n uint64) error {
		if epoch := unit.Epoch(numberAt(k)); blobs[epoch] != n {
			return fmt.Errorf("%d blobs of epoch %d, counted as %d", blobs[epoch], epoch, n)
		}
		return nil
	})
	err4 := each(v, key(letterCertifiers), func([]byte, Certifiers) error { certifiers++; return nil })
	if err := errors.Join(err, err2, err3, err4); err != nil || certificates != total || certifiers != len(blobs) {
		c.fatalf("%v: %d certificates of %d blobs, certifiers of %d epochs of %d", err, certificates, total, certifiers, len(blobs))
	}
}
