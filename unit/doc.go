// Package unit gives types to the numbers of the network's time and prices that are
// mistaken for each other at a cost: Epoch, Height, Round,
// KiB, Bps.
//
// The promise: a value has the CBOR, JSON and text of the plain integer that it is, so no
// format depends on these types; and a sum or a difference of theirs ends at the largest or
// the smallest value instead of beginning again at the other end.
//
// A point in time has a type, a duration has none: an Epoch is the number of an epoch, and
// a count of epochs is a uint64; so with heights and blocks, rounds and rounds of an epoch. So an epoch plus an epoch does not compile without a
// conversion that a reader sees, and a lease's length cannot stand where its end belongs.
//
// The types have a package of their own, on the lowest floor, since staking, registry,
// challenge, state and p2p all name epochs or heights and none of them imports another.
//
// Left to others: how many blocks or seconds an epoch has, and what a number is worth.
package unit
