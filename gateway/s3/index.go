package s3

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/unit"
)

// The index's keys. A bucket's name and an object's key have no byte 0.
//
//	b BUCKET               bucket
//	a BUCKET               owner: of a bucket that is not the operator's
//	o BUCKET 0 KEY         object
//	u BUCKET 0 KEY 0 ID    upload
//	p ID NUMBER            part; the number has two bytes
//	l BLOB                 lease: a blob that extents point to
//	w BLOB                 intent: a blob that is being stored, and may be paid
//	d BLOB                 return: a lease that is to be given back
//	s                      head: the newest snapshot
const (
	prefixBucket = "b"
	prefixOwner  = "a"
	prefixObject = "o"
	prefixUpload = "u"
	prefixPart   = "p"
	prefixLease  = "l"
	prefixIntent = "w"
	prefixReturn = "d"
	keyHead      = "s"
)

const (
	maxKey     = 1024    // bytes of an object's key
	maxExtents = 10000   // of an object
	maxParts   = 10000   // of an upload
	maxSums    = 1 << 17 // bytes of the checksums of an object's parts that are kept
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

// head is a snapshot of the index on the network.
type head struct {
	_        struct{} `cbor:",toarray"`
	Blob     blob.ID
	Sequence uint64   // 1 for the first
	At       int64    // unix ms
	Digest   [32]byte // of the records
}

func bucketKey(name string) []byte        { return []byte(prefixBucket + name) }
func ownerKey(bucket string) []byte       { return []byte(prefixOwner + bucket) }
func objectsOf(bucket string) []byte      { return []byte(prefixObject + bucket + "\x00") }
func objectKey(bucket, key string) []byte { return append(objectsOf(bucket), key...) }
func uploadsOf(bucket string) []byte      { return []byte(prefixUpload + bucket + "\x00") }
func partsOf(id string) []byte            { return []byte(prefixPart + id) }
func leaseKey(id blob.ID) []byte          { return append([]byte(prefixLease), id[:]...) }
func intentKey(id blob.ID) []byte         { return append([]byte(prefixIntent), id[:]...) }
func returnKey(id blob.ID) []byte         { return append([]byte(prefixReturn), id[:]...) }
func partKey(id string, number int) []byte {
	return binary.BigEndian.AppendUint16(partsOf(id), uint16(number))
}
func uploadKey(bucket, key, id string) []byte {
	return append(uploadsOf(bucket), key+"\x00"+id...)
}

// idOf is the blob ID behind a key's first byte.
func idOf(key []byte) (id blob.ID, err error) {
	if len(key) != 1+len(id) {
		return id, fmt.Errorf("index: %w: key %q", errRecord, key)
	}
	copy(id[:], key[1:])
	return id, nil
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

// index is the database, changed by one goroutine.
type index struct {
	db   *kv.DB
	ops  chan op
	gone chan struct{} // closed when no change is made any more
}

type op struct {
	fn   func(*change) error
	done chan error
}

// maxChange is how many bytes of changes are written at once: less than a batch may have.
const maxChange = 1 << 20

func newIndex(db *kv.DB) *index {
	return &index{db: db, ops: make(chan op, 256), gone: make(chan struct{})}
}

// run makes changes until ctx ends. Those that wait together share a write to the disk.
func (x *index) run(ctx context.Context) {
	defer close(x.gone)
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-x.ops:
			x.batch(first)
		}
	}
}

func (x *index) batch(first op) {
	all := &change{below: x.db, set: map[string][]byte{}}
	var made []op
	next, ok := first, true
	for ok {
		one := &change{below: all, set: map[string][]byte{}}
		err := next.fn(one)
		if err == nil {
			err = one.fits()
		}
		if err != nil {
			next.done <- err
		} else {
			for k, v := range one.set {
				all.set[k] = v
			}
			all.bytes += one.bytes
			made = append(made, next)
		}
		if all.bytes > maxChange {
			break
		}
		select {
		case next = <-x.ops:
		default:
			ok = false
		}
	}
	b := x.db.Batch()
	for k, v := range all.set {
		if v == nil {
			b.Delete([]byte(k))
		} else {
			b.Set([]byte(k), v)
		}
	}
	err := b.Commit(true)
	for _, o := range made {
		o.done <- err
	}
}

// splitUpload takes bucket, object key and upload ID from an upload's key.
func splitUpload(k []byte) (bucket, key, id string, ok bool) {
	parts := strings.Split(string(bytes.TrimPrefix(k, []byte(prefixUpload))), "\x00")
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}
