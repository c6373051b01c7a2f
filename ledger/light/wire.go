package light

import (
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// The bodies of the ledger protocol's questions and answers. Genesis, light blocks
// (protobuf, as CometBFT writes them), transactions and receipts travel as they are.

// Bounds on one question of a stranger.
const (
	maxKeys     = 1024
	maxListed   = 512       // keys of a page
	maxListSize = 128 << 10 // bytes of them, at which a page is cut
	maxListRead = 8 << 20   // bytes of their values, likewise: bounds the cost of a list to the disk
	longValue   = 128 << 10 // bytes of a value, above which it travels in parts
	partBytes   = 192 << 10 // bytes of a part
)

// getQuestion asks for the values of keys.
type getQuestion struct {
	_    struct{} `cbor:",toarray"`
	Keys [][]byte
}

// getAnswer has a proof for each key, in order, up to the first that does not fit any
// more. The proofs lead to the app hash in the header of Height: the root of the state one
// block before. A proof of a long value comes without the value, which is then asked for
// in parts, so that the proof of any one key fits into an answer.
type getAnswer struct {
	_      struct{} `cbor:",toarray"`
	Height unit.Height
	Proofs [][]byte
}

// partQuestion asks for the next partBytes of a long value, or its rest. The value is that
// of a key in the state one block before Height; in a question for the genesis, Height and
// Key are empty and the value is the genesis.
type partQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height unit.Height
	Key    []byte
	From   uint64 // bytes before the part
}

// partAnswer is a part of a value. The hash of the whole value proves the parts.
type partAnswer struct {
	_    struct{} `cbor:",toarray"`
	Size uint64   // of the whole value
	Part []byte
}

// headerQuestion asks for a light block; height 0 is the newest.
type headerQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height unit.Height
}

// listQuestion asks for the keys that begin with a prefix, from After on, in the state that
// an answer to a getQuestion proves.
type listQuestion struct {
	_      struct{} `cbor:",toarray"`
	Prefix []byte
	After  []byte // exclusive; empty: from the first
}

// listAnswer names keys, in order; no proof shows that the list is complete. A page ends
// early, with More, once its keys or their values have reached a bound.
type listAnswer struct {
	_    struct{} `cbor:",toarray"`
	Keys [][]byte
	More bool
}

// Status is where a node's ledger stands, unproven.
type Status struct {
	_      struct{}    `cbor:",toarray"`
	Height unit.Height // of the last block
	TimeMs int64       // of that block, ms since 1970
	AtTip  bool        // the node has all blocks that it knows of
}

func decodeQuestion(body []byte, v any) error {
	if err := canon.Decode(body, v); err != nil {
		return p2p.Refuse(p2p.CodeBadRequest, "%v", err)
	}
	return nil
}

func decodeAnswer(body []byte, v any) error {
	if err := canon.Decode(body, v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// decodeBlock reads a light block from a stranger and checks its form.
func decodeBlock(b []byte, chain string) (*types.LightBlock, error) {
	var p cmtproto.LightBlock
	if err := p.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	l, err := types.LightBlockFromProto(&p)
	if err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	if err := l.ValidateBasic(chain); err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	return l, nil
}
