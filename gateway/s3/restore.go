package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/seal"
)

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
		r, closed := streamBlob(ctx, storage, o)
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

// stream is what write writes. The caller calls closed.
func stream(ctx context.Context, write func(context.Context, io.Writer) error) (r io.Reader, closed func()) {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		out.CloseWithError(write(ctx, out))
	}()
	return in, func() {
		cancel()
		in.Close()
		<-done
	}
}

// streamBlob reads a blob. The caller calls closed.
func streamBlob(ctx context.Context, storage Storage, o Owned) (r io.Reader, closed func()) {
	return stream(ctx, func(ctx context.Context, w io.Writer) error {
		return storage.ReadRange(ctx, o.ID, 0, o.Size, w)
	})
}

// openSnapshot decrypts a snapshot, and reads what it says before its records. The caller
// calls closed.
func openSnapshot(ctx context.Context, storage Storage, key age.Identity, o Owned) (s *snapshotReader, closed func(), err error) {
	read := func(ctx context.Context) seal.Read {
		return func(offset, length int64, w io.Writer) error {
			return storage.ReadRange(ctx, o.ID, offset, length, w)
		}
	}
	var r io.Reader
	opened, err := seal.Open(o.Size, read(ctx), []seal.Identity{key})
	switch {
	case err == nil:
		r, closed = stream(ctx, func(ctx context.Context, w io.Writer) error { return opened.Write(0, opened.Size(), read(ctx), w) })
	case errors.Is(err, seal.ErrPadding): // a program before made it
		r, closed = streamBlob(ctx, storage, o)
		r, err = age.Decrypt(r, key)
	default:
		return nil, nil, fmt.Errorf("%s: %w", o.ID, err)
	}
	if err == nil {
		s, err = readSnapshot(r)
	}
	if err != nil {
		closed()
		return nil, nil, fmt.Errorf("%s: %w", o.ID, err)
	}
	return s, closed, nil
}

// rebuild makes a database of a snapshot and those before it in its chain.
func rebuild(ctx context.Context, storage Storage, dir string, key age.Identity, from Owned, owned []Owned) (out Restored, err error) {
	db, err := kv.Open(kv.Options{Dir: dir, Profile: kv.Small})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	newest, closed, err := openSnapshot(ctx, storage, key, from)
	if err != nil {
		return out, err
	}
	defer closed()
	has := map[blob.ID]Owned{}
	for _, o := range owned {
		has[o.ID] = o
	}
	b := &builder{b: db.Batch(), h: head{Sequence: newest.sequence, At: newest.at}}
	for i, id := range newest.chain {
		o, there := has[id]
		if !there {
			return out, fmt.Errorf("snapshot %s needs snapshot %s, on which the wallet has no lease any more: name an older one with --snapshot", from.ID, id)
		}
		if err := b.link(ctx, storage, key, o, newest.chain[:i]); err != nil {
			return out, err
		}
	}
	if err := b.load(newest, from, true); err != nil {
		return out, err
	}
	b.h.Generation = uint64(len(b.h.Chain))
	b.put([]byte(keyHead), b.h)
	if err := b.b.CommitParts(true); err != nil {
		return out, err
	}
	out, err = survey(db, has)
	out.Snapshot, out.At = from.ID, time.UnixMilli(newest.at).UTC()
	return out, err
}

// builder makes a database of the links of a chain.
type builder struct {
	b *kv.Batch
	h head
}

func (b *builder) put(k []byte, v any) { b.b.Set(k, canon.Encode(v)) }

// link loads a snapshot on which others rest.
func (b *builder) link(ctx context.Context, storage Storage, key age.Identity, o Owned, before []blob.ID) error {
	s, closed, err := openSnapshot(ctx, storage, key, o)
	if err != nil {
		return err
	}
	defer closed()
	if !slices.Equal(s.chain, before) {
		return fmt.Errorf("%s: %w: it does not belong to the chain in which it is named", o.ID, errSnapshot)
	}
	return b.load(s, o, false)
}

// load takes the records of a snapshot. Those that its chain has changed are marked as they
// were in the index from which it comes. Returns are the newest's.
func (b *builder) load(s *snapshotReader, o Owned, newest bool) error {
	generation := uint64(len(b.h.Chain))
	raw := int64(1)
	err := s.each(func(k, v []byte) error {
		if k[0] == prefixReturn[0] && !newest {
			return nil
		}
		if v == nil {
			b.b.Delete(k)
		} else {
			b.b.Set(k, v)
		}
		if k[0] != prefixReturn[0] {
			raw += recordBytes(len(k), len(v))
			if generation > 0 {
				b.put(markKey(string(k)), mark{Generation: generation, Bytes: recordBytes(len(k), len(v))})
			}
		}
		if b.b.Bytes() < maxChange {
			return nil
		}
		return b.b.CommitParts(false)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.ID, err)
	}
	b.put(leaseKey(o.ID), lease{Users: 1, Own: true, End: o.End, Size: o.Size})
	b.h.Chain = append(b.h.Chain, link{Blob: o.ID, Raw: raw, Generation: generation})
	return nil
}

// survey counts what a restored index has, and gives its leases the ends that the ledger
// shows.
func survey(db *kv.DB, has map[blob.ID]Owned) (out Restored, err error) {
	b := db.Batch()
	err = db.View(func(r kv.Reader) error {
		buckets := r.Each([]byte(prefixBucket), func(_, _ []byte) error { out.Buckets++; return nil })
		objects := r.Each([]byte(prefixObject), func(_, v []byte) error {
			var o object
			if err := decode(v, &o); err != nil {
				return err
			}
			out.Objects++
			out.Bytes += o.Content.Size
			return nil
		})
		leases := r.Each([]byte(prefixLease), func(k, v []byte) error {
			id, err := idOf(k)
			if err != nil {
				return err
			}
			var l lease
			if err := decode(v, &l); err != nil {
				return err
			}
			o, there := has[id]
			if !there {
				out.Missing++
			} else if o.End != l.End {
				l.End = o.End
				b.Set(append([]byte(nil), k...), canon.Encode(l))
			}
			return nil
		})
		return errors.Join(buckets, objects, leases)
	})
	return out, errors.Join(err, b.CommitParts(true))
}
