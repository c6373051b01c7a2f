package comet

import (
	"fmt"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
)

// The bodies of the ledger protocol's questions and answers. Genesis, light blocks
// (protobuf, as CometBFT writes them), transactions and receipts travel as they are.

// Bounds on what a stranger may ask for at once.
const (
	maxKeys     = 1024
	maxListed   = 512
	maxListSize = 128 << 10
)

// getQuestion asks for the values of keys.
type getQuestion struct {
	_    struct{} `cbor:",toarray"`
	Keys [][]byte
}

// getAnswer has a proof for each key, in order, up to the first that does not fit any
// more. They lead to the app hash in the
// header of Height, which is the root of the state one block before.
type getAnswer struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
	Proofs [][]byte
}

// lightQuestion asks for a light block; height 0 is the newest.
type lightQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
}

// listQuestion asks which keys begin with a prefix, from After on.
type listQuestion struct {
	_      struct{} `cbor:",toarray"`
	Prefix []byte
	After  []byte // exclusive; empty: from the first
}

// listAnswer names keys; nothing proves that none is left out.
type listAnswer struct {
	_    struct{} `cbor:",toarray"`
	Keys [][]byte
	More bool
}

// Standing is where a node's ledger stands, on its word.
type Standing struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
	TimeMs int64
	AtTip  bool
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
