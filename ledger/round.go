package ledger

import (
	"cmp"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// RoundState is the round under way, from Freeze blocks before its draw until its tally.
// All that changes it is in this file; the conditions of each change are in reveal.go,
// draw.go and judge.go.
type RoundState struct {
	_        struct{} `cbor:",toarray"`
	Round    challenge.RoundID
	Ordinal  unit.Ordinal // number of the round among all of the chain
	T        unit.Height  // height of the draw; it moves on while too few nodes reveal, or a closer is silent
	Nominal  unit.Height  // first value of T
	Closers  []uint16     // numbers in the committee, in order: the nodes that complete the beacon
	Closed   bool         // no reveal is taken any more: the closers sign
	Turn     uint64       // number of closers whose turn is over
	Since    unit.Height  // height of the block that began the present turn
	Drawn    bool
	Over     bool             // tallied, or skipped
	Void     bool             // the blocks came too slowly for the freeze to hold, or too many shards did not pass: no strikes
	TimeMs   int64            // of the block of the draw, ms since 1970
	Beacon   challenge.Beacon // complete once Drawn
	Drawings []DrawnStripe
	Ready    blob.ShardSet // shards with a holder that was ready at the draw
	Reveals  []RoundReveal // in the order of the committee's nodes
	Votes    []RoundVote   // in the same order
	Passed   blob.ShardSet // shards that the tally took as proven
}

// RoundReveal is a node's part of the beacon.
type RoundReveal struct {
	_         struct{} `cbor:",toarray"`
	Node      uint16   // its number in the committee
	Signature token.BLSSignature
}

// RoundVote is the sum of a node's attestations so far.
type RoundVote struct {
	_        struct{} `cbor:",toarray"`
	Node     uint16   // its number in the committee
	Listened bool
	Own      blob.Hash     // its promise: the root over its own proofs at the deadline
	Yes      blob.ShardSet // shards of which the node has seen a proof
}

// Round is the round under way, or the last one; ok is false before the first.
func (v View) Round() (r RoundState, ok bool, err error) {
	return read[RoundState](v, "round", KeyRound())
}

// RoundOf is the round with an ordinal: the one under way, or one of the last few.
func (v View) RoundOf(ordinal unit.Ordinal) (r RoundState, ok bool, err error) {
	if r, ok, err = v.Round(); err != nil || ok && r.Ordinal == ordinal {
		return r, ok, err
	}
	return read[RoundState](v, "past round", KeyPastRound(ordinal))
}

// Beacon is the last complete beacon; zero before the first.
func (v View) Beacon() (challenge.Beacon, error) {
	b, _, err := read[challenge.Beacon](v, "beacon", KeyBeacon())
	return b, err
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
	if r.Drawn {
		x.judgeRound(&r, c, b)
	} else if x.head.Height > r.opened(x.p.Challenge) {
		x.approach(&r, c, b)
	}
	x.put(KeyRound(), r)
	if r.Over {
		x.keepRound(r)
	}
}

// keepRound keeps a round that is over, for evidence, and deletes the round that is too
// old for evidence.
func (x *exec) keepRound(r RoundState) {
	r.Reveals = nil
	x.put(KeyPastRound(r.Ordinal), r)
	if old := x.p.Challenge.KeepRounds; r.Ordinal >= unit.Ordinal(old) {
		x.o.Delete(KeyPastRound(r.Ordinal.Minus(old)))
		x.forgetDisputes(r.Ordinal.Minus(old))
	}
}

// newRound is a round that a block opens, freeze blocks before its draw.
func newRound(at challenge.RoundID, ordinal unit.Ordinal, height unit.Height, freeze uint64, closers []uint16) RoundState {
	return RoundState{Round: at, Ordinal: ordinal, T: height.Plus(freeze), Nominal: height.Plus(freeze), Closers: closers}
}

// takeReveals keeps the first reveal of each node. Their signatures are checked when the
// reveals close: a wrong one refuses no vote and no block.
func (r *RoundState) takeReveals(c Committee, list []VoteExtension, shards int) {
	eachExtension(c, list, shards, func(node uint16, e challenge.Extension) {
		if e.Reveal == nil || r.Round != (challenge.RoundID{Epoch: e.Reveal.Epoch, Round: e.Reveal.Round}) {
			return
		}
		at, has := slices.BinarySearchFunc(r.Reveals, node, func(a RoundReveal, n uint16) int { return cmp.Compare(a.Node, n) })
		if !has {
			r.Reveals = slices.Insert(r.Reveals, at, RoundReveal{Node: node, Signature: e.Reveal.Signature})
		}
	})
}

// keepReveals drops the reveals that do not hold.
func (r *RoundState) keepReveals(holds func(RoundReveal) bool) {
	r.Reveals = slices.DeleteFunc(r.Reveals, func(one RoundReveal) bool { return !holds(one) })
}

// waitForReveals puts the draw off by a block. A round that has waited for RevealMoves
// blocks is skipped.
func (r *RoundState) waitForReveals() {
	if r.T++; r.T > r.Nominal+challenge.RevealMoves {
		r.Over = true
	}
}

// closeReveals begins the closers' turns with the beacon of the reveals.
func (r *RoundState) closeReveals(height unit.Height, b challenge.Beacon) {
	r.Beacon = b
	r.Closed, r.Since = true, height
}

// waitForCloser puts the draw off by a block.
func (r *RoundState) waitForCloser() { r.T++ }

// endTurn ends a closer's turn; the beacon has its signature, or is as it was where the
// closer stayed silent.
func (r *RoundState) endTurn(height unit.Height, b challenge.Beacon) {
	r.Beacon = b
	r.Turn, r.Since = r.Turn+1, height
}

// draw notes the questions that the complete beacon selects.
func (r *RoundState) draw(height unit.Height, timeMs int64, list []DrawnStripe, c Committee) {
	r.Drawn, r.T, r.TimeMs = true, height, timeMs
	r.Drawings = list
	r.Ready = blob.NewSet[blob.Shard](len(c.From))
	for s, from := range c.From {
		if from.IsZero() {
			r.Ready.Add(blob.Shard(s))
		}
	}
}

// takeVotes merges the nodes' attestations. A node's promise is that of its first vote.
func (r *RoundState) takeVotes(c Committee, list []VoteExtension, shards int) {
	eachExtension(c, list, shards, func(node uint16, e challenge.Extension) {
		if e.Attest == nil || r.Round != (challenge.RoundID{Epoch: e.Attest.Epoch, Round: e.Attest.Round}) {
			return
		}
		at, has := slices.BinarySearchFunc(r.Votes, node, func(a RoundVote, n uint16) int { return cmp.Compare(a.Node, n) })
		if !has {
			r.Votes = slices.Insert(r.Votes, at, RoundVote{Node: node, Own: e.Attest.Own})
		}
		was := &r.Votes[at]
		merged := challenge.Attestation{Listened: was.Listened, Yes: was.Yes}.Merge(challenge.Attestation{Listened: e.Attest.Listened, Yes: e.Attest.Yes})
		was.Listened, was.Yes = merged.Listened, merged.Yes
	})
}

// voidFreeze notes that the blocks before the deadline came so slowly that the freeze did
// not hold.
func (r *RoundState) voidFreeze() { r.Void = true }

// end takes over the outcomes of the tally.
func (r *RoundState) end(out staking.RoundResult) {
	r.Over, r.Void = true, out.Voids()
	r.Passed = passed(out)
}

// passed is the set of the shards that passed a round.
func passed(out staking.RoundResult) blob.ShardSet {
	set := blob.NewSet[blob.Shard](len(out.Outcomes))
	for s, o := range out.Outcomes {
		if o == staking.Passed {
			set.Add(blob.Shard(s))
		}
	}
	return set
}

// eachExtension walks the well-formed extensions of the committee's members.
func eachExtension(c Committee, list []VoteExtension, shards int, fn func(node uint16, e challenge.Extension)) {
	for _, v := range list {
		e, err := challenge.DecodeExtension(v.Extension, shards)
		if i, in := c.Index(v.Node); err == nil && in {
			fn(uint16(i), e)
		}
	}
}

// opened is the height of the block that opened the round.
func (r RoundState) opened(p challenge.Params) unit.Height { return r.Nominal.Minus(p.Freeze) }

// closes is the height of the block that closes the reveals, as far as is known.
func (r RoundState) closes() unit.Height { return r.T.Minus(challenge.ClosingBlocks(len(r.Closers))) }

// turnsOver says that the beacon is complete.
func (r RoundState) turnsOver() bool { return r.Closed && r.Turn == uint64(len(r.Closers)) }

// attests says whether votes on the block at a height carry attestations.
func (r RoundState) attests(p challenge.Params, height unit.Height) bool {
	if !r.Drawn || height < r.T {
		return false
	}
	at := height.Since(r.T)
	return at >= p.Deadline && at < p.Deadline+p.Attest || at >= p.Second && at < p.Second+p.Attest
}

// Asked says whether a shard must be proven: its holder was ready at the draw.
func (r RoundState) Asked(s blob.Shard) bool { return r.Ready.Has(s) }

// Proven says that the tally took a shard for proven.
func (r RoundState) Proven(s blob.Shard) bool { return r.Passed.Has(s) }
