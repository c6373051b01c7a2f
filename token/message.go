package token

import "github.com/walrus-network/walrus/canon"

// ChainID names a network: its name, a dash, and the first 8 hex digits of the genesis hash.
type ChainID string

// Purpose says what a signature is for.
type Purpose string

// All purposes of the network; doc/formats.md lists what each covers.
const (
	PurposeTransaction Purpose = "transaction" // by an account: body, nonce, fee
	PurposeConfirm     Purpose = "confirm"     // by a node's BLS key: epoch, blob ID
	PurposeBLS         Purpose = "bls"         // proof of possession of a BLS key: the node's ed25519 key, the BLS key
	PurposeNode        Purpose = "node"        // by a node's ed25519 key: its registration by an operator
	PurposeReveal      Purpose = "reveal"      // by a node's BLS key: epoch, round: its part of the beacon
	PurposeLast        Purpose = "last"        // by the BLS key of a round's proposer: epoch, round; of a closer: epoch, round, turn
	PurposeProof       Purpose = "proof"       // by a node's ed25519 key: round, shard and the openings of a challenge
	PurposeDeclare     Purpose = "declare"     // by a node's ed25519 key: the ordinal of a round for which it lost something
	PurposeReady       Purpose = "ready"       // by a node's ed25519 key: epoch, shard it has taken over
)

// Message is the bytes a signature covers: canon("walrus/<purpose>/v1", chain, parts…).
func Message(p Purpose, chain ChainID, parts ...any) []byte {
	return canon.Encode(append([]any{"walrus/" + string(p) + "/v1", string(chain)}, parts...))
}
