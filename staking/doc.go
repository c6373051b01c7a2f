// Package staking is the arithmetic of stake: pools, the committee and who holds
// which shard, and the sharing of rewards. All of it is values in, values out.
//
// The promise: shares and amounts never wrap and never make money; a committee
// depends on its inputs alone, moves as few shards as it can and never more than
// its bound, and leaves nobody above the cap who was not there before.
//
// Left to others: where pools are kept, who may change one, and when an epoch turns.
package staking
