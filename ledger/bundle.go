package ledger

import (
	"encoding/base64"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Bundle is all that shows a fault: who has it checks it again and asks nobody, see
// Replay. What was drawn and who voted is in it as the ledger's word, unsigned: that the
// ledger says so is proven by the root of its state, not by the bundle. The ledger keeps
// it as long as the record of the slash that it led to.
type Bundle struct {
	_         struct{} `cbor:",toarray"`
	Chain     token.ChainID
	Kind      FaultKind
	Round     challenge.Round
	Ordinal   uint64
	T         uint64 // height of the draw
	Shard     blob.Shard
	Holder    staking.NodeID // of the shard
	Beacon    challenge.Beacon
	Drawings  []Drawing
	Params    challenge.Params // by which the round was asked
	Height    uint64           // of the block that brought the proof, or decided the dispute
	Falsehood []byte           // of a lie: a challenge.Falsehood
	Dispute   DisputeRecord    // of a false vote
	Voters    []staking.NodeID // of a false vote: all who voted for the shard
}

// maxBundleBytes bounds a bundle from outside: a falsehood, the draws, and a thousand voters.
const maxBundleBytes = 128 << 10

func (x *exec) bundle(c Committee, r RoundState, kind FaultKind, shard blob.Shard) Bundle {
	return Bundle{Chain: x.chain, Kind: kind, Round: r.Round, Ordinal: r.Ordinal, T: r.T, Shard: shard, Holder: c.Holder[shard],
		Beacon: r.Beacon, Drawings: r.Drawings, Params: x.p.Challenge, Height: x.head.Height}
}

// fault is what the bundle shows, without who did it.
func (b Bundle) fault() Fault {
	return Fault{Kind: b.Kind, Epoch: b.Round.Epoch, Round: b.Round.Round, Shard: b.Shard}
}

// Bundle is what shows a fault that a node was punished for at the end of epoch found;
// ok is false where none is kept.
func (v View) Bundle(found uint64, e Evidence) (b Bundle, ok bool, err error) {
	return read[Bundle](v, "evidence", KeyBundle(found, Fault{Kind: e.Kind, Epoch: e.Epoch, Round: e.Round, Shard: e.Shard}))
}

// Encode is the canonical bytes.
func (b Bundle) Encode() []byte { return canon.Encode(b) }

// DecodeBundle reads a bundle from a stranger, and bounds what is in it.
func DecodeBundle(raw []byte) (b Bundle, err error) {
	if len(raw) > maxBundleBytes {
		return b, fmt.Errorf("evidence of %d bytes: at most %d", len(raw), maxBundleBytes)
	}
	if err = canon.Decode(raw, &b); err != nil {
		return b, err
	}
	return b, b.check()
}

// check sees to it that the questions can be worked out again.
func (b Bundle) check() error {
	if b.Params.Symbols < 1 || b.Params.Symbols > 8 || len(b.Drawings) > b.Params.Draws() || b.Params.Draws() > 64 {
		return fmt.Errorf("%d stripes of %d draws, %d symbols of each: no round asks that", len(b.Drawings), b.Params.Draws(), b.Params.Symbols)
	}
	for _, d := range b.Drawings {
		c, err := d.Manifest.Commitment()
		if err != nil {
			return fmt.Errorf("blob %s: %w", d.Manifest.ID(), err)
		}
		if int(d.Stripe) >= c.Layout.Stripes || int(b.Shard) >= c.Layout.N {
			return fmt.Errorf("blob %s: stripe %d of %d, shard %d of %d", c.ID, d.Stripe, c.Layout.Stripes, b.Shard, c.Layout.N)
		}
	}
	return nil
}

// Exhibit is a bundle with the name of the node that it is held against, for files.
type Exhibit struct {
	Node   staking.NodeID `json:"node"`
	Kind   FaultKind      `json:"rung"`
	Epoch  uint64         `json:"epoch"`
	Round  uint64         `json:"round"`
	Shard  blob.Shard     `json:"shard"`
	Bundle string         `json:"bundle"` // see Bundle.Text
}

// Replay checks an exhibit again, on a chain that is known. Only what the bundle itself
// says counts: what stands beside it is for people, and must agree.
func (x Exhibit) Replay(chain token.ChainID) (Explanation, error) {
	b, err := ParseBundle(x.Bundle)
	if err != nil {
		return Explanation{}, fmt.Errorf("evidence against node %s: %w", x.Node, err)
	}
	e := b.Replay(x.Node)
	if b.Chain != chain {
		e.same(fmt.Sprintf("it is of chain %s, not of %s", b.Chain, chain), false)
	}
	if b.fault() != (Fault{Kind: x.Kind, Epoch: x.Epoch, Round: x.Round, Shard: x.Shard}) {
		e.same(fmt.Sprintf("it is said to be of rung %d, epoch %d, round %d, shard %d", x.Kind, x.Epoch, x.Round, x.Shard), false)
	}
	return e, nil
}

// Text is the bundle as people pass it on, in JSON for instance.
func (b Bundle) Text() string { return base64.StdEncoding.EncodeToString(b.Encode()) }

// ParseBundle reads what Text wrote.
func ParseBundle(text string) (Bundle, error) {
	if len(text) > base64.StdEncoding.EncodedLen(maxBundleBytes) {
		return Bundle{}, fmt.Errorf("evidence of %d letters: at most %d", len(text), base64.StdEncoding.EncodedLen(maxBundleBytes))
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Bundle{}, err
	}
	return DecodeBundle(raw)
}

// round is the bundle's round, as far as questions follow from it.
func (b Bundle) round() RoundState {
	return RoundState{Round: b.Round, Ordinal: b.Ordinal, T: b.T, Beacon: b.Beacon, Drawings: b.Drawings}
}

// Replay checks again, step by step, what a bundle shows of a node. Holds says that it
// does show the fault. It asks nobody; what it cannot know without blocks or the
// ledger's state, it names.
func (b Bundle) Replay(id staking.NodeID) Explanation {
	e := Explanation{Title: fmt.Sprintf("Evidence against node %s: epoch %d, round %d, shard %d", id, b.Round.Epoch, b.Round.Round, b.Shard), Holds: true}
	e.step("", "the round was drawn in block %d of %s, with beacon %s: this, and what was drawn, is the ledger's word, proven by the root of its state", b.T, b.Chain, b.Beacon)
	switch b.Kind {
	case Lie:
		b.replayLie(&e, id)
	case FalseVote:
		b.replayVote(&e, id)
	default:
		e.same(fmt.Sprintf("a fault of kind %d is none that evidence is kept of", b.Kind), false)
	}
	return e
}

// replayLie checks what a holder signed.
func (b Bundle) replayLie(e *Explanation, id staking.NodeID) {
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
	r := b.round()
	questions := r.Questions(Params{Challenge: b.Params}, b.Shard)
	why, err := f.Why(b.Chain, b.Holder.PublicKey(), b.Round, b.Beacon, questions, r.Commitment)
	if err != nil {
		e.same(fmt.Sprintf("this shows nothing false: %v", err), false)
		return
	}
	e.step("it holds", "the signature, under the key that is the node's ID")
	e.step("", "the round asks the shard %s, by the beacon and %s that were drawn", times(uint64(len(questions)), "question"), times(uint64(len(b.Drawings)), "stripe"))
	if s.Beacon == b.Beacon && s.Count == uint64(len(questions)) {
		q := questions[f.At]
		e.step("", "question %d asks of blob %s, stripe %d, the %s of place %d: symbols %v of all %d, chunks %v", f.At+1, q.Blob, q.Stripe, q.Axis, q.Place, q.At, r.Commitment(q.Blob).Layout.N, q.Chunks)
		e.step("", "opening %d, which leads to the root that was signed, answers it with %s", f.At+1, times(uint64(len(f.Opening.Symbols)), "symbol"))
	}
	e.step("FALSE", "it does not hold: %v", why)
}

// replayVote tells of a dispute.
func (b Bundle) replayVote(e *Explanation, id staking.NodeID) {
	d, p := b.Dispute, b.Params
	voted := false
	for _, v := range b.Voters {
		voted = voted || v == id
	}
	e.answer(voted, times(uint64(len(b.Voters)), "voter"), "node %s voted that it had seen shard %d proven, by node %s", id, b.Shard, b.Holder)
	e.step(fmt.Sprintf("blocks %d to %d, and %d to %d", b.T+p.Deadline+1, b.T+p.Deadline+p.Attest, b.T+p.Second+1, b.T+p.Second+p.Attest), "the votes, each signed by its validator, are in transaction 0 of these blocks: who keeps blocks finds them there")
	e.step(fmt.Sprintf("block %d", d.Opened), "%s disputed it", d.Opener)
	e.step(fmt.Sprintf("blocks %d to %d", d.Opened, d.AnswerBy), "any proof by the holder, from anybody, would have been an answer in these blocks")
	closed := d.State == DisputeUpheld && d.Opened <= d.AnswerBy && d.AnswerBy < d.Closed && d.Closed == b.Height
	e.answer(closed, fmt.Sprintf("block %d", d.Closed), "none came, and the dispute was upheld")
	if !voted || !closed {
		e.same("this shows no false vote of the node", false)
	}
}
