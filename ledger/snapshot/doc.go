// Package snapshot hands the whole state of a ledger to a node that joins, and fetches it
// there: from many nodes at once, each subtree checked by itself against the state's root.
//
// A node cuts its state into subtrees only when it is asked to. No list of chunks is
// believed: the hashes of the subtrees lead to the root, which the caller has from a
// verified header.
package snapshot
