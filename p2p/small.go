package p2p

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// smallRow is the bytes of a row up to which it comes with its blob's manifest.
const smallRow = 16 << 10

// IsSmall says whether the rows of a blob come with its manifest: it has one stripe, whose rows
// are short.
func IsSmall(l blob.Layout) bool {
	return l.Stripes == 1 && l.FragmentBytes(0, blob.Row) <= smallRow
}

// getSmall asks for a blob's manifest, and for the rows of places if the blob is small.
type getSmall struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Places []blob.Place
}

// manifestFrame precedes the rows of a small blob, in the order of the places.
type manifestFrame struct {
	_        struct{} `cbor:",toarray"`
	Manifest []byte   // empty: not held
}

// manifests is what a Keeper may know of blobs.
type manifests interface {
	// Manifest returns the manifest of a blob of which fragments are held, or ErrNotHeld.
	Manifest(ctx context.Context, id blob.ID) (blob.Manifest, error)
}

func serveGetSmall(ctx context.Context, s *session, k Keeper, body []byte) error {
	var q getSmall
	if err := canon.Decode(body, &q); err != nil {
		return badRequest(err)
	}
	of, ok := k.(manifests)
	if !ok {
		return Refuse(CodeBadRequest, "no manifests are given here")
	}
	if err := checkRange(0, 1, len(q.Places)); err != nil {
		return err
	}
	m, err := of.Manifest(ctx, q.Blob)
	if errors.Is(err, ErrNotHeld) {
		return s.send(kindSmall, manifestFrame{})
	}
	if err != nil {
		return err
	}
	l, err := m.Layout()
	if err != nil {
		return err
	}
	if err := s.send(kindSmall, manifestFrame{Manifest: m.Encode()}); err != nil || !IsSmall(l) {
		return err
	}
	return sendFragments(ctx, s, k, getFragments{Blob: q.Blob, Axis: blob.Row, Places: q.Places, From: 0, To: 1})
}

// Small asks for the manifest of a blob and, if the blob is small, for the rows of places, of
// which each is called with every answer, held or not. The manifest is the blob's; of a blob
// that the peer does not hold there is none, and ok is false.
func (l *FragmentLine) Small(ctx context.Context, id blob.ID, places []blob.Place, each func(blob.Manifest, Piece) error) (m blob.Manifest, ok bool, err error) {
	q := &question{most: int64(len(places)) * (smallRow + witnessBytes)}
	q.send = func() error { return l.s.send(kindGetSmall, getSmall{Blob: id, Places: places}) }
	q.read = func(hand func(func() error) error) error {
		var f manifestFrame
		if err := l.s.expect(kindSmall, &f, idleLimit); err != nil {
			return err
		}
		if len(f.Manifest) == 0 {
			return nil
		}
		got, err := blob.DecodeManifest(f.Manifest)
		if err != nil || got.ID() != id {
			return fmt.Errorf("manifest of another blob than %s: %w", id, errors.Join(blob.ErrMismatch, err))
		}
		layout, err := got.Layout()
		if err != nil {
			return fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		if err := hand(func() error { m, ok = got, true; return nil }); err != nil || !IsSmall(layout) {
			return err
		}
		return l.readPieces(kindFragment, places, 0, 1, smallRow, hand, func(p Piece) error { return each(got, p) })
	}
	err = l.ask(ctx, q)
	return m, ok, err
}
