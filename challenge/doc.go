// Package challenge asks the holders of shards for proof of what was promised, and
// checks what they answer: prover and checker side by side.
//
// The promise: who is asked and for what follows from a beacon that nobody knows
// before the round's block is proposed; who lacks a part p of what it should hold
// cannot answer a draw with probability p; an answer that is accepted leads, byte for
// byte, to a blob's ID; a round that is judged is judged by more than a third of
// voices that are honest, whatever fewer than a third do.
//
// Left to others: the disk (Source), the wire and its clock, and what a round's
// outcome costs or earns.
package challenge
