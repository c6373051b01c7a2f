package explain

import (
	"encoding/base64"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Exhibit is a bundle and the node that it is held against, for files.
type Exhibit struct {
	Node   staking.NodeID   `json:"node"`
	Kind   ledger.FaultKind `json:"rung"`
	Epoch  unit.Epoch       `json:"epoch"`
	Round  unit.Round       `json:"round"`
	Shard  blob.Shard       `json:"shard"`
	Bundle string           `json:"bundle"` // see BundleText
}

// Replay checks an exhibit again, on a known chain. The bundle alone counts: the fields
// beside it are for people, and must agree with it.
func (x Exhibit) Replay(chain token.ChainID) (Explanation, error) {
	b, err := ParseBundle(x.Bundle)
	if err != nil {
		return Explanation{}, fmt.Errorf("evidence against node %s: %w", x.Node, err)
	}
	e := Replay(b, x.Node)
	if b.Chain != chain {
		e.same(fmt.Sprintf("it is of chain %s, not of %s", b.Chain, chain), false)
	}
	if b.Fault() != (ledger.Fault{Kind: x.Kind, Epoch: x.Epoch, Round: x.Round, Shard: x.Shard}) {
		e.same(fmt.Sprintf("it is said to be of rung %d, epoch %d, round %d, shard %d", x.Kind, x.Epoch, x.Round, x.Shard), false)
	}
	return e, nil
}

// BundleText is a bundle in base64, for JSON and other text.
func BundleText(b ledger.Bundle) string { return base64.StdEncoding.EncodeToString(b.Encode()) }

// ParseBundle reads a bundle that BundleText wrote.
func ParseBundle(text string) (ledger.Bundle, error) {
	if len(text) > base64.StdEncoding.EncodedLen(ledger.MaxBundle) {
		return ledger.Bundle{}, fmt.Errorf("evidence of %d letters: at most %d", len(text), base64.StdEncoding.EncodedLen(ledger.MaxBundle))
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ledger.Bundle{}, err
	}
	return ledger.DecodeBundle(raw)
}

// Replay checks again, step by step, that a bundle shows a fault of a node. Holds says that
// it does. It asks no node, and names the facts that only blocks or the ledger's state prove.
func Replay(b ledger.Bundle, id staking.NodeID) Explanation {
	e := Explanation{Title: fmt.Sprintf("Evidence against node %s: epoch %d, round %d, shard %d", id, b.Round.Epoch, b.Round.Round, b.Shard), Holds: true}
	e.step("", "the round was drawn in block %d of %s, with beacon %s: this, and what was drawn, is the ledger's word, proven by the root of its state", b.T, b.Chain, b.Beacon)
	switch b.Kind {
	case ledger.Lie:
		e.replayLie(b, id)
	case ledger.FalseVote:
		e.replayVote(b, id)
	default:
		e.same(fmt.Sprintf("a fault of kind %d is none that evidence is kept of", b.Kind), false)
	}
	return e
}

// replayLie checks the proof that a holder signed.
func (e *Explanation) replayLie(b ledger.Bundle, id staking.NodeID) {
	f, err := challenge.DecodeFalsehood(b.Falsehood)
	if err != nil {
		e.same(fmt.Sprintf("the proof in it cannot be read: %v", err), false)
		return
	}
	if b.Holder != id || f.Signed.Shard != b.Shard {
		e.same(fmt.Sprintf("it is about shard %d, which node %s held", f.Signed.Shard, b.Holder), false)
	}
	s := f.Signed
	e.step("", "node %s signed a proof for shard %d, epoch %d, round %d, beacon %s: %s under the root %s", b.Holder, s.Shard, s.Round.Epoch, s.Round.Round, s.Beacon, times(s.Count, "opening"), s.Openings)
	ask := b.Challenge()
	why, err := f.Why(ask, b.Holder.PublicKey())
	if err != nil {
		e.same(fmt.Sprintf("this shows nothing false: %v", err), false)
		return
	}
	e.step("it holds", "the signature, under the key that is the node's ID")
	e.step("", "the round asks the shard %s, by the beacon and %s that were drawn", times(uint64(len(ask.Questions)), "question"), times(uint64(len(b.Drawings)), "stripe"))
	if s.Beacon == b.Beacon && s.Count == uint64(len(ask.Questions)) {
		q := ask.Questions[f.At]
		e.step("", "question %d asks of blob %s, stripe %d, the %s of place %d: symbols %v of all %d, chunks %v", f.At+1, q.Blob, q.Stripe, q.Axis, q.Place, q.At, ask.Commitments(q.Blob).Layout.N, q.Chunks)
		e.step("", "opening %d, which leads to the root that was signed, answers it with %s", f.At+1, times(uint64(len(f.Opening.Symbols)), "symbol"))
	}
	e.step("FALSE", "it does not hold: %v", why)
}

// replayVote checks the record of a dispute.
func (e *Explanation) replayVote(b ledger.Bundle, id staking.NodeID) {
	d, p := b.Dispute, b.Params
	voted := false
	for _, v := range b.Voters {
		voted = voted || v == id
	}
	e.answer(voted, times(uint64(len(b.Voters)), "voter"), "node %s voted that it had seen shard %d proven, by node %s", id, b.Shard, b.Holder)
	e.step(fmt.Sprintf("blocks %d to %d, and %d to %d", b.T.Plus(p.Deadline)+1, b.T.Plus(p.Deadline+p.Attest), b.T.Plus(p.Second)+1, b.T.Plus(p.Second+p.Attest)), "the votes, each signed by its validator, are in transaction 0 of these blocks: who keeps blocks finds them there")
	e.step(fmt.Sprintf("block %d", d.Opened), "%s disputed it", d.Opener)
	e.step(fmt.Sprintf("blocks %d to %d", d.Opened, d.AnswerBy), "any proof by the holder, from any sender, would have been an answer in these blocks")
	closed := d.State == ledger.DisputeUpheld && d.Opened <= d.AnswerBy && d.AnswerBy < d.Closed && d.Closed == b.Height
	e.answer(closed, fmt.Sprintf("block %d", d.Closed), "none came, and the dispute was upheld")
	if !voted || !closed {
		e.same("this shows no false vote of the node", false)
	}
}
