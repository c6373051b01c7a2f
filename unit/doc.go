// Package unit gives types to the numbers of time and of prices that cost money where one
// is taken for another: Epoch, Height, Round, Ordinal, KiB, Bps.
//
// The promise: a value has the CBOR, JSON and text of the plain integer that it is, so no
// format depends on these types. Plus, Minus and Since end at the largest and the smallest
// value, and do not begin again at the other end.
//
// A point in time has a type, a duration has none: an Epoch is the number of an epoch, and
// a count of epochs is a uint64. The same holds of heights and blocks, and of rounds. So a
// lease's length cannot stand where its end belongs, and the two are added by Plus alone.
// KiB and Bps are amounts: they are added and compared as they are.
//
// The types have a package of their own, on the lowest floor: blob, token, state, staking,
// registry, challenge and p2p name them, and most of these do not import each other.
//
// Left to others: how many blocks or seconds an epoch has, and what a number is worth.
package unit
