package ledger

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// slowTimes is how much longer than nominal the time for proofs may take.
const slowTimes = 3

// RoundState is the round that is under way: from Freeze blocks before its draw until
// it was tallied.
type RoundState struct {
	_        struct{} `cbor:",toarray"`
	Round    challenge.Round
	Ordinal  uint64   // of all rounds of the chain
	T        uint64   // height of the draw; it moves on while too few reveal, or a closer is silent
	Nominal  uint64   // where T was first
	Closers  []uint16 // by number in the committee: who close the beacon, in this order
	Closed   bool     // the reveals are; the closers follow
	Turn     uint64   // number of closers whose turn is over
	Since    uint64   // height of the block that began the present turn
	Drawn    bool
	Over     bool // tallied, or skipped
	Void     bool // the blocks came too slowly for the freeze to hold, or too many did not pass: no strikes
	TimeMs   int64
	Beacon   challenge.Beacon
	Drawings []Drawing
	Ready    []byte     // bit s mod 8 of byte s/8: shard s had a holder that was ready at the draw
	Reveals  []Revealed // in the order of the committee's nodes
	Votes    []Voted    // in the same order
	Passed   []byte     // bit s mod 8 of byte s/8: shard s was tallied as proven
}

// Drawing is a stripe that is asked for, with what its blob commits to: a blob that
// ends after the draw is still proven.
type Drawing struct {
	_        struct{} `cbor:",toarray"`
	Manifest blob.Manifest
	Stripe   uint32
}

// Revealed is a node's part of the beacon.
type Revealed struct {
	_         struct{} `cbor:",toarray"`
	Node      uint16   // its number in the committee
	Signature token.BLSSignature
}

// Voted is what a node has attested so far.
type Voted struct {
	_        struct{} `cbor:",toarray"`
	Node     uint16
	Listened bool
	Own      blob.Hash // what it promised at the deadline
	Yes      []byte
}

// Round is the round under way, or the last one; ok is false before the first.
func (v View) Round() (r RoundState, ok bool, err error) {
	return read[RoundState](v, "round", KeyRound())
}

// Beacon is the last one that was drawn from; zero before the first.
func (v View) Beacon() (challenge.Beacon, error) {
	b, _, err := read[challenge.Beacon](v, "beacon", KeyBeacon())
	return b, err
}

// attests says whether votes on the block at a height carry attestations.
func (r RoundState) attests(p challenge.Params, height uint64) bool {
	if !r.Drawn || height < r.T {
		return false
	}
	at := height - r.T
	return at >= p.Deadline && at < p.Deadline+p.Attest || at >= p.Second && at < p.Second+p.Attest
}

// asks says that the ledger runs challenges by itself.
func (p Params) asks() bool { return p.Challenged && p.Challenge.Draws() > 0 }

// round moves the round under way on by a block.
func (x *exec) round(b Block) {
	c := x.committee()
	if !x.p.asks() || x.unjudged(c) {
		return
	}
	r, _, err := x.view().Round()
	sure(r, err)
	if x.opens(r) {
		r = x.openRound(c)
	}
	if r.Over || r.T == 0 {
		return
	}
	p := x.p.Challenge
	if r.Drawn {
		x.judgeRound(&r, c, b)
	} else if x.head.Height > r.opened(p) {
		x.approach(&r, c, b)
	}
	x.put(KeyRound(), r)
	if r.Over {
		x.keepRound(r)
	}
}

// judgeRound takes what a block after the draw carries, and tallies the round when all
// votes on it are in.
func (x *exec) judgeRound(r *RoundState, c Committee, b Block) {
	p := x.p.Challenge
	r.takeVotes(c, b.Extensions, x.p.Shards)
	if x.head.Height == r.T+p.Deadline && b.TimeMs-r.TimeMs > slowTimes*int64(p.Deadline*x.p.BlockMs) {
		r.Void = true
	}
	if x.head.Height == r.T+p.Second+p.Attest {
		out := x.tallyRound(c, x.outcomes(*r, c))
		r.close(out)
		x.noteDrawn(*r, out)
	}
}

// opens says that the block opens a round, which is Freeze blocks before its draw. When
// that is follows from the last beacon, so that it is known when the round before is
// drawn, and not earlier.
func (x *exec) opens(last RoundState) bool {
	this := x.present()
	if last.T > 0 && last.Round == this {
		return false
	}
	p := x.p.Challenge
	at := (x.head.Height - x.head.EpochStart) % x.p.RoundBlocks
	return at+p.Freeze == p.Start+challenge.Offset(sure(x.view().Beacon()), this, p.Offsets(x.p.RoundBlocks, x.p.Shards))
}

// present is the round that the block's height is in.
func (x *exec) present() challenge.Round {
	return challenge.Round{Epoch: x.epoch(), Round: (x.head.Height - x.head.EpochStart) / x.p.RoundBlocks}
}

// close takes over how the round went.
func (r *RoundState) close(out staking.Round) {
	r.Over, r.Void = true, out.Voids()
	r.Passed = make([]byte, (len(out.Outcomes)+7)/8)
	for s, o := range out.Outcomes {
		if o == staking.Passed {
			r.Passed[s/8] |= 1 << (s % 8)
		}
	}
}

// Proven says that the tally took a shard for proven.
func (r RoundState) Proven(s blob.Shard) bool {
	return int(s)/8 < len(r.Passed) && r.Passed[s/8]>>(s%8)&1 == 1
}

// closerTries is how many shards are drawn for each closer: some draw who is a closer
// already, has no power, or is away. Who is away has paid already for being silent.
const closerTries = 8

func (x *exec) openRound(c Committee) RoundState {
	p := x.p.Challenge
	r := RoundState{Round: x.present(), Ordinal: x.ordinal(), T: x.head.Height + p.Freeze, Nominal: x.head.Height + p.Freeze}
	for _, s := range challenge.CloserShards(sure(x.view().Beacon()), r.Round, closerTries*p.Closers(), len(c.Holder)) {
		i, in := c.Index(c.Holder[s])
		fit := in && c.Nodes[i].Power > 0 && !slices.Contains(r.Closers, uint16(i)) && x.lately(c.Holder[s], r)
		if fit && len(r.Closers) < p.Closers() {
			r.Closers = append(r.Closers, uint16(i))
		}
	}
	return r
}

// opened is the height of the block that opened the round.
func (r RoundState) opened(p challenge.Params) uint64 { return r.Nominal - p.Freeze }

// closes is the height of the block that closes the reveals, as far as is known.
func (r RoundState) closes() uint64 { return r.T - challenge.ClosingBlocks(len(r.Closers)) }

// ordinal counts the rounds of the chain.
func (x *exec) ordinal() uint64 { return x.head.Height / x.p.RoundBlocks }

// takeVotes merges what was attested. A node's promise is that of its first vote.
func (r *RoundState) takeVotes(c Committee, list []VoteExtension, shards int) {
	for _, v := range list {
		e, err := challenge.DecodeExtension(v.Extension, shards)
		i, in := c.Index(v.Node)
		if err != nil || !in || e.Attest == nil || e.Attest.Epoch != r.Round.Epoch || e.Attest.Round != r.Round.Round {
			continue
		}
		at, has := slices.BinarySearchFunc(r.Votes, i, func(a Voted, i int) int { return int(a.Node) - i })
		if !has {
			r.Votes = slices.Insert(r.Votes, at, Voted{Node: uint16(i), Own: e.Attest.Own})
		}
		was := &r.Votes[at]
		merged := challenge.Vote{Listened: was.Listened, Yes: was.Yes}.Merge(challenge.Vote{Listened: e.Attest.Listened, Yes: e.Attest.Yes})
		was.Listened, was.Yes = merged.Listened, merged.Yes
	}
}

// Asked says whether a shard is to be proven: not where its holder was still taking it
// over at the draw.
func (r RoundState) Asked(s blob.Shard) bool {
	return int(s)/8 < len(r.Ready) && r.Ready[s/8]>>(s%8)&1 == 1
}

// outcomes judges a round. Where its blocks came too slowly for the freeze to hold,
// whoever answered may have fetched what it lacks: no answer shows anything, so that
// nobody is paid for the round, and nobody struck.
func (x *exec) outcomes(r RoundState, c Committee) staking.Round {
	votes := make([]challenge.Vote, len(c.Nodes))
	power := 0
	for i, m := range c.Nodes {
		votes[i].Power = m.Power
		power += m.Power
	}
	there := make([]bool, len(c.Nodes))
	for _, one := range r.Reveals {
		there[one.Node] = true
	}
	for _, v := range r.Votes {
		votes[v.Node].Listened, votes[v.Node].Yes = v.Listened, v.Yes
		there[v.Node] = there[v.Node] || v.Listened
	}
	holders := make([]challenge.Holder, len(c.Holder))
	for s, id := range c.Holder {
		i, _ := c.Index(id)
		holders[s] = challenge.Holder{Node: i, Ready: r.Asked(blob.Shard(s)), There: there[i], Lately: x.lately(id, r), Declared: x.declared(id, r)}
	}
	out := challenge.Tally(power, votes, holders)
	out.Void = r.Void
	for s, h := range holders {
		if h.Ready && !h.There && !h.Declared && !challenge.Seen(power, votes, h, s) {
			x.away(c.Holder[s], r.Ordinal+x.p.Challenge.UncreditedFor)
		}
		if r.Void && h.Ready {
			out.Outcomes[s] = staking.Inconclusive
		}
	}
	return out
}
