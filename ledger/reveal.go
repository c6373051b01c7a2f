package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
)

// approach moves a round on that is not drawn yet. Reveals are taken until a block closes
// them; then the closers sign, one after the other, and the last signature completes the
// beacon. A closer does not know what later closers will add, so only the last can choose
// between two beacons: by silence, which costs it its pay.
func (x *exec) approach(r *RoundState, c Committee, b Block) {
	r.takeReveals(c, b.Extensions, x.p.Shards)
	switch {
	case !r.Closed && x.head.Height >= r.closes():
		x.closeReveals(r, c, b)
	case r.Closed:
		x.closing(r, c, b.Extensions)
	}
	if r.turnsOver() {
		x.draw(r, c, b)
	}
}

// closeReveals begins the beacon with the reveals. Where nodes with a third or less of the
// shards reveal, or the proposer's signature is missing, the round waits for a block.
func (x *exec) closeReveals(r *RoundState, c Committee, b Block) {
	aggregate, ok := x.verifyReveals(r, c)
	shards := 0
	for _, one := range r.Reveals {
		shards += c.Nodes[one.Node].Shards
	}
	if !ok || 3*shards <= x.p.Shards || !x.signedLast(r.Round, c, b) {
		r.waitForReveals()
		return
	}
	revealers := blob.NewSet[uint16](len(c.Nodes))
	for _, one := range r.Reveals {
		revealers.Add(one.Node)
	}
	r.closeReveals(x.head.Height, challenge.NextBeacon(sure(x.view().Beacon()), r.Round, revealers, aggregate, b.Last))
}

// verifyReveals aggregates the reveals and drops those that do not hold. All are checked as
// a whole first, and singly only if that fails.
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
	// Two wrong reveals may cancel out in the sum. That is as good as two right ones: the
	// beacon hashes the sum alone.
	if out, ok := aggregate(); ok {
		return out, true
	}
	r.keepReveals(func(one RoundReveal) bool { return c.Nodes[one.Node].BLS.Verify(message, one.Signature) == nil })
	return aggregate()
}

// signedLast checks the proposer's part of the beacon.
func (x *exec) signedLast(r challenge.RoundID, c Committee, b Block) bool {
	i, in := c.Index(b.Proposer)
	return in && c.Nodes[i].BLS.Verify(challenge.LastMessage(x.chain, r), b.Last) == nil
}

// closing takes the signature of the closer whose turn it is. A silent closer adds nothing
// to the beacon, and is away for some rounds.
func (x *exec) closing(r *RoundState, c Committee, list []VoteExtension) {
	height, closer := x.head.Height, r.Closers[r.Turn]
	node := c.Nodes[closer]
	signature, ok := r.closingOf(c, closer, list, x.p.Shards)
	switch {
	case ok && node.BLS.Verify(challenge.ClosingMessage(x.chain, r.Round, r.Turn), signature) == nil:
		r.endTurn(height, challenge.Close(r.Beacon, r.Turn, signature))
	case x.p.Challenge.TurnEnds(r.Since, height):
		x.away(node.ID, r.Ordinal.Plus(challenge.SilentFor(node.Shards, x.p.Shards))-1)
		r.endTurn(height, r.Beacon)
	case challenge.TurnDue(r.Since, height):
		r.waitForCloser()
	}
}

// closingOf is the first signature of the closer whose turn it is.
func (r *RoundState) closingOf(c Committee, closer uint16, list []VoteExtension, shards int) (out token.BLSSignature, ok bool) {
	eachExtension(c, list, shards, func(node uint16, e challenge.Extension) {
		if ok || node != closer || e.Closing == nil || e.Closing.Turn != r.Turn || r.Round != (challenge.RoundID{Epoch: e.Closing.Epoch, Round: e.Closing.Round}) {
			return
		}
		out, ok = e.Closing.Signature, true
	})
	return out, ok
}
