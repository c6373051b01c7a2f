package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// The ledger keeps each blob's certificate as long as the blob, and its certifiers as
// long as any blob of that epoch: a reader with the state's root can check the nodes' own
// signatures, years after their committee is forgotten.

// Certifiers are the committee of an epoch as its certificates are checked against, in
// the order of the bits of a certificate.
type Certifiers struct {
	_       struct{} `cbor:",toarray"`
	Epoch   unit.Epoch
	Members []Certifier
}

// Certifier is a node that could sign a certificate.
type Certifier struct {
	_      struct{} `cbor:",toarray"`
	BLS    token.BLSPublicKey
	Shards int
}

// Registry is the members as a certificate is checked against.
func (c Certifiers) Registry() []registry.Member {
	out := make([]registry.Member, len(c.Members))
	for i, m := range c.Members {
		out[i] = registry.Member{BLS: m.BLS, Shards: m.Shards}
	}
	return out
}

// Certificate is that of a blob that is kept; ok is false for one that has none.
func (v View) Certificate(id blob.ID) (registry.Certificate, bool, error) {
	return read[registry.Certificate](v, "certificate", KeyCertificate(id))
}

// Certifiers are the nodes that could sign the certificates of an epoch; they are kept as
// long as a blob that they certified.
func (v View) Certifiers(epoch unit.Epoch) (Certifiers, bool, error) {
	return read[Certifiers](v, "certifiers", KeyCertifiers(epoch))
}

// keepCertificate keeps a certificate that was checked against a committee, and the nodes
// that could sign it.
func (x *exec) keepCertificate(id blob.ID, c registry.Certificate, by Committee) {
	x.put(KeyCertificate(id), c)
	blobs := x.vouched(c.Epoch)
	if blobs == 0 {
		out := Certifiers{Epoch: c.Epoch}
		for _, m := range by.Nodes {
			out.Members = append(out.Members, Certifier{BLS: m.BLS, Shards: m.Shards})
		}
		x.put(KeyCertifiers(c.Epoch), out)
	}
	x.put(keyVouched(c.Epoch), blobs+1)
}

// dropCertificate forgets the certificate of a blob that has ended, and with the last
// blob of an epoch the certifiers of that epoch.
func (x *exec) dropCertificate(id blob.ID) {
	c, certified, err := x.view().Certificate(id)
	if !sure(certified, err) {
		return
	}
	x.o.Delete(KeyCertificate(id))
	blobs := x.vouched(c.Epoch) - 1
	if blobs > 0 {
		x.put(keyVouched(c.Epoch), blobs)
		return
	}
	x.o.Delete(keyVouched(c.Epoch))
	x.o.Delete(KeyCertifiers(c.Epoch))
}

// vouched is how many of the blobs that are kept were certified with certificates of
// an epoch.
func (x *exec) vouched(epoch unit.Epoch) uint64 {
	n, _, err := read[uint64](x.view(), "certified blobs", keyVouched(epoch))
	return sure(n, err)
}
