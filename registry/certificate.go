package registry

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Sentinels of certificates.
var (
	ErrWeight      = errors.New("certificate has not more than two thirds of the shards behind it")
	ErrCertificate = errors.New("certificate is not valid")
	ErrEpoch       = errors.New("certificate is of an epoch that does not count any more or yet")
)

// Certificate shows that nodes with more than two thirds of the shards confirmed a
// blob in an epoch: the point of availability, once it is on the ledger.
type Certificate struct {
	_         struct{} `cbor:",toarray"`
	Epoch     unit.Epoch
	Bitmap    blob.Set[uint16] // numbers in the committee of the nodes that signed
	Aggregate token.BLSSignature
}

// Member is what a certificate needs to know of a committee's node.
type Member struct {
	BLS    token.BLSPublicKey
	Shards int
}

// ConfirmMessage is what a node signs to confirm a blob in an epoch.
func ConfirmMessage(chain token.ChainID, epoch unit.Epoch, id blob.ID) []byte {
	return token.Message(token.PurposeConfirm, chain, epoch, id[:])
}

// NewCertificate aggregates confirmations, by the number of the node in the
// committee of epoch. It does not check them: see Verify.
func NewCertificate(epoch unit.Epoch, nodes int, confirmations map[int]token.BLSSignature) (Certificate, error) {
	c := Certificate{Epoch: epoch, Bitmap: blob.NewSet[uint16](nodes)}
	var sigs []token.BLSSignature
	for i := range nodes {
		if sig, ok := confirmations[i]; ok {
			c.Bitmap.Add(uint16(i))
			sigs = append(sigs, sig)
		}
	}
	var err error
	if c.Aggregate, err = token.AggregateBLS(sigs); err != nil {
		return Certificate{}, fmt.Errorf("aggregate %d confirmations: %w", len(sigs), err)
	}
	return c, nil
}

// Counts says whether a certificate of an epoch counts at a half: in its own epoch
// and the first half of the next.
func (c Certificate) Counts(now Half) error {
	own := now.Epoch() == c.Epoch
	next := now.Epoch() > 0 && now.Epoch()-1 == c.Epoch && now%2 == 0
	if !own && !next {
		return fmt.Errorf("of epoch %d, in half %d of epoch %d: %w", c.Epoch, now%2+1, now.Epoch(), ErrEpoch)
	}
	return nil
}

// weigh checks the bitmap and that the signers hold more than two thirds of the
// shards. It is cheap, and comes before Verify.
func (c Certificate) weigh(members []Member, shards int) ([]token.BLSPublicKey, error) {
	if len(c.Bitmap) != blob.SetBytes(len(members)) {
		return nil, fmt.Errorf("bitmap of %d bytes for %d nodes: %w", len(c.Bitmap), len(members), ErrCertificate)
	}
	var keys []token.BLSPublicKey
	weight := 0
	for i := range c.Bitmap.All() {
		if int(i) >= len(members) {
			return nil, fmt.Errorf("bitmap names node %d of %d: %w", i, len(members), ErrCertificate)
		}
		keys = append(keys, members[i].BLS)
		weight += members[i].Shards
	}
	if 3*weight <= 2*shards {
		return nil, fmt.Errorf("%d of %d shards: %w", weight, shards, ErrWeight)
	}
	return keys, nil
}

// Verify checks weight and signature against the committee of the certificate's epoch.
// Decoded, if not nil, keeps the committee's keys for the next certificate.
func (c Certificate) Verify(chain token.ChainID, id blob.ID, members []Member, shards int, decoded *token.BLSKeys) error {
	keys, err := c.weigh(members, shards)
	if err != nil {
		return err
	}
	if err := decoded.VerifyAggregate(keys, ConfirmMessage(chain, c.Epoch, id), c.Aggregate); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
