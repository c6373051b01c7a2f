package s3

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
)

// A snapshot is a file of package seal of gzip of: the magic, the sequence number and the time
// in ms (8 bytes each, big-endian), the number of links before it (1 byte) and their blob IDs,
// the first a whole snapshot; and records, each as the lengths of key and value (4 bytes
// each), key, value. The length deleted stands for a record that is there no more. Of returns
// it has all. Version 1 had no links, and was sealed without padding.
const (
	snapshotMagic  = "walrus s3 index 2\n"
	snapshotMagic1 = "walrus s3 index 1\n"
	ageMagic       = "age-encryption.org/v1\n"
	maxValue       = kv.MaxSmallValue
	deleted        = 1<<32 - 1
)

// draft is a snapshot to be written.
type draft struct {
	sequence uint64
	at       int64  // unix ms
	chain    []link // before it; none: it is whole
	replaced []link // by it, to be given back
	raw      int64  // bytes of its records; set by write
}

// write writes the draft, packed, as the database shows its records in one moment.
func (d *draft) write(db *kv.DB, w io.Writer) error {
	packed := gzip.NewWriter(w)
	out := bufio.NewWriter(packed)
	begin := binary.BigEndian.AppendUint64([]byte(snapshotMagic), d.sequence)
	begin = binary.BigEndian.AppendUint64(begin, uint64(d.at))
	out.Write(append(begin, byte(len(d.chain)))) // a failure is kept for Flush
	for _, l := range d.chain {
		out.Write(l.Blob[:])
	}
	err := db.View(func(r kv.Reader) error {
		records := d.whole
		if len(d.chain) > 0 {
			records = d.changes
		}
		return errors.Join(records(r, out), d.returns(r, out))
	})
	return errors.Join(err, out.Flush(), packed.Close())
}

func (d *draft) record(out *bufio.Writer, k, v []byte) {
	d.raw += recordBytes(len(k), len(v))
	writeRecord(out, k, v)
}

// whole writes all records that snapshots show. The leases of snapshots are no part of them.
func (d *draft) whole(r kv.Reader, out *bufio.Writer) error {
	skip := map[string]bool{}
	for _, l := range d.replaced {
		skip[string(leaseKey(l.Blob))] = true
	}
	for _, prefix := range shown {
		err := r.Each([]byte(prefix), func(k, v []byte) error {
			if !skip[string(k)] {
				d.record(out, k, v)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changes writes the records that changed after the last link.
func (d *draft) changes(r kv.Reader, out *bufio.Writer) error {
	return eachMark(r, d.chain[len(d.chain)-1].Generation, func(key []byte, _ mark) error {
		v, there, err := r.Get(key)
		if err != nil {
			return err
		}
		if there {
			d.record(out, key, v)
			return nil
		}
		d.raw += recordBytes(len(key), 0)
		writeSizes(out, len(key), deleted)
		out.Write(key)
		return nil
	})
}

// returns writes which leases a restored index gives back: those that are due, those whose
// stores are under way and have no key then, and those of the snapshots that are replaced.
func (d *draft) returns(r kv.Reader, out *bufio.Writer) error {
	for _, l := range d.replaced {
		writeRecord(out, returnKey(l.Blob), canon.Encode(intent{}))
	}
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
}

func writeSizes(out *bufio.Writer, key int, value uint32) {
	out.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(key)), value))
}

// writeRecord leaves a failure to Flush.
func writeRecord(out *bufio.Writer, k, v []byte) {
	writeSizes(out, len(k), uint32(len(v)))
	out.Write(k)
	out.Write(v)
}

// snapshotHead is what a snapshot says before its records.
type snapshotHead struct {
	sequence uint64
	at       int64 // unix ms
	chain    []blob.ID
}

// errSnapshot is returned for bytes that are no snapshot.
var errSnapshot = errors.New("not a snapshot of an S3 index, or one of a newer program")

// snapshotReader reads an opened snapshot.
type snapshotReader struct {
	snapshotHead
	in *bufio.Reader
}

// readSnapshot reads what a snapshot says before its records.
func readSnapshot(r io.Reader) (*snapshotReader, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	s := &snapshotReader{in: bufio.NewReader(unpacked)}
	begin := make([]byte, len(snapshotMagic)+16)
	if _, err := io.ReadFull(s.in, begin); err != nil {
		return nil, err
	}
	magic := string(begin[:len(snapshotMagic)])
	if magic != snapshotMagic && magic != snapshotMagic1 {
		return nil, errSnapshot
	}
	s.sequence, s.at = binary.BigEndian.Uint64(begin[len(snapshotMagic):]), int64(binary.BigEndian.Uint64(begin[len(snapshotMagic)+8:]))
	if magic == snapshotMagic1 {
		return s, nil
	}
	links, err := s.in.ReadByte()
	if err != nil || links >= maxChain {
		return nil, errors.Join(err, errSnapshot)
	}
	s.chain = make([]blob.ID, links)
	for i := range s.chain {
		if _, err := io.ReadFull(s.in, s.chain[i][:]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// each calls fn with each record once, with nil for the value of one that is there no more.
func (s *snapshotReader) each(fn func(key, value []byte) error) error {
	for {
		var sizes [8]byte
		if _, err := io.ReadFull(s.in, sizes[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		n, m := binary.BigEndian.Uint32(sizes[:4]), binary.BigEndian.Uint32(sizes[4:])
		gone := m == deleted && len(s.chain) > 0
		if gone {
			m = 0
		}
		if n == 0 || n > 4096 || m > maxValue {
			return errRecord
		}
		b := make([]byte, int(n)+int(m))
		if _, err := io.ReadFull(s.in, b); err != nil {
			return err
		}
		k, v := b[:n:n], b[n:]
		if gone {
			if !slices.Contains(shown, string(k[:1])) {
				return errRecord
			}
			v = nil
		} else if err := checkRecord(k, v); err != nil {
			return err
		}
		if err := fn(k, v); err != nil {
			return fmt.Errorf("record %q: %w", k, err)
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
	case prefixLifecycle:
		return decode(v, new(lifecycle))
	case prefixCORS:
		return decode(v, new(cors))
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
