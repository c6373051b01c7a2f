package ledger

import (
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// account of one node while an epoch is closed: what is read once, changed by one step
// after the other, and written once.
type nodeClosing struct {
	node     NodeRecord
	pool     staking.Pool
	standing staking.Sanctions
	credit   staking.Credit
	keeping  bool // it keeps a shard whose holder is not ready
	seated   bool // it has shards
	out      Statement
}

// settlement closes an epoch. Its steps are in the order in which the money moves;
// none of them looks at another node's books, so that its cost is that of the nodes
// and shards alone: no blob, lease or delegation is read.
type settlement struct {
	*exec
	c     Committee
	tally Tally
	nodes []*nodeClosing // all that are registered, by ID
	books staking.Books
}

// openBooks reads what an epoch's end needs.
func (x *exec) openBooks(c Committee) *settlement {
	s := &settlement{exec: x, c: c, tally: sure(x.view().Tally(c.Epoch))}
	unready := map[staking.NodeID][]uint16{}
	keeping := map[staking.NodeID]bool{}
	shards := c.Count()
	for i, from := range c.From {
		if !from.IsZero() {
			keeping[from] = true
			unready[c.Holder[i]] = append(unready[c.Holder[i]], uint16(i))
		}
	}
	for _, n := range x.nodes() {
		b := &nodeClosing{node: n, pool: x.pool(n.ID), standing: sure(x.view().Sanctions(n.ID)), keeping: keeping[n.ID], seated: shards[n.ID] > 0}
		if i, ok := c.Index(n.ID); ok && i < len(s.tally.Nodes) {
			b.credit = s.tally.Nodes[i]
		}
		b.out = Statement{Shards: uint64(shards[n.ID]), Credit: b.credit, Jailed: b.standing.Jailed(c.Epoch)}
		b.out.PaidEpochs, b.out.HeldBefore = b.standing.Paid, b.pool.Held.Total()
		b.out.Late = b.standing.SetUnready(unready[n.ID], x.p.Staking.Ladder)
		s.nodes = append(s.nodes, b)
	}
	return s
}

// enough says that the epoch was judged: the rungs of the ladder that ask for no proof
// apply to one that was not together with the next.
func (s *settlement) enough() bool { return 2*s.tally.Judged >= s.p.RoundsPerEpoch }

// punish judges each node's conduct, and slashes.
func (s *settlement) punish() {
	faults := s.faults()
	for _, b := range s.nodes {
		s.judge(b, faults[b.node.ID])
		if b.out.Verdict.Bps > 0 {
			s.slash(b, faults[b.node.ID])
		}
		if b.out.Verdict.Out && !b.node.Out {
			b.node.Out = true
			s.put(KeyNode(b.node.ID), b.node)
		}
		b.out.Out = b.node.Out
		if b.out.Verdict.Forfeit {
			s.lose(b, b.pool.Held.Forfeit())
		}
	}
}

func (s *settlement) judge(b *nodeClosing, faults []foundFault) {
	o := &b.out
	o.note(faults)
	for _, f := range faults[min(maxEvidence, len(faults)):] {
		s.dropBundle(f)
	}
	ladder := s.p.Staking.Ladder
	o.RecentLies = b.standing.AddLies(o.Lies, s.c.Epoch, ladder)
	o.DoubleSlash, o.DoublePower, o.DoubleTaken = s.doubleSlash(b.node.ID)
	for i := range o.AwayBefore {
		o.AwayBefore[i] = b.standing.AwayBefore(s.c.Epoch, i)
	}
	o.Past = b.standing.Past
	o.Verdict, b.standing = ladder.Judge(staking.Performance{Credit: b.credit, Enough: s.enough(), Judging: s.tally.Judged, Rounds: s.p.RoundsPerEpoch, Late: o.Late,
		Lies: o.Lies, RecentLies: o.RecentLies, FalseVotes: o.FalseVotes, DoubleSlash: o.DoubleSlash}, b.standing, s.c.Epoch)
}

// slash takes a part of the stake: a bounty for the finders, a part for the repair fund,
// the rest is burned. Nothing goes to the judges.
func (s *settlement) slash(b *nodeClosing, faults []foundFault) {
	o, ladder := &b.out, s.p.Staking.Ladder
	o.AtRisk = staking.Cut{Bond: b.pool.OwnBond(), Balance: b.pool.Balance}
	o.Cut = b.pool.Slash(o.Verdict.Bps)
	total := o.Cut.Total()
	o.Bounty, o.Finders = s.bounty(total, o.Verdict.Rung, faults)
	o.Repair = total.Part(ladder.RepairBps)
	o.Burned = total - o.Bounty - o.Repair
	s.supply(func(v *Supply) {
		v.Repair = must(v.Repair.Add(o.Repair))
		v.Burned = must(v.Burned.Add(o.Burned))
	})
}

// bounty pays the finders of the faults that a slash is for, in equal parts.
func (s *settlement) bounty(total token.Amount, rung uint8, faults []foundFault) (paid token.Amount, found uint64) {
	var finders []token.Address
	for _, f := range faults {
		if uint8(f.Kind) == rung && f.FaultRecord.Finder != (token.Address{}) {
			finders = append(finders, f.FaultRecord.Finder)
		}
	}
	if len(finders) == 0 {
		return 0, 0
	}
	part := s.p.Staking.Ladder.BountyPart(total, uint64(len(finders)))
	for _, to := range finders {
		s.credit(to, part)
		paid += part // at most total
	}
	return paid, uint64(len(finders))
}

// lose sends what a node had held back to the repair fund.
func (s *settlement) lose(b *nodeClosing, a token.Amount) {
	b.out.Lost = must(b.out.Lost.Add(a))
	s.supply(func(v *Supply) { v.Repair = must(v.Repair.Add(a)) })
}

// reward works out what each node earned of the epoch's pool.
func (s *settlement) reward() {
	v := sure(s.view().Supply())
	s.books = staking.Books{Bucket: sure(s.view().Bucket(s.c.Epoch)), Subsidy: min(v.Subsidy, s.p.Subsidy), Carry: v.Carry,
		Tallied: s.tally.Tallied, Judged: s.tally.Judged, Rounds: s.p.RoundsPerEpoch, Shares: s.tally.Tallied * uint64(s.p.Shards)}
	s.o.Delete(KeyBucket(s.c.Epoch))
	terms := Terms{Shards: uint64(s.p.Shards), Pay: s.p.Staking.Pay, Ladder: s.p.Staking.Ladder, Insurance: v.Insurance, Stake: s.stake()}
	if s.tally.Tallied > 0 {
		s.books.TakeFee(terms.Insurance, terms.Stake, terms.Pay)
	}
	var paid token.Amount
	var count uint64
	for _, b := range s.nodes {
		if b.node.Out || b.out.Jailed {
			continue
		}
		b.out.Reward, b.out.Paid = s.books.Reward(b.credit)
		paid, count = must(paid.Add(b.out.Reward)), count+b.out.Paid
	}
	s.books.Close(paid, count, s.p.Staking.Pay)
	s.supply(func(v *Supply) {
		v.Subsidy = must(v.Subsidy.Sub(s.books.Subsidy))
		v.Carry = s.books.Dust
		v.Insurance = must(v.Insurance.Add(s.books.Insured))
		v.Repair = must(v.Repair.Add(s.books.Repair))
		v.Burned = must(must(v.Burned.Add(s.books.FeeBurned)).Add(s.books.Burned))
	})
	s.put(KeyBooks(s.c.Epoch), s.books)
	s.put(KeyTerms(s.c.Epoch), terms)
}

// stake is all that is at risk.
func (s *settlement) stake() (sum token.Amount) {
	for _, b := range s.nodes {
		sum = must(sum.Add(b.pool.AtRisk()))
	}
	return sum
}

// release pays: what was earned less what is held back of it, and the tranche that is
// due of earlier epochs.
func (s *settlement) release() {
	pay := s.p.Staking.Pay
	for _, b := range s.nodes {
		o := &b.out
		o.Locked = b.keeping || s.tally.Tallied == 0 || !s.enough()
		if !o.Locked {
			passed := b.out.releases(pay)
			o.Due[0], o.Due[1] = b.pool.Held.Due()
			var lost token.Amount
			o.Released, o.Deferred, lost = b.pool.Held.Release(passed, pay.Tranches)
			if lost > 0 {
				s.lose(b, lost)
			}
		}
		o.HoldBps = pay.Holding(b.standing.Paid)
		o.Held = o.Reward.Part(o.HoldBps)
		b.pool.Held.Add(o.Held, pay.Tranches)
		if b.seated {
			b.standing.Paid++
		}
		o.CommissionBps, o.Weight = b.pool.CommissionBps, staking.Cut{Bond: b.pool.OwnBond(), Balance: b.pool.Balance}
		if sum := o.Reward - o.Held + o.Released; sum > 0 {
			o.Payment = b.pool.Reward(sum)
		}
		o.HeldAfter = b.pool.Held.Total()
	}
}

// turnPools notes what shares stand for, and lets deposits in and withdrawals out.
// The head is in the new epoch already.
func (s *settlement) turnPools() {
	for _, b := range s.nodes {
		bondLocked := b.keeping || b.seated && !s.p.Staking.Seated(b.pool)
		t := b.pool.Turn(s.epoch(), b.keeping, bondLocked)
		b.out.Price = t.Rate
		for _, in := range t.In {
			s.put(KeyJoined(b.node.ID, in.Epoch), OpenRate{Rate: t.Rate, Open: uint64(in.Amount)})
		}
		for _, gone := range t.Out {
			s.put(KeyLeft(b.node.ID, gone.Epoch), OpenRate{Rate: t.Rate, Open: uint64(gone.Shares)})
		}
	}
}

// close writes what the steps have made.
func (s *settlement) close() {
	for _, b := range s.nodes {
		s.put(KeyPool(b.node.ID), b.pool)
		s.put(KeySanctions(b.node.ID), b.standing)
		if b.out.matters() {
			s.put(KeyStatement(s.c.Epoch, b.node.ID), b.out)
		}
	}
	s.o.Delete(KeyTally(s.c.Epoch))
}

// OpenRate is a Rate and how much of what waited for it has not been settled: money for
// delegators that joined, shares for delegators that left. It goes with the last of them.
type OpenRate struct {
	_    struct{} `cbor:",toarray"`
	Rate staking.Rate
	Open uint64
}
