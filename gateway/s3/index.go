package s3

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
)

// The index's keys. A bucket's name and an object's key have no byte 0.
//
//	b BUCKET               bucket
//	a BUCKET               owner: of a bucket that is not the operator's
//	c BUCKET               lifecycle
//	k BUCKET               CORS
//	o BUCKET 0 KEY         object
//	u BUCKET 0 KEY 0 ID    upload
//	p ID NUMBER            part; the number has two bytes
//	l BLOB                 lease: a blob that extents point to
//	w BLOB                 intent: a blob that is being stored, and may be paid
//	d BLOB                 return: a lease that is to be given back
//	m KEY                  mark: a record that snapshots show has changed
//	h                      head: the newest snapshot
//	s                      the same, as programs before wrote it: a snapshot that is whole
const (
	prefixBucket    = "b"
	prefixOwner     = "a"
	prefixObject    = "o"
	prefixUpload    = "u"
	prefixPart      = "p"
	prefixLifecycle = "c"
	prefixCORS      = "k"
	prefixLease     = "l"
	prefixIntent    = "w"
	prefixReturn    = "d"
	prefixMark      = "m"
	keyHead         = "h"
	keyOldHead      = "s"
)

// shown are the prefixes of the records that snapshots have, in the order in which they have
// them.
var shown = []string{prefixOwner, prefixBucket, prefixLifecycle, prefixCORS, prefixLease, prefixObject, prefixPart, prefixUpload}

const (
	maxKey     = 1024    // bytes of an object's key
	maxExtents = 10000   // of an object
	maxParts   = 10000   // of an upload
	maxSums    = 1 << 17 // bytes of the checksums of an object's parts that are kept
)

func bucketKey(name string) []byte        { return []byte(prefixBucket + name) }
func ownerKey(bucket string) []byte       { return []byte(prefixOwner + bucket) }
func corsKey(bucket string) []byte        { return []byte(prefixCORS + bucket) }
func lifecycleKey(bucket string) []byte   { return []byte(prefixLifecycle + bucket) }
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

// index is the database, changed by one goroutine.
type index struct {
	db         *kv.DB
	ops        chan op
	gone       chan struct{}  // closed when no change is made any more
	generation uint64         // of changes; that goroutine's
	uploads    map[string]int // by bucket; that goroutine's
	marked     atomic.Bool    // there may be changes that no snapshot has
}

type op struct {
	fn   func(*change) error
	done chan error
}

// maxChange is how many bytes of changes are written at once: less than a batch may have.
const maxChange = 1 << 20

func newIndex(db *kv.DB) *index {
	x := &index{db: db, ops: make(chan op, 256), gone: make(chan struct{}), generation: 1, uploads: map[string]int{}}
	x.marked.Store(true)
	return x
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

// maxUploads is how many uploads a bucket may have that are neither complete nor aborted: to
// begin one costs nothing.
const maxUploads = 10000

// countUploads counts the uploads that there are.
func (x *index) countUploads() error {
	return x.db.EachKey([]byte(prefixUpload), func(k []byte) error {
		if bucket, _, _, ok := splitUpload(k); ok {
			x.uploads[bucket]++
		}
		return nil
	})
}

// count takes the uploads that a change has begun and ended.
func (x *index) count(changed map[string]int) {
	for bucket, n := range changed {
		if x.uploads[bucket] += n; x.uploads[bucket] == 0 {
			delete(x.uploads, bucket)
		}
	}
}

func (x *index) batch(first op) {
	all := newChange(x.db)
	var made []op
	next, ok := first, true
	for ok {
		one := newChange(all)
		err := next.fn(one)
		if err == nil {
			err = one.fits()
		}
		if err != nil {
			next.done <- err
		} else {
			all.add(one)
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
		if all.marks(k) {
			b.Set(markKey(k), canon.Encode(mark{Generation: x.generation, Bytes: recordBytes(len(k), len(v))}))
			x.marked.Store(true)
		}
	}
	err := b.Commit(true)
	if err == nil {
		x.count(all.uploads)
	}
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
