package s3

import (
	"errors"
	"fmt"
	"math"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// extent is a range of a blob.
type extent struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Offset int64
	Length int64 // at least 1
}

// pair is a name and a value.
type pair struct {
	_           struct{} `cbor:",toarray"`
	Name, Value string
}

// bucket is what the index knows of one.
type bucket struct {
	_       struct{} `cbor:",toarray"`
	Created int64    // unix ms
	Tags    []pair
}

// content is where the bytes of an object or a part are.
type content struct {
	_       struct{} `cbor:",toarray"`
	Size    int64
	ETag    string // without quotation marks
	Sum     checksum
	Extents []extent // in order; their lengths add up to Size
}

// object is the value of a key.
type object struct {
	_        struct{} `cbor:",toarray"`
	Content  content
	Modified int64  // unix ms
	Headers  []pair // Content-Type and its like
	Meta     []pair // x-amz-meta-, names in lower case without it
	Tags     []pair
	Parts    []part // of a multipart upload: sizes and checksums
	Upload   string // ID of that upload; a client that did not get its answer completes it again
}

// part is one of an object that was uploaded in several.
type part struct {
	_      struct{} `cbor:",toarray"`
	Number int
	Size   int64
	Sum    checksum
}

// upload is a multipart upload that is neither complete nor aborted.
type upload struct {
	_         struct{} `cbor:",toarray"`
	Initiated int64    // unix ms
	Headers   []pair
	Meta      []pair
	Tags      []pair
	Sum       string // algorithm of the checksums; empty: none
	SumType   string
}

// uploaded is a part of an upload.
type uploaded struct {
	_        struct{} `cbor:",toarray"`
	Content  content
	Modified int64 // unix ms
}

// lease is a blob that the index points to.
type lease struct {
	_     struct{}   `cbor:",toarray"`
	Users uint64     // extents that point to it
	Own   bool       // the gateway made the lease, and so may give it back
	End   unit.Epoch // at whose start it ends, as the gateway saw last
	Size  int64      // of the blob
}

// intent is a blob that may be paid and is not in the index yet, or a lease that is to be
// given back.
type intent struct {
	_     struct{}   `cbor:",toarray"`
	Epoch unit.Epoch // in which the store began; an older lease is not the door's
	After int64      // unix ms before which nothing is given back: the client may come again
}

// head is what of the index is on the network.
type head struct {
	_          struct{} `cbor:",toarray"`
	Sequence   uint64   // of the newest snapshot, 1 for the first
	At         int64    // unix ms
	Generation uint64   // of the changes that are made now
	Chain      []link   // a whole snapshot, and what changed after each link; none: there is no snapshot
}

// link is a snapshot of a chain.
type link struct {
	_          struct{} `cbor:",toarray"`
	Blob       blob.ID
	Raw        int64  // bytes of its records; 0: it is none to which others can be added
	Generation uint64 // the last that it has
}

// oldHead is the newest snapshot as programs before wrote it.
type oldHead struct {
	_        struct{} `cbor:",toarray"`
	Blob     blob.ID
	Sequence uint64
	At       int64    // unix ms
	Digest   [32]byte // of the records
}

// errRecord is returned for a value of the index that is none.
var errRecord = errors.New("a record is not what it must be")

func decode(b []byte, v any) error {
	if err := canon.Decode(b, v); err != nil {
		return fmt.Errorf("index: %w: %w", errRecord, err)
	}
	return nil
}

func (c content) valid() error {
	sum := int64(0)
	if len(c.Extents) > maxExtents {
		return errRecord
	}
	for _, e := range c.Extents {
		if e.Length < 1 || e.Offset < 0 || e.Length > math.MaxInt64-sum {
			return errRecord
		}
		sum += e.Length
	}
	if sum != c.Size {
		return errRecord
	}
	return nil
}

// cut is the extents of a range of the content.
func (c content) cut(offset, length int64) (out []extent) {
	for _, e := range c.Extents {
		if offset >= e.Length {
			offset -= e.Length
			continue
		}
		n := min(length, e.Length-offset)
		if n <= 0 {
			break
		}
		out = append(out, extent{Blob: e.Blob, Offset: e.Offset + offset, Length: n})
		offset, length = 0, length-n
	}
	return out
}
