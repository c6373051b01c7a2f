package unit

// Round is the number of a round in its epoch, from 0. A count of rounds is a uint64, and so
// is the ordinal of a round, its number among all rounds of the chain.
type Round uint64
