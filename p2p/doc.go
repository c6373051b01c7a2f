// Package p2p is the network: one libp2p host per process, a Kademlia DHT under the
// network's own prefix, one file per stream protocol, and gossip in fixed topics.
//
// The stream protocols, each /walrus/NAME/1:
//
//	hello     hello.go     a peer's chain, its program, and where its ledger listens
//	fragment  fragment.go  offer, send and read fragments, witnesses and symbols
//	ledger    ledger.go    submit transactions, read records with proofs, blocks, genesis
//	proof     pull.go      ask for proofs of a round that gossip has not brought
//	dialback  dialback.go  ask a peer to dial this host, and for the peer's clock
//	copy      copy.go      move meaningless bytes: a measurement, which no node serves
//
// A host at home finds out whether peers reach it (reach.go); where they do it relays for
// others, within bounds, and where they do not it looks for relays (relay.go).
//
// The promise: whatever a stranger sends is bounded in size, count and time before it
// acts; a peer that sends a wrong byte is remembered and avoided; a peer of another
// network is refused in words.
//
// Left to others: the meaning of the bytes. This package knows nothing of tokens, duties
// or blocks: it carries fragments that others verify and ledger messages that others
// read.
package p2p
