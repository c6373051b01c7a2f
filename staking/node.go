package staking

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"

	"github.com/walrus-network/walrus/token"
)

// NodeID names a node: its ed25519 public key. The text form is the peer ID of the
// same key in libp2p, 12D3KooW…
type NodeID token.PublicKey

// peerPrefix turns the key into a libp2p peer ID: an identity multihash (0x00, 36
// bytes) over the protobuf of a key of type 1, ed25519.
var peerPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// ParseNodeID reads the text form.
func ParseNodeID(s string) (NodeID, error) {
	b, err := base58.Decode(strings.TrimSpace(s))
	if err != nil {
		return NodeID{}, fmt.Errorf("node ID %q: %w", s, err)
	}
	key, ok := bytes.CutPrefix(b, peerPrefix)
	if !ok || len(key) != len(NodeID{}) {
		return NodeID{}, fmt.Errorf("node ID %q: not an ed25519 peer ID (they begin with 12D3KooW)", s)
	}
	return NodeID(key), nil
}

// String is the peer ID.
func (id NodeID) String() string {
	return base58.Encode(append(append([]byte{}, peerPrefix...), id[:]...))
}

// MarshalText and UnmarshalText make an ID its text form in JSON and TOML.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the text form.
func (id *NodeID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseNodeID(string(b))
	return err
}

// PublicKey is the key that the ID is.
func (id NodeID) PublicKey() token.PublicKey { return token.PublicKey(id) }

// IsZero says that the ID names no node.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// Compare orders IDs by their bytes.
func (id NodeID) Compare(other NodeID) int { return bytes.Compare(id[:], other[:]) }
