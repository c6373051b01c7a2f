// Package explain works the ledger's prices, rewards and slashes out a second time, and
// says in words how each figure follows from the one before.
//
// The promise: a sum rests on the ledger's records alone, as any client reads them
// (ledger.View), and never on the result that the ledger has beside them: a result that
// does not follow is named. Records may come from a stranger; none of them makes a sum
// overflow. Evidence of a fault is checked again, also from a file, without asking a node.
//
// Left to others: the rules themselves (packages ledger and staking), the proof that the
// records are the ledger's (package light), the printing.
package explain
