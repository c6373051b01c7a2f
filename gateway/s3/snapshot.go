package s3

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
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
	if err := errors.Join(dump(db, last, packed), dumpReturns(db, last, packed)); err != nil {
		return err
	}
	return errors.Join(packed.Close(), sealed.Close())
}

// dumpReturns writes which leases a restored index gives back: those that are due, those
// whose stores are under way and have no key then, and that of the snapshot before.
func dumpReturns(db *kv.DB, last blob.ID, w io.Writer) error {
	out := bufio.NewWriter(w)
	if last != (blob.ID{}) {
		writeRecord(out, returnKey(last), canon.Encode(intent{}))
	}
	err := db.View(func(r kv.Reader) error {
		for _, prefix := range []string{prefixReturn, prefixIntent} {
			err := r.Each([]byte(prefix), func(k, v []byte) error {
				writeRecord(out, append([]byte(prefixReturn), k[1:]...), v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, out.Flush())
}

// writeRecord leaves a failure to Flush.
func writeRecord(out *bufio.Writer, k, v []byte) {
	sizes := binary.BigEndian.AppendUint32(nil, uint32(len(k)))
	out.Write(binary.BigEndian.AppendUint32(sizes, uint32(len(v))))
	out.Write(k)
	out.Write(v)
}

// dump writes the records of the index that a restored one has. Of the snapshot before, and
// of what is under way, it has none: they do not make a new snapshot.
func dump(db *kv.DB, last blob.ID, w io.Writer) error {
	skip := string(leaseKey(last))
	out := bufio.NewWriter(w)
	err := db.View(func(r kv.Reader) error {
		for _, prefix := range []string{prefixOwner, prefixBucket, prefixLease, prefixObject, prefixPart, prefixUpload} {
			err := r.Each([]byte(prefix), func(k, v []byte) error {
				if string(k) != skip {
					writeRecord(out, k, v)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, out.Flush())
}
