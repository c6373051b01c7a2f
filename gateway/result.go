package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// storeResult is the answer to a store, with the names that applications of Walrus read.
// One of the two is there.
type storeResult struct {
	Created *createdResult `json:"newlyCreated,omitempty"`
	Already *alreadyResult `json:"alreadyCertified,omitempty"`
	Walrus  walrusResult   `json:"walrus"`
}

type createdResult struct {
	Object    blobObject          `json:"blobObject"`
	Operation map[string]operated `json:"resourceOperation"`
	Cost      uint64              `json:"cost"` // in FROST
}

type blobObject struct {
	ID              string     `json:"id"`
	RegisteredEpoch unit.Epoch `json:"registeredEpoch"`
	BlobID          string     `json:"blobId"`
	Size            uint64     `json:"size"`
	EncodingType    string     `json:"encodingType"`
	CertifiedEpoch  unit.Epoch `json:"certifiedEpoch"`
	Storage         storage    `json:"storage"`
	Deletable       bool       `json:"deletable"`
}

type storage struct {
	ID          string     `json:"id"`
	StartEpoch  unit.Epoch `json:"startEpoch"`
	EndEpoch    unit.Epoch `json:"endEpoch"`
	StorageSize uint64     `json:"storageSize"` // bytes
}

// operated is how a store came by its lease.
type operated struct {
	EncodedLength  uint64  `json:"encodedLength"`
	EpochsAhead    *uint64 `json:"epochsAhead,omitempty"`
	EpochsExtended *uint64 `json:"epochsExtended,omitempty"`
}

type alreadyResult struct {
	BlobID   string     `json:"blobId"`
	Event    event      `json:"event"`
	EndEpoch unit.Epoch `json:"endEpoch"`
}

type event struct {
	TxDigest string `json:"txDigest"`
	EventSeq string `json:"eventSeq"`
}

// walrusResult is what this network says beside that.
type walrusResult struct {
	CID       blob.ID       `json:"cid"`
	Chain     token.ChainID `json:"chain"`
	Height    unit.Height   `json:"height"` // of the certificate's block
	Owner     token.Address `json:"owner"`
	EndTime   time.Time     `json:"endTime"` // about when endEpoch begins
	Price     token.Amount  `json:"price"`
	Write     token.Amount  `json:"writePrice"`
	Allowance token.Amount  `json:"allowance"`
	Receipt   string        `json:"receipt"`
	Warning   string        `json:"warning,omitempty"`
}

// shortLease is how soon a lease ends that deserves a warning.
const shortLease = 24 * time.Hour

// storeResult is the answer to a store that is done. A ledger that is silent now changes
// nothing of that: then times are worked out from what it said last.
func (s *Server) storeResult(ctx context.Context, out client.StoreResult, t terms) storeResult {
	n, err := s.o.Writer.Now(context.WithoutCancel(ctx)) // which a store has asked moments ago
	if err != nil {
		n = s.o.Writer.Last()
	}
	return s.storeResultAt(n, out, t)
}

func (s *Server) storeResultAt(n report.Now, out client.StoreResult, t terms) storeResult {
	owner := t.Owner
	if owner == (token.Address{}) {
		owner = s.o.Writer.Payer()
	}
	end := n.Begins(out.EndEpoch).UTC().Truncate(time.Second)
	r := storeResult{Walrus: walrusResult{CID: out.ID, Chain: s.o.Reader.Chain(), Height: out.Entry.CertifiedHeight, Owner: owner, EndTime: end,
		Price: out.Price, Write: out.Write, Allowance: out.Allowance, Receipt: fmt.Sprintf("%s/v1/blobs/%s/receipt", s.o.BasePath, out.ID.Base64())}}
	if left := end.Sub(n.At); left < shortLease {
		r.Walrus.Warning = fmt.Sprintf("the lease ends in about %s: an epoch of this network is short; ask for more epochs", left.Round(time.Second))
	}
	// A client that asks to have it stored anew, where it is there for long enough, is answered
	// as if it had been: nothing more can be done for it.
	if out.Already && !out.Registered && out.Extended == 0 && !t.force {
		r.Already = &alreadyResult{BlobID: out.ID.Base64(), Event: event{eventID(s.o.Reader.Chain(), out.Entry), "0"}, EndEpoch: out.EndEpoch}
		return r
	}
	encoded := uint64(out.Entry.Units.Bytes())
	op, did := "reuseRegistration", operated{EncodedLength: encoded}
	switch {
	case out.Extended > 0:
		op, did.EpochsExtended = "reuseAndExtend", &out.Extended
	case out.Registered:
		ahead := out.EndEpoch.Since(out.Epoch)
		op, did.EpochsAhead = "registerFromScratch", &ahead
	}
	permanent, start := t.Permanent, out.Epoch
	for i, l := range out.Entry.Leases {
		if l.Owner == owner && (i == 0 || l.Start < start || !l.Permanent) {
			start, permanent = min(start, l.Start), l.Permanent
		}
	}
	r.Created = &createdResult{
		Object: blobObject{ID: objectID(out.ID), RegisteredEpoch: out.Entry.RegisteredEpoch, BlobID: out.ID.Base64(), Size: out.Entry.Manifest.Size, EncodingType: "RS2",
			CertifiedEpoch: out.Entry.CertifiedEpoch, Deletable: !permanent,
			Storage: storage{storageID(owner, out.ID), start, out.EndEpoch, encoded}},
		Operation: map[string]operated{op: did},
		Cost:      uint64(out.Price + out.Write),
	}
	return r
}
