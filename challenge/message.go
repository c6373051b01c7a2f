package challenge

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// Message is a proof as it travels among the nodes: with the path that leads it to the
// promise of its sender, so that a node that hears it late can tell that it is not new.
type Message struct {
	_     struct{} `cbor:",toarray"`
	Proof Proof
	At    uint16 // its number among the proofs that its sender sent
	Of    uint16 // how many these are
	Path  []blob.Hash
}

// maxMessageBytes bounds a message: a proof, and a path among a thousand.
const maxMessageBytes = MaxProofBytes + 1<<10

// Messages are the proofs of one sender, in the order of their shards, and the promise
// that it gives for them.
func Messages(proofs []Proof) (out []Message, promise blob.Hash) {
	sent := make([]Sent, len(proofs))
	for i, p := range proofs {
		sent[i] = Sent{Shard: p.Shard, Proof: p.Hash()}
	}
	for i, p := range proofs {
		out = append(out, Message{Proof: p, At: uint16(i), Of: uint16(len(proofs)), Path: showSent(sent, i)})
	}
	return out, Promise(sent)
}

// Encode is the canonical bytes.
func (m Message) Encode() []byte { return canon.Encode(m) }

// DecodeMessage reads a message from a stranger. It checks its form, not what it shows.
func DecodeMessage(b []byte) (m Message, err error) {
	if len(b) > maxMessageBytes {
		return m, fmt.Errorf("message of %d bytes: at most %d", len(b), maxMessageBytes)
	}
	err = canon.Decode(b, &m)
	return m, err
}

// Promised checks that a message is one of those that its sender promised.
func (m Message) Promised(promise blob.Hash) error {
	return Promised(promise, Sent{Shard: m.Proof.Shard, Proof: m.Proof.Hash()}, int(m.At), int(m.Of), m.Path)
}
