package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Bundle is the evidence of a fault: with it a stranger can check the fault again, and
// asks no node. The draws and the voters in it are unsigned: the root of the ledger's
// state proves them, the bundle does not. The ledger keeps it as long as the record of
// its slash.
type Bundle struct {
	_         struct{} `cbor:",toarray"`
	Chain     token.ChainID
	Kind      FaultKind
	Round     challenge.RoundID
	Ordinal   unit.Ordinal
	T         unit.Height // height of the draw
	Shard     blob.Shard
	Holder    staking.NodeID // of the shard
	Beacon    challenge.Beacon
	Drawings  []DrawnStripe
	Params    challenge.Params // by which the round was asked
	Height    unit.Height      // of the block that brought the proof, or decided the dispute
	Falsehood []byte           // of a lie: a challenge.Falsehood
	Dispute   DisputeRecord    // of a false vote
	Voters    []staking.NodeID // of a false vote: all nodes that voted for the shard
}

// MaxBundle bounds the bytes of a bundle from outside: a falsehood, the draws, and a
// thousand voters.
const MaxBundle = 128 << 10

func (x *exec) bundle(c Committee, r RoundState, kind FaultKind, shard blob.Shard) Bundle {
	return Bundle{Chain: x.chain, Kind: kind, Round: r.Round, Ordinal: r.Ordinal, T: r.T, Shard: shard, Holder: c.Holder[shard],
		Beacon: r.Beacon, Drawings: r.Drawings, Params: x.p.Challenge, Height: x.head.Height}
}

// Fault is the fault that the bundle shows, without the node that committed it.
func (b Bundle) Fault() Fault {
	return Fault{Kind: b.Kind, Epoch: b.Round.Epoch, Round: b.Round.Round, Shard: b.Shard}
}

// Bundle is the evidence of a fault that was punished at the end of epoch found; ok is
// false where none is kept.
func (v View) Bundle(found unit.Epoch, e Evidence) (b Bundle, ok bool, err error) {
	return read[Bundle](v, "evidence", KeyBundle(found, Fault{Kind: e.Kind, Epoch: e.Epoch, Round: e.Round, Shard: e.Shard}))
}

// Encode is the canonical bytes.
func (b Bundle) Encode() []byte { return canon.Encode(b) }

// DecodeBundle reads a bundle from a stranger, and bounds what is in it.
func DecodeBundle(raw []byte) (b Bundle, err error) {
	if len(raw) > MaxBundle {
		return b, fmt.Errorf("evidence of %d bytes: at most %d", len(raw), MaxBundle)
	}
	if err = canon.Decode(raw, &b); err != nil {
		return b, err
	}
	return b, b.Check()
}

// Check refuses a bundle that no round can have made: the questions to its shard could not
// be worked out again.
func (b Bundle) Check() error {
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

// state is the bundle's round, as far as questions follow from it.
func (b Bundle) state() RoundState {
	return RoundState{Round: b.Round, Ordinal: b.Ordinal, T: b.T, Beacon: b.Beacon, Drawings: b.Drawings}
}

// Challenge is the round's challenge to the shard.
func (b Bundle) Challenge() challenge.Challenge {
	return b.state().Challenge(b.Chain, b.Params, b.Shard)
}
