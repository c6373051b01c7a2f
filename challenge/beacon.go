package challenge

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Beacon is the number that a round's draw follows from.
type Beacon = blob.Hash

// RoundID names a round of a chain.
type RoundID struct {
	_     struct{} `cbor:",toarray"`
	Epoch unit.Epoch
	Round unit.Round // of the epoch
}

// RevealMessage is what each node signs with its BLS key to reveal its part of a
// round's beacon. The signature is unique: there is nothing to choose but silence.
func RevealMessage(chain token.ChainID, r RoundID) []byte {
	return token.Message(token.PurposeReveal, chain, r.Epoch, r.Round)
}

// LastMessage is what the proposer signs of the block that closes the reveals: its own
// part of the beacon, which no other node knows before that block is proposed.
func LastMessage(chain token.ChainID, r RoundID) []byte {
	return token.Message(token.PurposeLast, chain, r.Epoch, r.Round)
}

// ClosingMessage is what the closer signs whose turn, from 0, it is.
func ClosingMessage(chain token.ChainID, r RoundID, turn uint64) []byte {
	return token.Message(token.PurposeLast, chain, r.Epoch, r.Round, turn)
}

// NextBeacon is the beacon of a round before its closers. Only the aggregate of the
// reveals is hashed: it was checked as a whole, and its parts were not. revealers are the
// numbers in the committee of the nodes whose reveals are in it.
func NextBeacon(before Beacon, r RoundID, revealers blob.Set[uint16], aggregate, last token.BLSSignature) Beacon {
	return newStream("walrus 2026 beacon v1", before, r.Epoch, r.Round, revealers, aggregate, last).hash()
}

// Close is a beacon after a closer's turn. A closer that was silent leaves it as it was.
func Close(b Beacon, turn uint64, signature token.BLSSignature) Beacon {
	return newStream("walrus 2026 closing v1", b, turn, signature).hash()
}

// Offset is by how many blocks the draw of a round comes after Params.Start, of so many
// offsets. before is the last beacon: of a round that was drawn, however long ago; zero
// before the first.
func Offset(before Beacon, r RoundID, offsets uint64) uint64 {
	return newStream("walrus 2026 offset v1", before, r.Epoch, r.Round).below(max(offsets, 1))
}

// CloserShards is the first n shards of an endless list: the holders of the first of them
// close the beacon of a round, in this order. The more shards a node holds, the more
// often it is a closer, wherever its turn to propose is.
func CloserShards(before Beacon, r RoundID, n, shards int) []int {
	s := newStream("walrus 2026 closers v1", before, r.Epoch, r.Round)
	out := make([]int, n)
	for i := range out {
		out[i] = int(s.below(uint64(max(shards, 1))))
	}
	return out
}
