package report

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// StatedBy gives the function that says of a node of committee c whether it has stated
// that it holds all of its shards of a certified blob: it signed the blob's certificate,
// or it has shards only since then and reported each as ready. A member of the
// certificate's committee that did not sign has stated nothing.
func StatedBy(v ledger.View, id blob.ID, c ledger.Committee) (func(staking.NodeID) bool, error) {
	certificate, known, err := v.Certificate(id)
	if err != nil {
		return nil, err
	}
	by, kept, err := v.Certifiers(certificate.Epoch)
	if err != nil {
		return nil, err
	}
	if !known || !kept {
		return func(staking.NodeID) bool { return false }, nil
	}
	silent := map[token.BLSPublicKey]bool{}
	for i, m := range by.Members {
		if m.Shards > 0 && !certificate.Bitmap.Has(uint16(i)) {
			silent[m.BLS] = true
		}
	}
	return func(n staking.NodeID) bool {
		i, member := c.Index(n)
		return member && !silent[c.Nodes[i].BLS]
	}, nil
}
