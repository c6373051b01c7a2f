package snapshot

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// Bounds on an answer and on what is asked for.
const (
	answerBytes = 192 << 10 // of items or a part
	itemFrame   = 16        // bytes of CBOR around an item
	longValue   = 32 << 10  // bytes of a value, above which it is left out and comes in parts
	maxRun      = 1 << 10   // nodes of one question
	maxLeaves   = 1 << 20   // keys of one bucket: to grind as many together takes 2^40 hashes
	leafBytes   = 2 * 32
	hashBytes   = 32
)

// offerQuestion asks for the height of a snapshot. Want is the one that other nodes give;
// 0: any.
type offerQuestion struct {
	_    struct{} `cbor:",toarray"`
	Want unit.Height
}

// Offer is the snapshot that a node gives, unproven.
type Offer struct {
	_      struct{} `cbor:",toarray"`
	Height unit.Height
	Ready  bool        // false: it is being made, ask again in a moment
	Base   unit.Height // first block that the node has
}

// What a stateQuestion asks for.
const (
	askTop    = 1 // the hashes at the level of the cut
	askItems  = 2 // all keys under Node and the nodes after it
	askLeaves = 3 // the leaves of the bucket Node, from byte From on
	askBucket = 4 // the keys of the bucket Node, from leaf From on, in the order of their hashes
	askValue  = 5 // the value of Key, from byte From on
	askTurns  = 6 // whose turn it is to propose the next two blocks, and in which order the others follow
)

// stateQuestion asks for a part of the state at a height.
type stateQuestion struct {
	_      struct{} `cbor:",toarray"`
	Height unit.Height
	Kind   uint8
	Node   uint32
	Count  uint32 // of nodes, with askItems
	From   uint64
	Key    []byte
}

// itemsAnswer has the keys of as many nodes as fit. Where the first does not fit, it has the
// hashes of the buckets below it, or nothing if the node is a bucket: that one comes by its
// leaves.
type itemsAnswer struct {
	_       struct{} `cbor:",toarray"`
	Nodes   [][]state.Item
	Buckets []byte
}

// partAnswer is a part of something long: the hash of the whole proves it.
type partAnswer struct {
	_    struct{} `cbor:",toarray"`
	Size uint64   // bytes of the whole
	Part []byte
}

// turnsAnswer is the committees of the next two blocks as the agreement's own state has them.
// Headers prove who is in them; the order of the turns is in no header.
type turnsAnswer struct {
	_          struct{} `cbor:",toarray"`
	Committees [][]byte // protobuf, as CometBFT writes them
}

func cutPart(whole []byte, from uint64) partAnswer {
	size := uint64(len(whole))
	from = min(from, size)
	return partAnswer{Size: size, Part: whole[from:min(size, from+answerBytes)]}
}

func decodeQuestion(body []byte, v any) error {
	if err := canon.Decode(body, v); err != nil {
		return p2p.Refuse(p2p.CodeBadRequest, "%v", err)
	}
	return nil
}

func decodeItems(b []byte, most int) (a itemsAnswer, err error) {
	if err := canon.Decode(b, &a); err != nil {
		return a, fmt.Errorf("%w: %w", state.ErrSnapshot, err)
	}
	if len(a.Nodes) > most || len(a.Nodes) > 0 && len(a.Buckets) > 0 || len(a.Buckets)%hashBytes != 0 {
		return a, fmt.Errorf("%d nodes, asked for %d, and %d bytes of hashes: %w", len(a.Nodes), most, len(a.Buckets), state.ErrSnapshot)
	}
	for _, list := range a.Nodes {
		for _, i := range list {
			if err := i.Check(); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

func encodeHashes(list []blob.Hash) []byte {
	out := make([]byte, 0, hashBytes*len(list))
	for _, h := range list {
		out = append(out, h[:]...)
	}
	return out
}

func decodeHashes(b []byte) []blob.Hash {
	out := make([]blob.Hash, len(b)/hashBytes)
	for i := range out {
		out[i] = blob.Hash(b[i*hashBytes:])
	}
	return out
}

func encodeLeaves(list []state.Leaf) []byte {
	out := make([]byte, 0, leafBytes*len(list))
	for _, l := range list {
		out = append(append(out, l.Key[:]...), l.Value[:]...)
	}
	return out
}

func decodeLeaves(b []byte) ([]state.Leaf, error) {
	if len(b)%leafBytes != 0 {
		return nil, fmt.Errorf("leaves of %d bytes: %w", len(b), state.ErrSnapshot)
	}
	out := make([]state.Leaf, len(b)/leafBytes)
	for i := range out {
		out[i] = state.Leaf{Key: blob.Hash(b[i*leafBytes:]), Value: blob.Hash(b[i*leafBytes+32:])}
	}
	return out, nil
}
