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
	maxListed   = 512       // keys of a page
	maxListSize = 128 << 10 // bytes of them, from which on a page is cut
	maxListRead = 8 << 20   // bytes of their values, likewise: a list is not to cost the disk more
	longValue   = 128 << 10 // bytes of a value, above which it travels in parts
	partBytes   = 192 << 10 // bytes of a part
)

// getQuestion asks for the values of keys.
type getQuestion struct {
	_    struct{} `cbor:",toarray"`
	Keys [][]byte
}

// getAnswer has a proof for each key, in order, up to the first that does not fit any
// more. They lead to the app hash in the header of Height, which is the root of the
// state one block before. That of a long value comes without it: it is asked for in
// parts, so that the proof of any one key fits into an answer.
type getAnswer struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
	Proofs [][]byte
}

// partQuestion asks for partBytes of a long value, or what is left of it: of a key in
// the state one block before Height; of the genesis, in a question for that, both empty.
type partQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
	Key    []byte
	From   uint64 // bytes before the part
}

// partAnswer is a part of a value. The hash of the whole tells whether they are right.
type partAnswer struct {
	_    struct{} `cbor:",toarray"`
	Size uint64   // of the whole value
	Part []byte
}

// lightQuestion asks for a light block; height 0 is the newest.
type lightQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height uint64
}

// listQuestion asks which keys begin with a prefix, from After on, in the state that
// an answer to a getQuestion proves.
type listQuestion struct {
	_      struct{} `cbor:",toarray"`
	Prefix []byte
	After  []byte // exclusive; empty: from the first
}

// listAnswer names keys, in order; nothing proves that none is left out. A page ends
// early, with More, once its keys or their values have reached a bound.
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
