package s3

import (
	"net/http"
	"slices"

	"github.com/walrus-network/walrus/kv"
)

// owned is the owner of a bucket. Buckets of the operator have none.
type owned struct {
	_     struct{} `cbor:",toarray"`
	Owner string
}

// maxOwned is how many buckets an owner may have: others need names, too.
const maxOwned = 100

// mayOwnMore refuses an owner that has as many buckets as it may have.
func mayOwnMore(db *kv.DB, owner string) error {
	n := 0
	err := db.Each([]byte(prefixOwner), func(_, v []byte) error {
		var o owned
		if err := decode(v, &o); err != nil {
			return err
		}
		if o.Owner == owner {
			n++
		}
		return nil
	})
	if err == nil && n >= maxOwned {
		err = errTooManyBuckets.with("An owner has at most %d buckets.", maxOwned)
	}
	return err
}

// may says whether a key may read or write a bucket: its line in the file names it, or its
// owner has created it.
func (s *Server) may(k *Key, bucket string, write bool) (bool, error) {
	if k == nil || write && !k.Write {
		return false, nil
	}
	if k.names(bucket) {
		return true, nil
	}
	if k.Owner == "" {
		return false, nil
	}
	o, there, err := read[owned](s.index.db, ownerKey(bucket))
	return there && o.Owner == k.Owner, err
}

// allow says whether the caller may do what it asks for.
func (s *Server) allow(q *request, op operation) error {
	k := q.caller.key
	if k == nil {
		if op.public && slices.Contains(s.o.Public, q.bucket) {
			return nil
		}
		return errAccessDenied.with("Access Denied: the request is not signed.")
	}
	if q.bucket == "" {
		return nil
	}
	ok, err := s.may(k, q.bucket, op.writes)
	if err != nil || ok {
		return err
	}
	if k.Owner == "" {
		return errAccessDenied
	}
	// An owner may create any bucket, and so learns which exist.
	if _, there, err := s.index.db.Get(bucketKey(q.bucket)); err != nil || there {
		if err == nil && op.creates && k.Write {
			err = errBucketExists
		} else if err == nil {
			err = errAccessDenied
		}
		return err
	}
	switch {
	case !op.creates:
		return errNoBucket
	case !k.Write || s.keys.isKept(q.bucket, k.Owner):
		return errAccessDenied
	}
	return nil
}

// owns says whether the owner that a header expects is this gateway's: its account, or the
// caller.
func (s *Server) owns(q *request, header string) bool {
	expected := q.Header.Get(header)
	if expected == "" || expected == account.ID {
		return true
	}
	k := q.caller.key
	return k != nil && (expected == k.Access || expected == k.Owner)
}

// Headers that ask for encryption by the server begin so.
const (
	headerSSE       = "X-Amz-Server-Side-Encryption"
	headerSSECopied = "X-Amz-Copy-Source-Server-Side-Encryption"
)

// noEncryption refuses requests for encryption by the server: what is stored can be read by
// every reader who knows its blob ID, and a client must not believe something else.
func noEncryption(h http.Header) error {
	for name := range h {
		if len(name) >= len(headerSSE) && name[:len(headerSSE)] == headerSSE || len(name) >= len(headerSSECopied) && name[:len(headerSSECopied)] == headerSSECopied {
			return errNotImplemented.with("This gateway does not encrypt: encrypt before you upload, for example with rclone crypt or restic.")
		}
	}
	return nil
}
