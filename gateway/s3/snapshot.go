package s3

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/secretfile"
	"github.com/walrus-network/walrus/kv"
)

// A snapshot is an age file of gzip of: the magic, the sequence number and the time in ms (8
// bytes each, big-endian), and the index's records, each as the lengths of key and value (4
// bytes each), key, value.
const (
	snapshotMagic = "walrus s3 index 1\n"
	ageMagic      = "age-encryption.org/v1\n"
	maxValue      = kv.MaxSmallValue
)

// OpenRecovery reads the recovery key, which opens snapshots. Where there is none it makes
// one.
func OpenRecovery(path string) (key *age.X25519Identity, made bool, err error) {
	key, err = readRecovery(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if key, err = age.GenerateX25519Identity(); err != nil {
		return nil, false, err
	}
	return key, true, writeSecret(path, []byte(key.String()+"\n"))
}

func readRecovery(path string) (*age.X25519Identity, error) {
	b, err := secretfile.Read(path, 4096, false)
	if err != nil {
		return nil, err
	}
	key, err := ParseRecovery(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// KeepRecovery writes the recovery key where OpenRecovery finds it, if it is not there.
func KeepRecovery(path string, key *age.X25519Identity) (made bool, err error) {
	there, err := readRecovery(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case err == nil && there.String() != key.String():
		return false, fmt.Errorf("%s holds another recovery key", path)
	case err == nil:
		return false, nil
	}
	return true, writeSecret(path, []byte(key.String()+"\n"))
}

// ParseRecovery reads a recovery key as OpenRecovery writes it.
func ParseRecovery(text string) (*age.X25519Identity, error) {
	key, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("not a recovery key: it begins with AGE-SECRET-KEY-1")
	}
	return key, nil
}

// snapshots makes them until ctx ends.
func (s *Server) snapshots(ctx context.Context) {
	t := time.NewTicker(s.o.Snapshot)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := s.TakeSnapshot(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("a snapshot of the index was not stored", "err", err)
			}
		}
	}
}

// TakeSnapshot stores the index on the network if it has changed since the last snapshot, and
// returns the newest. The one before is given back.
func (s *Server) TakeSnapshot(ctx context.Context) (blob.ID, error) {
	s.snapping.Lock()
	defer s.snapping.Unlock()
	last, _, err := read[head](s.index.db, []byte(keyHead))
	if err != nil {
		return blob.ID{}, err
	}
	now := s.now()
	digest := sha256.New()
	if err := dump(s.index.db, last.Blob, digest); err != nil {
		return blob.ID{}, err
	}
	next := head{Sequence: last.Sequence + 1, At: now.UnixMilli(), Digest: [32]byte(digest.Sum(nil))}
	if last.Sequence > 0 && last.Digest == next.Digest {
		return last.Blob, nil
	}
	body, err := s.spoolSnapshot(ctx, last.Blob, next)
	if err != nil {
		return blob.ID{}, err
	}
	defer body.Close()
	stored, err := s.keep(body)
	if err != nil {
		return blob.ID{}, err
	}
	p := &placed{s, stored, body.Size(), []extent{{Blob: stored.ID, Length: body.Size()}}}
	defer p.leave()
	next.Blob = stored.ID
	err = s.index.change(s.ctx, func(c *change) error {
		if err := p.arrive(c); err != nil {
			return err
		}
		c.put([]byte(keyHead), next)
		if last.Sequence == 0 {
			return nil
		}
		return c.release([]extent{{Blob: last.Blob, Length: 1}})
	})
	if err != nil {
		return blob.ID{}, err
	}
	s.log.Info("the index is on the network", "snapshot", next.Blob, "sequence", next.Sequence, "bytes", body.Size())
	return next.Blob, nil
}

func (s *Server) spoolSnapshot(ctx context.Context, last blob.ID, h head) (Body, error) {
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(writeSnapshot(s.index.db, s.o.Sealer, last, h, w)) }() // ends when r is closed
	return s.storage.Spool(ctx, r, -1)
}

func writeSnapshot(db *kv.DB, to age.Recipient, last blob.ID, h head, w io.Writer) error {
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(sealed)
	begin := binary.BigEndian.AppendUint64([]byte(snapshotMagic), h.Sequence)
	if _, err := packed.Write(binary.BigEndian.AppendUint64(begin, uint64(h.At))); err != nil {
		return err
	}
	if err := dump(db, last, packed); err != nil {
		return err
	}
	return errors.Join(packed.Close(), sealed.Close())
}

// dump writes the records of the index that a restored one has: what the snapshot before
// needs, and intents, are of the past then.
func dump(db *kv.DB, last blob.ID, w io.Writer) error {
	skip := string(leaseKey(last))
	out := bufio.NewWriter(w)
	err := db.View(func(r kv.Reader) error {
		for _, prefix := range []string{prefixBucket, prefixLease, prefixObject, prefixPart, prefixUpload} {
			err := r.Each([]byte(prefix), func(k, v []byte) error {
				if string(k) == skip {
					return nil
				}
				sizes := binary.BigEndian.AppendUint32(nil, uint32(len(k)))
				_, err := out.Write(append(append(binary.BigEndian.AppendUint32(sizes, uint32(len(v))), k...), v...))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, out.Flush())
}

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
	case prefixLease:
		if _, err := idOf(k); err != nil {
			return err
		}
		return decode(v, new(lease))
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
