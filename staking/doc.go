// Package staking is the arithmetic of stake: pools, the committee and the holder
// of each shard, and the sharing of rewards. All of it is values in, values out.
//
// The promise: shares and amounts never wrap and never make money; a committee
// depends on its inputs alone, moves as few shards as it can and never more than
// its bound, and leaves no node above the cap that was not there before.
//
// Left to others: where pools are kept, which account may change one, and when an epoch turns.
package staking
