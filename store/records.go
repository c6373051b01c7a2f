package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
)

// totals is the record under u, written with every change.
//
// Invariant: it equals a count over all other records.
type totals struct {
	_           struct{} `cbor:",toarray"`
	Bytes       uint64
	Proofs      uint64
	Fragments   uint64
	Blobs       uint64
	Staged      uint64
	StagedBytes uint64
}

func loadTotals(db *kv.DB) (t totals, err error) {
	b, ok, err := db.Get([]byte{tagTotals})
	if err != nil || !ok {
		return t, err
	}
	if err := canon.Decode(b, &t); err != nil {
		return t, fmt.Errorf("totals: %w: %w", kv.ErrCorrupt, err)
	}
	return t, nil
}

// blobRecord is the record under m.
type blobRecord struct {
	_        struct{} `cbor:",toarray"`
	Manifest blob.Manifest
	Since    int64  // Unix seconds since when it is only staged; 0: kept
	Bytes    uint64 // received while staged
}

func (r blobRecord) staged() bool { return r.Since != 0 }

// stagedSince is now as a Since; a clock at the epoch must not look like kept.
func stagedSince(now time.Time) int64 { return max(1, now.Unix()) }

func readBlob(r kv.Reader, id blob.ID) (rec blobRecord, ok bool, err error) {
	b, ok, err := r.Get(blobKey(id))
	if err != nil || !ok {
		return rec, false, err
	}
	rec, err = parseBlob(b)
	return rec, err == nil, err
}

func parseBlob(b []byte) (rec blobRecord, err error) {
	if err := canon.Decode(b, &rec); err != nil {
		return rec, fmt.Errorf("blob record: %w: %w", kv.ErrCorrupt, err)
	}
	return rec, nil
}

// addressRecord is the record under a.
//
// Invariant: Entries is the number of b keys of the address, and above zero.
type addressRecord struct {
	_       struct{} `cbor:",toarray"`
	Len     uint32
	Entries uint64
}

func parseAddressRecord(b []byte) (rec addressRecord, err error) {
	if err := canon.Decode(b, &rec); err != nil {
		return rec, fmt.Errorf("address record: %w: %w", kv.ErrCorrupt, err)
	}
	return rec, nil
}

// entry is the record under e: the address of the fragment's bytes, and in two bytes
// the length of the slot's witness, so that counts stay exact when it cannot be read.
type entry struct {
	address blob.Address
	witness uint16
	held    bool
}

func (e entry) encode() []byte {
	return binary.BigEndian.AppendUint16(append(make([]byte, 0, hashLen+2), e.address[:]...), e.witness)
}

func parseEntryRecord(b []byte) (e entry, err error) {
	if len(b) != hashLen+2 {
		return e, fmt.Errorf("entry of %d bytes: %w", len(b), kv.ErrCorrupt)
	}
	copy(e.address[:], b)
	e.witness = binary.BigEndian.Uint16(b[hashLen:])
	e.held = true
	return e, nil
}

// readEntry is the entry at a position; not held if there is none.
func readEntry(r kv.Reader, at blob.Position) (e entry, err error) {
	b, ok, err := r.Get(entryKey(at))
	if err != nil || !ok {
		return e, err
	}
	if e, err = parseEntryRecord(b); err != nil {
		return e, fmt.Errorf("%v: %w", at, err)
	}
	return e, nil
}

// readWitness is what is stored under a slot; ErrMissing if it is not there or rotten.
func readWitness(r kv.Reader, s slot) (blob.Witness, error) {
	b, ok, err := r.Get(witnessKey(s))
	if err != nil && !errors.Is(err, kv.ErrLost) {
		return blob.Witness{}, err
	}
	if err == nil && ok {
		if w, err := blob.DecodeWitness(b); err == nil {
			return w, nil
		}
	}
	return blob.Witness{}, fmt.Errorf("witness of %s stripe %d place %d: %w", s.blob, s.stripe, s.place, ErrMissing)
}

var errStop = errors.New("stop")
