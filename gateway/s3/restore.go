package s3

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// loadSnapshot reads an opened snapshot, and calls fn with each record once.
func loadSnapshot(r io.Reader, fn func(key, value []byte) error) (head, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return head{}, err
	}
	in := bufio.NewReader(unpacked)
	begin := make([]byte, len(snapshotMagic)+16)
	if _, err := io.ReadFull(in, begin); err != nil {
		return head{}, err
	}
	if string(begin[:len(snapshotMagic)]) != snapshotMagic {
		return head{}, errors.New("not a snapshot of an S3 index, or one of a newer program")
	}
	h := head{Sequence: binary.BigEndian.Uint64(begin[len(snapshotMagic):]), At: int64(binary.BigEndian.Uint64(begin[len(snapshotMagic)+8:]))}
	for {
		var sizes [8]byte
		if _, err := io.ReadFull(in, sizes[:]); err == io.EOF {
			return h, nil
		} else if err != nil {
			return h, err
		}
		n, m := binary.BigEndian.Uint32(sizes[:4]), binary.BigEndian.Uint32(sizes[4:])
		if n == 0 || n > 4096 || m > maxValue {
			return h, errRecord
		}
		b := make([]byte, int(n)+int(m))
		if _, err := io.ReadFull(in, b); err != nil {
			return h, err
		}
		k, v := b[:n:n], b[n:]
		if err := checkRecord(k, v); err != nil {
			return h, err
		}
		if err := fn(k, v); err != nil {
			return h, err
		}
	}
}

// checkRecord refuses what the index would not write.
func checkRecord(k, v []byte) error {
	switch string(k[:1]) {
	case prefixBucket:
		return decode(v, new(bucket))
	case prefixOwner:
		return decode(v, new(owned))
	case prefixLease:
		if _, err := idOf(k); err != nil {
			return err
		}
		return decode(v, new(lease))
	case prefixReturn:
		if _, err := idOf(k); err != nil {
			return err
		}
		return decode(v, new(intent))
	case prefixObject:
		var o object
		if err := decode(v, &o); err != nil {
			return err
		}
		return o.Content.valid()
	case prefixUpload:
		if _, _, _, ok := splitUpload(k); !ok {
			return errRecord
		}
		return decode(v, new(upload))
	case prefixPart:
		var p uploaded
		if err := decode(v, &p); err != nil {
			return err
		}
		return p.Content.valid()
	}
	return errRecord
}

// Restored says what Restore found.
type Restored struct {
	Snapshot blob.ID   `json:"snapshot"`
	At       time.Time `json:"at"` // of the snapshot: what was written later is not in it
	Buckets  int       `json:"buckets"`
	Objects  int       `json:"objects"`
	Bytes    int64     `json:"bytes"`   // of the objects
	Missing  int       `json:"missing"` // blobs that the index points to and the wallet has no lease on
}

// ErrNoSnapshot is returned where none of the wallet's blobs is a snapshot that the recovery
// key opens.
var ErrNoSnapshot = errors.New("none of the wallet's blobs is a snapshot that this recovery key opens")

// Restore rebuilds the index in a directory that has none, from a snapshot; the zero ID stands
// for the newest that the wallet has a lease on.
func Restore(ctx context.Context, storage Storage, dir string, key age.Identity, id blob.ID) (out Restored, err error) {
	target := filepath.Join(dir, "index")
	if _, err := os.Lstat(target); err == nil {
		return out, fmt.Errorf("%s exists: an index is restored where there is none; move it away first", target)
	}
	owned, err := storage.Owned(ctx)
	if err != nil {
		return out, err
	}
	found, err := findSnapshot(ctx, storage, key, owned, id)
	if err != nil {
		return out, err
	}
	building := target + ".new"
	if err := os.RemoveAll(building); err != nil {
		return out, err
	}
	out, err = rebuild(ctx, storage, building, key, found, owned)
	if err != nil {
		return out, errors.Join(err, os.RemoveAll(building))
	}
	return out, os.Rename(building, target)
}

func findSnapshot(ctx context.Context, storage Storage, key age.Identity, owned []Owned, id blob.ID) (Owned, error) {
	for _, o := range owned {
		if id != (blob.ID{}) {
			if o.ID == id {
				return o, nil
			}
			continue
		}
		if o.Size < int64(len(ageMagic)) {
			continue
		}
		var begin strings.Builder
		if err := storage.ReadRange(ctx, o.ID, 0, int64(len(ageMagic)), &begin); err != nil {
			if ctx.Err() != nil {
				return Owned{}, err
			}
			continue
		}
		if begin.String() != ageMagic {
			continue
		}
		r, closed := stream(ctx, storage, o)
		_, err := age.Decrypt(r, key)
		closed()
		if err == nil {
			return o, nil
		}
	}
	if id != (blob.ID{}) {
		return Owned{}, fmt.Errorf("%s: %w", id, ErrNoLease)
	}
	return Owned{}, ErrNoSnapshot
}

// stream reads a blob. The caller calls closed.
func stream(ctx context.Context, storage Storage, o Owned) (r io.Reader, closed func()) {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		out.CloseWithError(storage.ReadRange(ctx, o.ID, 0, o.Size, out))
	}()
	return in, func() {
		cancel()
		in.Close()
		<-done
	}
}

func rebuild(ctx context.Context, storage Storage, dir string, key age.Identity, from Owned, owned []Owned) (out Restored, err error) {
	db, err := kv.Open(kv.Options{Dir: dir, Profile: kv.Small})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r, closed := stream(ctx, storage, from)
	defer closed()
	opened, err := age.Decrypt(r, key)
	if err != nil {
		return out, fmt.Errorf("%s: %w", from.ID, err)
	}
	has := map[blob.ID]bool{}
	for _, o := range owned {
		has[o.ID] = true
	}
	b := db.Batch()
	h, err := loadSnapshot(opened, func(k, v []byte) error {
		switch string(k[:1]) {
		case prefixBucket:
			out.Buckets++
		case prefixObject:
			var o object
			if err := decode(v, &o); err != nil {
				return err
			}
			out.Objects++
			out.Bytes += o.Content.Size
		case prefixLease:
			if id, err := idOf(k); err != nil {
				return err
			} else if !has[id] {
				out.Missing++
			}
		}
		b.Set(k, v)
		if b.Bytes() < maxChange {
			return nil
		}
		return b.CommitParts(false)
	})
	if err != nil {
		return out, fmt.Errorf("%s: %w", from.ID, err)
	}
	h.Blob = from.ID
	c := &change{below: db, set: map[string][]byte{}}
	c.put(leaseKey(from.ID), lease{Users: 1, Own: true, End: from.End, Size: from.Size})
	c.put([]byte(keyHead), h)
	for k, v := range c.set {
		b.Set([]byte(k), v)
	}
	out.Snapshot, out.At = from.ID, time.UnixMilli(h.At).UTC()
	return out, b.CommitParts(true)
}
