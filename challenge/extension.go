package challenge

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// MaxExtensionBytes bounds what a validator adds to its vote on a block.
const MaxExtensionBytes = 256

// ErrExtension is returned for bytes that are no extension of a vote.
var ErrExtension = errors.New("not an extension of a vote")

// Extension is what a validator adds to its vote on a block: its part of a beacon in
// the blocks before a draw, its signature where it closes the beacon, what it has seen of
// a round's proofs in the blocks after the deadline, never two of these, and nothing in
// all others. Nothing is no bytes at all.
type Extension struct {
	Reveal  *Reveal
	Attest  *Attest
	Closing *Closing
}

// Reveal is a node's part of a round's beacon.
type Reveal struct {
	_         struct{} `cbor:",toarray"`
	Version   uint8    // 1
	Epoch     unit.Epoch
	Round     unit.Round
	Signature token.BLSSignature // over RevealMessage
}

// Attest is what a node has seen of a round's proofs.
type Attest struct {
	_        struct{} `cbor:",toarray"`
	Version  uint8    // 2
	Epoch    unit.Epoch
	Round    unit.Round
	Listened bool          // since the draw
	Own      blob.Hash     // root over what it sent itself: see Promise
	Yes      blob.ShardSet // shards of which it has seen a proof that holds
}

// Closing is a closer's part of a round's beacon.
type Closing struct {
	_         struct{} `cbor:",toarray"`
	Version   uint8    // 3
	Epoch     unit.Epoch
	Round     unit.Round
	Turn      uint64             // of the closer, from 0
	Signature token.BLSSignature // over ClosingMessage
}

const (
	versionReveal  = 1
	versionAttest  = 2
	versionClosing = 3
)

// NewClosing is a closer's part of a round's beacon.
func NewClosing(chain token.ChainID, key token.BLSKey, r RoundID, turn uint64) Extension {
	return Extension{Closing: &Closing{Version: versionClosing, Epoch: r.Epoch, Round: r.Round, Turn: turn, Signature: key.Sign(ClosingMessage(chain, r, turn))}}
}

// NewReveal is a node's part of a round's beacon.
func NewReveal(chain token.ChainID, key token.BLSKey, r RoundID) Extension {
	return Extension{Reveal: &Reveal{Version: versionReveal, Epoch: r.Epoch, Round: r.Round, Signature: key.Sign(RevealMessage(chain, r))}}
}

// NewAttest is what a node has seen of a round.
func NewAttest(r RoundID, listened bool, own blob.Hash, yes blob.ShardSet) Extension {
	return Extension{Attest: &Attest{Version: versionAttest, Epoch: r.Epoch, Round: r.Round, Listened: listened, Own: own, Yes: yes}}
}

// Encode is the canonical bytes.
func (e Extension) Encode() []byte {
	switch {
	case e.Reveal != nil:
		return canon.Encode(*e.Reveal)
	case e.Attest != nil:
		return canon.Encode(*e.Attest)
	case e.Closing != nil:
		return canon.Encode(*e.Closing)
	}
	return nil
}

// DecodeExtension reads an extension from a stranger, in a network of some shards. It
// checks the form alone: what is well formed and wrong is for the block to pass over.
func DecodeExtension(b []byte, shards int) (Extension, error) {
	var e Extension
	switch {
	case len(b) == 0:
		return e, nil
	case len(b) > MaxExtensionBytes:
		return e, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxExtensionBytes, ErrExtension)
	}
	var reveal Reveal
	if canon.Decode(b, &reveal) == nil && reveal.Version == versionReveal {
		return Extension{Reveal: &reveal}, nil
	}
	var closing Closing
	if canon.Decode(b, &closing) == nil && closing.Version == versionClosing {
		return Extension{Closing: &closing}, nil
	}
	var attest Attest
	if err := canon.Decode(b, &attest); err != nil || attest.Version != versionAttest {
		return e, fmt.Errorf("neither a reveal, an attestation nor a closing: %w", ErrExtension)
	}
	if !attest.Yes.Fits(shards) {
		return e, fmt.Errorf("bits for other than %d shards: %w", shards, ErrExtension)
	}
	return Extension{Attest: &attest}, nil
}

// Sent is a proof that a node has sent.
type Sent struct {
	_     struct{} `cbor:",toarray"`
	Shard blob.Shard
	Proof blob.Hash
}

// Promise is the root over the proofs that a node has sent, in the order of their
// shards: what it may still show when it has come too late for others to see. Of
// none it is zero.
func Promise(sent []Sent) blob.Hash {
	if len(sent) == 0 {
		return blob.Hash{}
	}
	return blob.Root(sentLeaves(sent))
}

// showSent is the path that leads one of the sent proofs to the promise.
func showSent(sent []Sent, i int) []blob.Hash { return blob.NewTree(sentLeaves(sent)).Path(i) }

// Promised checks that a proof was promised as number i of n.
func Promised(promise blob.Hash, s Sent, i, n int, path []blob.Hash) error {
	root, err := blob.Climb(sentLeaf(s), i, n, path)
	if err == nil && root != promise {
		err = blob.ErrMismatch
	}
	if err != nil {
		return fmt.Errorf("proof of shard %d was not promised: %w", s.Shard, err)
	}
	return nil
}

func sentLeaf(s Sent) blob.Hash { return blob.Leaf(canon.Encode(s)) }

func sentLeaves(sent []Sent) []blob.Hash {
	out := make([]blob.Hash, len(sent))
	for i, s := range sent {
		out[i] = sentLeaf(s)
	}
	return out
}
