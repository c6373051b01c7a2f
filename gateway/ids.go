package gateway

import (
	"encoding/hex"
	"strings"

	"github.com/mr-tron/base58"
	"github.com/zeebo/blake3"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// parseID reads a blob ID in any of the forms that the API gives out: 43 characters of
// base64url, the CID, and the object ID.
func parseID(s string) (blob.ID, error) {
	if strings.HasPrefix(s, "0x") {
		return parseObject(s)
	}
	id, err := blob.ParseID(s)
	if err != nil {
		return id, refuse(400, "INVALID_ID_FORMAT", "%q is not a blob ID: 43 characters of base64url, or a CID that begins with bafy", clip(s))
	}
	return id, nil
}

func parseObject(s string) (id blob.ID, err error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil || len(b) != len(id) || !strings.HasPrefix(s, "0x") {
		return id, refuse(400, "INVALID_ID_FORMAT", "%q is not an object ID: 0x and 64 hex digits", clip(s))
	}
	return blob.ID(b), nil
}

// pathID reads a segment of a path.
func pathID(segment string) (blob.ID, error) {
	text, err := unescape(segment)
	if err != nil {
		return blob.ID{}, err
	}
	return parseID(text)
}

// clip is what of a stranger's text goes into an answer.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// The API names objects of a chain that this network does not have. Their IDs follow from
// what the ledger holds, so that they are the same on every gateway.

// objectID is the object of a blob.
func objectID(id blob.ID) string { return "0x" + hex.EncodeToString(id[:]) }

// storageID is the object of an owner's lease on a blob.
func storageID(owner token.Address, id blob.ID) string {
	return "0x" + hex.EncodeToString(derive("walrus 2026 lease v1", append(owner[:], id[:]...)))
}

// eventID stands for the transaction that certified a blob.
func eventID(chain token.ChainID, e registry.Entry) string {
	id := e.ID()
	return base58.Encode(derive("walrus 2026 certification event", canon.Encode([]any{string(chain), id[:], uint64(e.CertifiedHeight)})))
}

func derive(context string, of []byte) []byte {
	out := make([]byte, 32)
	blake3.DeriveKey(context, of, out)
	return out
}
