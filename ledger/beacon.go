package ledger

import (
	"slices"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// approach moves a round on that is not drawn yet: reveals are taken until a block closes
// them; then its closers sign, one after the other, and the last of them makes the draw.
// A closer does not know what those after it will add, so that nobody can choose among
// beacons but the last, who can only be silent, and pays for it.
func (x *exec) approach(r *RoundState, c Committee, b Block) {
	r.takeReveals(c, b.Extensions, x.p.Shards)
	switch height := x.head.Height; {
	case !r.Closed && height >= r.closes():
		x.closeReveals(r, c, b)
	case r.Closed:
		x.closing(r, c, b.Extensions)
	}
	if r.Closed && r.Turn == uint64(len(r.Closers)) {
		x.draw(r, c, b)
	}
}

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

// closeReveals begins the beacon with what was revealed. Where a third or less of the
// shards reveal, or the proposer's signature is missing, it waits for a block.
func (x *exec) closeReveals(r *RoundState, c Committee, b Block) {
	aggregate, ok := x.verifyReveals(r, c)
	shards := 0
	for _, one := range r.Reveals {
		shards += c.Nodes[one.Node].Shards
	}
	if !ok || 3*shards <= x.p.Shards || !x.signedLast(r.Round, c, b) {
		if r.T++; r.T > r.Nominal+challenge.RevealMoves {
			r.Over = true
		}
		return
	}
	bitmap := make([]byte, (len(c.Nodes)+7)/8)
	for _, one := range r.Reveals {
		bitmap[one.Node/8] |= 1 << (one.Node % 8)
	}
	r.Beacon = challenge.NextBeacon(sure(x.view().Beacon()), r.Round, bitmap, aggregate, b.Last)
	r.Closed, r.Since = true, x.head.Height
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

// closing takes the signature of the closer whose turn it is. Of one that stays silent
// the beacon has nothing.
func (x *exec) closing(r *RoundState, c Committee, list []VoteExtension) {
	height, closer := x.head.Height, int(r.Closers[r.Turn])
	signature, ok := r.closingOf(c.Nodes[closer].ID, list, x.p.Shards)
	switch {
	case ok && c.Nodes[closer].BLS.Verify(challenge.ClosingMessage(x.chain, r.Round, r.Turn), signature) == nil:
		r.Beacon = challenge.Close(r.Beacon, r.Turn, signature)
	case x.p.Challenge.TurnEnds(r.Since, height):
		x.away(c.Nodes[closer].ID, r.Ordinal+challenge.SilentFor(c.Nodes[closer].Shards, x.p.Shards)-1)
	default:
		if challenge.TurnDue(r.Since, height) {
			r.T++
		}
		return
	}
	r.Turn, r.Since = r.Turn+1, height
}

// closingOf is what the closer whose turn it is has signed.
func (r *RoundState) closingOf(closer staking.NodeID, list []VoteExtension, shards int) (token.BLSSignature, bool) {
	for _, v := range list {
		e, err := challenge.DecodeExtension(v.Extension, shards)
		if err == nil && v.Node == closer && e.Closing != nil && e.Closing.Turn == r.Turn && (challenge.Round{Epoch: e.Closing.Epoch, Round: e.Closing.Round}) == r.Round {
			return e.Closing.Signature, true
		}
	}
	return token.BLSSignature{}, false
}

// draw draws from the beacon, which is complete.
func (x *exec) draw(r *RoundState, c Committee, b Block) {
	x.put(KeyBeacon(), r.Beacon)
	r.Drawn, r.T, r.TimeMs = true, x.head.Height, b.TimeMs
	r.Drawings = x.drawings(r)
	r.Ready = make([]byte, (len(c.From)+7)/8)
	for s, from := range c.From {
		if from.IsZero() {
			r.Ready[s/8] |= 1 << (s % 8)
		}
	}
}

// drawings draws from the index as it stood when the round was opened. What has ended
// since then was drawn, and is not asked for, also where the same blob was registered
// again: nothing that anybody does to blobs after the opening makes another stripe drawn.
func (x *exec) drawings(r *RoundState) (out []Drawing) {
	opened := r.opened(x.p.Challenge)
	ended := func(slot int) bool {
		at, freeing, err := read[uint64](x.view(), "slot to be freed", keyFreeing(uint64(slot)))
		return sure(freeing, err) && at < opened
	}
	for _, d := range challenge.DrawRound(x.p.Challenge, r.Beacon, x.index, ended) {
		if e, ok := x.entry(d.Blob); ok && e.Certified() && !e.Invalid && e.Slot > 0 && x.index.At(int(e.Slot-1)).Blob == d.Blob {
			out = append(out, Drawing{Manifest: e.Manifest, Stripe: d.Stripe})
		}
	}
	return out
}

// away says that a node is away until a round, that one included.
func (x *exec) away(id staking.NodeID, until uint64) {
	before, _, err := read[uint64](x.view(), "round of absence", KeyMissed(id))
	x.put(KeyMissed(id), max(sure(before, err), until))
}

// lately says that a node was not away in one of the rounds before that count.
func (x *exec) lately(id staking.NodeID, r RoundState) bool {
	until, ever, err := read[uint64](x.view(), "round of absence", KeyMissed(id))
	return !sure(ever, err) || until < r.Ordinal
}
