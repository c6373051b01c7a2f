// Package p2p is the network: one libp2p host per process, a Kademlia DHT under
// the network's own prefix, one file per stream protocol (hello, fragment, ledger,
// proof, dial-back), and gossip in fixed topics.
//
// The promise: whatever a stranger sends is bounded in size, count and time before
// it is acted on; a peer that sends a wrong byte is remembered and avoided; one of
// another network is refused in words.
//
// Left to others: what the bytes mean. This package knows nothing of tokens,
// duties or blocks: it carries fragments that others verify and ledger messages
// that others read.
package p2p
