package redstuff

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// MaxBadEncodingBytes bounds a proof from outside: at 1000 shards a row is shown by
// 667 symbols of 1 KiB, their paths, and the list of all roots.
const MaxBadEncodingBytes = 1_200_000

// ErrNotBad is returned for a proof that does not show a badly encoded blob.
var ErrNotBad = errors.New("proof does not show a bad encoding")

// BadKind says how a blob contradicts itself.
type BadKind uint8

const (
	BadFragment BadKind = 1 // k symbols of a fragment give one with another root
	BadCell     BadKind = 2 // a cell differs between its row's and its column's tree
	BadShare    BadKind = 3 // a committed share is not the one of the committed list
)

// BadEncoding proves to any reader of a blob's manifest that the blob's commitments
// contradict each other: its encoder did not follow the code. Every kind starts from the
// stripe's whole root list, which is shorter than the paths of k places.
type BadEncoding struct {
	_          struct{} `cbor:",toarray"`
	Manifest   blob.Manifest
	Stripe     uint32
	StripePath []blob.Hash
	List       blob.RootList
	Coded      blob.Hash // Merkle root over the shares of the list
	Kind       BadKind

	// Of BadFragment: the fragment, and exactly k openings of its cells, in it or in
	// fragments that cross it. Of BadCell: Openings is the cell in its row, then in
	// its column. Of BadShare: Place is whose share.
	Axis      blob.Axis
	Place     blob.Place
	Openings  []blob.Opening
	Share     []byte
	SharePath []blob.Hash
}

// Evidence is the part of a proof that all kinds share: a stripe's committed list.
type Evidence struct {
	Manifest   blob.Manifest
	Stripe     uint32
	StripePath []blob.Hash
	List       blob.RootList
	Coded      blob.Hash
}

func (e Evidence) proof(kind BadKind) BadEncoding {
	return BadEncoding{Manifest: e.Manifest, Stripe: e.Stripe, StripePath: e.StripePath, List: e.List, Coded: e.Coded, Kind: kind}
}

// ProveBadFragment shows that openings of the cells of a fragment, k or more, give a
// fragment with another root than the committed one. The proof was checked; an error
// is ErrNotBad or says which opening is false.
func ProveBadFragment(e Evidence, axis blob.Axis, place blob.Place, openings []blob.Opening) (BadEncoding, error) {
	p := e.proof(BadFragment)
	p.Axis, p.Place = axis, place
	k := int(e.Manifest.N)
	if shape, err := blob.NewShape(int(e.Manifest.N)); err == nil && axis <= blob.Column {
		k = shape.Symbols(axis)
	}
	p.Openings = openings[:min(k, len(openings))]
	return p, p.Check(e.Manifest)
}

// ProveBadCell shows a cell whose symbol in its row's tree is not the one in its
// column's tree.
func ProveBadCell(e Evidence, row, column blob.Opening) (BadEncoding, error) {
	p := e.proof(BadCell)
	p.Openings = []blob.Opening{row, column}
	return p, p.Check(e.Manifest)
}

// ProveBadShare shows a committed share that the committed list does not give.
func ProveBadShare(e Evidence, place blob.Place, share []byte, path []blob.Hash) (BadEncoding, error) {
	p := e.proof(BadShare)
	p.Place, p.Share, p.SharePath = place, share, path
	return p, p.Check(e.Manifest)
}

// Encode is the canonical bytes, at most MaxBadEncodingBytes.
func (p BadEncoding) Encode() []byte { return canon.Encode(p) }

// DecodeBadEncoding reads a proof; Check says whether it holds.
func DecodeBadEncoding(b []byte) (p BadEncoding, err error) {
	if len(b) > MaxBadEncodingBytes {
		return p, fmt.Errorf("bad-encoding proof of %d bytes: at most %d", len(b), MaxBadEncodingBytes)
	}
	err = canon.Decode(b, &p)
	return p, err
}

// Check is nil if the proof shows that the blob of manifest m is badly encoded. No
// proof of a blob that was encoded by this package passes.
func (p BadEncoding) Check(m blob.Manifest) error {
	fail := func(err error) error {
		return fmt.Errorf("bad-encoding proof for %s: %w", m.ID(), err)
	}
	if p.Manifest != m {
		return fail(fmt.Errorf("it is about %s: %w", p.Manifest.ID(), ErrNotBad))
	}
	c, err := m.Commitment()
	if err != nil {
		return fail(err)
	}
	s, err := p.List.Prove(c, p.Stripe, p.Coded, p.StripePath)
	if err != nil {
		return fail(err)
	}
	if int(p.Place) >= c.Layout.N || p.Axis > blob.Column {
		return fail(fmt.Errorf("place %d, axis %d: %w", p.Place, p.Axis, ErrNotBad))
	}
	if err := p.checkFields(); err != nil {
		return fail(err)
	}
	switch p.Kind {
	case BadFragment:
		err = p.checkFragment(s)
	case BadCell:
		err = p.checkCell(s)
	default:
		err = p.checkShare(c.Layout.Shape)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// checkFields refuses what a kind does not use, so that a proof has one spelling.
func (p BadEncoding) checkFields() error {
	ok := false
	switch p.Kind {
	case BadFragment:
		ok = len(p.Share) == 0 && len(p.SharePath) == 0
	case BadCell:
		ok = len(p.Share) == 0 && len(p.SharePath) == 0 && p.Axis == 0 && p.Place == 0 && len(p.Openings) == 2
	case BadShare:
		ok = len(p.Openings) == 0 && p.Axis == 0
	}
	if !ok {
		return fmt.Errorf("fields are not those of kind %d: %w", p.Kind, ErrNotBad)
	}
	return nil
}

func (p BadEncoding) checkFragment(s blob.ProvenStripe) error {
	c := For(s.Commitment().Layout.Shape)
	if k := c.shape.Symbols(p.Axis); len(p.Openings) != k {
		return fmt.Errorf("%d symbols of a %v, want %d: %w", len(p.Openings), p.Axis, k, ErrNotBad)
	}
	symbols := make([]blob.Symbol, len(p.Openings))
	for i, o := range p.Openings {
		var err error
		if symbols[i], err = prove(s, o); err != nil {
			return err
		}
	}
	_, err := c.RecoverProven(s.At(p.Place), p.Axis, symbols)
	switch {
	case err == nil:
		return fmt.Errorf("%v %d is as committed: %w", p.Axis, p.Place, ErrNotBad)
	case errors.Is(err, ErrInconsistent):
		return nil
	default:
		return err
	}
}

func (p BadEncoding) checkCell(s blob.ProvenStripe) error {
	row, err := prove(s, p.Openings[0])
	if err != nil {
		return err
	}
	column, err := prove(s, p.Openings[1])
	if err != nil {
		return err
	}
	if row.Of().Axis != blob.Row || column.Of().Axis != blob.Column ||
		row.Index() != int(column.Of().Place) || column.Index() != int(row.Of().Place) {
		return fmt.Errorf("openings of two cells: %w", ErrNotBad)
	}
	if string(row.Bytes()) == string(column.Bytes()) {
		return fmt.Errorf("row and column agree: %w", ErrNotBad)
	}
	return nil
}

func (p BadEncoding) checkShare(shape blob.Shape) error {
	if len(p.Share) > shape.ShareBytes() {
		return fmt.Errorf("share of %d bytes: %w", len(p.Share), ErrNotBad)
	}
	coded, err := blob.Climb(blob.Leaf(p.Share), int(p.Place), shape.N, p.SharePath)
	if err != nil {
		return err
	}
	if coded != p.Coded {
		return fmt.Errorf("share of place %d: %w", p.Place, blob.ErrMismatch)
	}
	if string(For(shape).EncodeList(p.List).Share(p.Place)) == string(p.Share) {
		return fmt.Errorf("share of place %d is the list's: %w", p.Place, ErrNotBad)
	}
	return nil
}

func prove(s blob.ProvenStripe, o blob.Opening) (blob.Symbol, error) {
	if int(o.Place) >= len(s.List()) {
		return blob.Symbol{}, fmt.Errorf("opening of place %d: %w", o.Place, blob.ErrMismatch)
	}
	return o.Prove(s.At(o.Place))
}
