// Package challenge asks the holders of shards for proof of what was promised, and
// checks what they answer: prover and checker side by side.
//
// The promise: an unpredictable beacon, unknown until the round's block is proposed,
// selects what each shard is asked; a holder that lacks a part p of what it should hold
// fails a draw with probability p; an answer that is accepted leads, byte for byte, to a
// blob's ID; every verdict has honest votes with more than a third of the power behind
// it, as long as less than a third of the power is dishonest.
//
// Left to others: the disk (Source), the wire and its clock, and what a round's
// outcome costs or earns.
package challenge
