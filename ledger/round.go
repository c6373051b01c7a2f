package ledger

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

const (
	revealBlocks = 3 // before T, the votes on which carry reveals
	slowTimes    = 3 // how much longer than nominal the time for proofs may take
)

// RoundState is the round that is under way: from Freeze blocks before its draw until
// it was tallied.
type RoundState struct {
	_        struct{} `cbor:",toarray"`
	Round    challenge.Round
	Ordinal  uint64 // of all rounds of the chain
	T        uint64 // height of the draw; it moves on while too few reveal
	Nominal  uint64 // where T was first
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
	p := x.p.Challenge
	if at := (x.head.Height - x.head.EpochStart) % x.p.RoundBlocks; at+p.Freeze == p.Start {
		r = x.openRound()
	}
	if r.Over || r.T == 0 {
		return
	}
	switch height := x.head.Height; {
	case !r.Drawn:
		r.takeReveals(c, b.Extensions, x.p.Shards)
		if height == r.T {
			x.draw(&r, c, b)
		}
	default:
		r.takeVotes(c, b.Extensions, x.p.Shards)
		nominal := int64(p.Deadline * x.p.BlockMs)
		if height == r.T+p.Deadline && b.TimeMs-r.TimeMs > slowTimes*nominal {
			r.Void = true
		}
		if height == r.T+p.Second+p.Attest {
			out := x.tallyRound(c, x.outcomes(r, c))
			r.close(out)
			x.noteDrawn(r, out)
		}
	}
	x.put(KeyRound(), r)
	if r.Over {
		x.keepRound(r)
	}
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

func (x *exec) openRound() RoundState {
	number := (x.head.Height - x.head.EpochStart) / x.p.RoundBlocks
	t := x.head.Height + x.p.Challenge.Freeze
	return RoundState{Round: challenge.Round{Epoch: x.epoch(), Round: number}, Ordinal: x.ordinal(), T: t, Nominal: t}
}

// ordinal counts the rounds of the chain.
func (x *exec) ordinal() uint64 { return x.head.Height / x.p.RoundBlocks }

// takeReveals keeps the first reveal of each node. Whether it is right is found out at
// the draw: a wrong one refuses no vote and no block.
func (r *RoundState) takeReveals(c Committee, list []VoteExtension, shards int) {
	for _, v := range list {
		e, err := challenge.DecodeExtension(v.Extension, shards)
		i, in := c.Index(v.Node)
		if err != nil || !in || e.Reveal == nil || e.Reveal.Epoch != r.Round.Epoch || e.Reveal.Round != r.Round.Round {
			continue
		}
		at, has := slices.BinarySearchFunc(r.Reveals, i, func(a Revealed, i int) int { return int(a.Node) - i })
		if !has {
			r.Reveals = slices.Insert(r.Reveals, at, Revealed{Node: uint16(i), Signature: e.Reveal.Signature})
		}
	}
}

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

// draw makes the beacon of what was revealed, and draws. Where a third or less of the
// shards reveal, or the proposer's signature is missing, the draw waits for a block.
func (x *exec) draw(r *RoundState, c Committee, b Block) {
	aggregate, ok := x.verifyReveals(r, c)
	shards := 0
	for _, one := range r.Reveals {
		shards += c.Nodes[one.Node].Shards
	}
	if !ok || 3*shards <= x.p.Shards || !x.signedLast(r.Round, c, b) {
		if r.T++; r.T > r.Nominal+challenge.MostMoves {
			r.Over = true
		}
		return
	}
	bitmap := make([]byte, (len(c.Nodes)+7)/8)
	for _, one := range r.Reveals {
		bitmap[one.Node/8] |= 1 << (one.Node % 8)
	}
	before := sure(x.view().Beacon())
	r.Beacon = challenge.NextBeacon(before, r.Round, bitmap, aggregate, b.Last)
	x.put(KeyBeacon(), r.Beacon)
	r.Drawn, r.TimeMs = true, b.TimeMs
	r.Drawings = x.drawings(r)
	r.Ready = make([]byte, (len(c.From)+7)/8)
	for s, from := range c.From {
		if from.IsZero() {
			r.Ready[s/8] |= 1 << (s % 8)
		}
	}
	x.missed(r, c)
}

// verifyReveals drops the wrong ones: all are checked as a whole first, singly only if
// that fails.
func (x *exec) verifyReveals(r *RoundState, c Committee) (token.BLSSignature, bool) {
	message := challenge.RevealMessage(x.chain, r.Round)
	aggregate := func() (out token.BLSSignature, ok bool) {
		var keys []token.BLSPublicKey
		var sigs []token.BLSSignature
		for _, one := range r.Reveals {
			keys, sigs = append(keys, c.Nodes[one.Node].BLS), append(sigs, one.Signature)
		}
		if len(sigs) == 0 {
			return out, false
		}
		out, err := token.AggregateBLS(sigs)
		return out, err == nil && token.VerifyAggregate(keys, message, out) == nil
	}
	// Two wrong ones may cancel out in the sum: then it is as good as right, for it is
	// the sum alone that is hashed.
	if out, ok := aggregate(); ok {
		return out, true
	}
	r.Reveals = slices.DeleteFunc(r.Reveals, func(one Revealed) bool {
		return c.Nodes[one.Node].BLS.Verify(message, one.Signature) != nil
	})
	return aggregate()
}

// signedLast checks the proposer's part of the beacon.
func (x *exec) signedLast(r challenge.Round, c Committee, b Block) bool {
	i, in := c.Index(b.Proposer)
	return in && c.Nodes[i].BLS.Verify(challenge.LastMessage(x.chain, r), b.Last) == nil
}

// drawings draws from the index as it stood when the round was opened. What has ended
// since then was drawn, and is not asked for: so that nobody can steer the draw by
// ending blobs after the reveals.
func (x *exec) drawings(r *RoundState) (out []Drawing) {
	opened := r.Nominal - x.p.Challenge.Freeze
	draws := challenge.DrawRound(x.p.Challenge, r.Beacon, x.index, func(id blob.ID) (int, bool) {
		if e, ok := x.entry(id); ok && e.Certified() && !e.Invalid {
			l, err := e.Manifest.Layout()
			return sure(l, err).Stripes, true
		}
		g, ok := x.tombstone(id)
		return 1, ok && g.Height >= opened
	})
	for _, d := range draws {
		if e, ok := x.entry(d.Blob); ok {
			out = append(out, Drawing{Manifest: e.Manifest, Stripe: d.Stripe})
		}
	}
	return out
}

// missed notes who had no reveal on the ledger at the draw, for whatever reason.
func (x *exec) missed(r *RoundState, c Committee) {
	for i, m := range c.Nodes {
		if _, has := r.reveal(i); !has && m.Shards > 0 {
			x.put(KeyMissed(m.ID), r.Ordinal)
		}
	}
}

// Asked says whether a shard is to be proven: not where its holder was still taking it
// over at the draw.
func (r RoundState) Asked(s blob.Shard) bool {
	return int(s)/8 < len(r.Ready) && r.Ready[s/8]>>(s%8)&1 == 1
}

func (r RoundState) reveal(node int) (at int, has bool) {
	return slices.BinarySearchFunc(r.Reveals, node, func(a Revealed, i int) int { return int(a.Node) - i })
}

// outcomes judges a round.
func (x *exec) outcomes(r RoundState, c Committee) staking.Round {
	votes := make([]challenge.Vote, len(c.Nodes))
	power := 0
	for i, m := range c.Nodes {
		votes[i].Power = m.Power
		power += m.Power
	}
	for _, v := range r.Votes {
		votes[v.Node].Listened, votes[v.Node].Yes = v.Listened, v.Yes
	}
	holders := make([]challenge.Holder, len(c.Holder))
	for s, id := range c.Holder {
		i, _ := c.Index(id)
		_, revealed := r.reveal(i)
		holders[s] = challenge.Holder{Node: i, Ready: r.Asked(blob.Shard(s)), Revealed: revealed, Lately: x.lately(id, r), Declared: x.declared(id, r)}
	}
	out := challenge.Tally(power, votes, holders)
	out.Void = r.Void
	return out
}

// lately says that a node has revealed in the rounds before that count.
func (x *exec) lately(id staking.NodeID, r RoundState) bool {
	last, ever, err := read[uint64](x.view(), "missed round", KeyMissed(id))
	sure(last, err)
	return !ever || last >= r.Ordinal || last+x.p.Challenge.UncreditedFor < r.Ordinal
}

// declared says that a node has declared a loss for this round.
func (x *exec) declared(id staking.NodeID, r RoundState) bool {
	ordinal, ever, err := read[uint64](x.view(), "declared loss", KeyDeclared(id))
	return sure(ever, err) && ordinal == r.Ordinal
}

// Declare says that a node has lost something that it should hold: it is not asked in
// the next round, not paid and not punished for it. It is too late for a round that is
// under way.
type Declare struct {
	_         struct{} `cbor:",toarray"`
	Node      staking.NodeID
	Ordinal   uint64          // of the round; see View.NextRound
	Signature token.Signature // by the node's key, over DeclareMessage
}

// DeclareMessage is what a node signs that has lost something.
func DeclareMessage(chain token.ChainID, ordinal uint64) []byte {
	return token.Message(token.PurposeDeclare, chain, ordinal)
}

// NewDeclare signs that the node of a key has lost something, for a round.
func NewDeclare(chain token.ChainID, k token.Key, ordinal uint64) Declare {
	return Declare{Node: staking.NodeID(k.Public()), Ordinal: ordinal, Signature: k.Sign(DeclareMessage(chain, ordinal))}
}

func (Declare) kind() Kind { return KindDeclare }

func (Declare) check(Params) error { return nil }

func (b Declare) plan(x *exec, _ Tx) (plan, error) {
	if _, err := x.node(b.Node); err != nil {
		return plan{}, err
	}
	next := sure(x.nextRound())
	if b.Ordinal != next {
		return plan{}, fmt.Errorf("round %d, the next that can be declared for is %d: %w", b.Ordinal, next, ErrDeclared)
	}
	was, ever, err := read[uint64](x.view(), "declared loss", KeyDeclared(b.Node))
	if sure(ever, err) && was == next {
		return plan{}, fmt.Errorf("round %d: %w", next, ErrDeclared)
	}
	if err := b.Node.PublicKey().Verify(DeclareMessage(x.chain, b.Ordinal), b.Signature); err != nil {
		return plan{}, fmt.Errorf("round %d: %w", b.Ordinal, ErrSignature)
	}
	return plan{subject: string(KeyDeclared(b.Node)), apply: func() { x.put(KeyDeclared(b.Node), next) }}, nil
}

// nextRound is the ordinal of the first round that was not opened yet.
func (x *exec) nextRound() (uint64, error) { return x.view().NextRound() }

// NextRound is the ordinal of the round for which a loss can still be declared.
func (v View) NextRound() (uint64, error) {
	h, err := v.Head()
	if err != nil {
		return 0, err
	}
	p, err := v.Params()
	if err != nil {
		return 0, err
	}
	ordinal := h.Height / p.RoundBlocks
	if r, ok, err := v.Round(); err != nil {
		return 0, err
	} else if ok && r.Ordinal >= ordinal {
		ordinal = r.Ordinal + 1
	}
	return ordinal, nil
}
