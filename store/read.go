package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// Manifest is the blob's manifest, if it is staged or kept.
func (s *Store) Manifest(id blob.ID) (m blob.Manifest, ok bool, err error) {
	err = s.db.View(func(r kv.Reader) error {
		var rec blobRecord
		rec, ok, err = readBlob(r, id)
		m = rec.Manifest
		return err
	})
	return m, ok, err
}

// Fragment reads a fragment and checks that its bytes are the ones that were stored.
// ErrMissing if it is not held, or has rotted: then it is not held from now on.
func (s *Store) Fragment(at blob.Position) (v blob.VerifiedFragment, err error) {
	err = s.db.View(func(r kv.Reader) error {
		e, err := readEntry(r, at)
		if err != nil {
			return err
		}
		if !e.held || s.rot.has(at, e.address) {
			return missing(at)
		}
		data, ok, err := r.Get(addressKey(tagBytes, e.address))
		if err != nil && !errors.Is(err, kv.ErrLost) {
			return fmt.Errorf("%v: %w", at, err)
		}
		if err == nil && ok {
			if v, err = blob.Recall(at, e.address, data); err == nil {
				return nil
			}
		}
		s.found(e.address, at, err)
		return missing(at)
	})
	return v, err
}

// Witness is the witness of a place in a stripe; ErrMissing if neither of its
// fragments is held.
func (s *Store) Witness(id blob.ID, stripe uint32, p blob.Place) (w blob.Witness, err error) {
	sl := slot{blob: id, place: p, stripe: stripe}
	err = s.db.View(func(r kv.Reader) error {
		row, err := readEntry(r, sl.at(blob.Row))
		if err != nil {
			return err
		}
		column, err := readEntry(r, sl.at(blob.Column))
		if err != nil {
			return err
		}
		if !row.held && !column.held || s.rot.slot(sl) {
			return fmt.Errorf("witness of %s stripe %d place %d: %w", id, stripe, p, ErrMissing)
		}
		if w, err = readWitness(r, sl); errors.Is(err, ErrMissing) {
			s.foundWitness(sl)
		}
		return err
	})
	return w, err
}

// Has reports whether a fragment is held. Its bytes are not read.
func (s *Store) Has(at blob.Position) (held bool, err error) {
	err = s.db.View(func(r kv.Reader) error {
		e, err := readEntry(r, at)
		held = e.held && !s.rot.has(at, e.address)
		return err
	})
	return held, err
}

// Missing is what is not held of the blob's fragments at places, in the order of
// place, stripe, axis: one pass over the blob's entries.
func (s *Store) Missing(c blob.Commitment, places []blob.Place) (gone []blob.Position, err error) {
	err = s.EachMissing(c, places, func(at blob.Position) { gone = append(gone, at) })
	return gone, err
}

// EachMissing is Missing without a list: a blob can have hundreds of millions of fragments.
func (s *Store) EachMissing(c blob.Commitment, places []blob.Place, fn func(blob.Position)) error {
	places = slices.Compact(slices.Sorted(slices.Values(places)))
	want := expectedKeys{blob: c.ID, places: places, stripes: uint32(c.Layout.Stripes)}
	err := s.db.Each(entriesOf(c.ID), func(k, v []byte) error {
		at, ok := parseEntry(k)
		if !ok {
			return fmt.Errorf("entry under %x: %w", k, kv.ErrCorrupt)
		}
		e, err := parseEntryRecord(v)
		if err != nil {
			return fmt.Errorf("%v: %w", at, err)
		}
		if s.rot.has(at, e.address) {
			return nil
		}
		for !want.done() && before(want.position(), at) {
			fn(want.position())
			want.next()
		}
		if want.done() {
			return errStop
		}
		if want.position() == at {
			want.next()
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return fmt.Errorf("missing of %s: %w", c.ID, err)
	}
	for ; !want.done(); want.next() {
		fn(want.position())
	}
	return nil
}

// expectedKeys walks over the positions that should be held, in the order of the keys.
type expectedKeys struct {
	blob    blob.ID
	places  []blob.Place // still to come
	stripes uint32
	stripe  uint32
	axis    blob.Axis
}

func (x *expectedKeys) done() bool { return len(x.places) == 0 }

func (x *expectedKeys) position() blob.Position {
	return blob.Position{Blob: x.blob, Place: x.places[0], Stripe: x.stripe, Axis: x.axis}
}

func (x *expectedKeys) next() {
	if x.axis == blob.Row {
		x.axis = blob.Column
		return
	}
	x.axis = blob.Row
	if x.stripe++; x.stripe == x.stripes {
		x.stripe, x.places = 0, x.places[1:]
	}
}

// before is the order of the keys within a blob.
func before(a, b blob.Position) bool {
	switch {
	case a.Place != b.Place:
		return a.Place < b.Place
	case a.Stripe != b.Stripe:
		return a.Stripe < b.Stripe
	default:
		return a.Axis < b.Axis
	}
}
