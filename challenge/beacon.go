package challenge

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// Beacon is the number that a round's draw follows from.
type Beacon = blob.Hash

// Round names a round of a chain.
type Round struct {
	_     struct{} `cbor:",toarray"`
	Epoch uint64
	Round uint64 // of the epoch
}

// RevealMessage is what each node signs with its BLS key to reveal its part of a
// round's beacon. The signature is unique: there is nothing to choose but silence.
func RevealMessage(chain token.ChainID, r Round) []byte {
	return token.Message(token.PurposeReveal, chain, r.Epoch, r.Round)
}

// LastMessage is what the proposer of the round's block signs: until it is proposed
// nobody else knows the draw.
func LastMessage(chain token.ChainID, r Round) []byte {
	return token.Message(token.PurposeLast, chain, r.Epoch, r.Round)
}

// NextBeacon is the beacon of a round. Only the aggregate of the reveals is hashed: it
// was checked as a whole, and its parts were not. revealers has a bit for each node of
// the committee whose reveal is in it: node i is bit i mod 8 of byte i/8.
func NextBeacon(before Beacon, r Round, revealers []byte, aggregate, last token.BLSSignature) Beacon {
	return newStream("walrus 2026 beacon v1", before, r.Epoch, r.Round, revealers, aggregate, last).hash()
}
