//go:build !walrus_rules2

package ledger

// Newest is the newest version of the rules that this program knows. It knows all
// before it too: a chain is replayed from its genesis.
const Newest = 1
