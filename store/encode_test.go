package store

import (
	"math/rand/v2"
	"testing"

	"github.com/klauspost/reedsolomon"

	"github.com/walrus-network/walrus/blob"
)

// encoded is a blob with all its fragments: a small, plain encoder of the tests' own.
type encoded struct {
	c       blob.Commitment
	m       blob.Manifest
	stripes []stripe
	ext     extender
}

type stripe struct {
	cells [][][]byte // row, column
	tree  *blob.StripeTree
	path  []blob.Hash
}

// extender is Reed-Solomon along one axis.
type extender struct{ shape blob.Shape }

func (x extender) Extend(axis blob.Axis, symbols []byte, seg int) ([]byte, error) {
	k := x.shape.Symbols(axis)
	rs, err := reedsolomon.New(k, x.shape.N-k)
	if err != nil {
		return nil, err
	}
	shards := make([][]byte, x.shape.N)
	for i := range shards {
		shards[i] = make([]byte, seg)
		if i < k {
			copy(shards[i], symbols[i*seg:])
		}
	}
	if err := rs.Encode(shards); err != nil {
		return nil, err
	}
	var parity []byte
	for _, s := range shards[k:] {
		parity = append(parity, s...)
	}
	return parity, nil
}

// encode cuts data into symbols of at most maxSymbol bytes over n places.
func encode(t testing.TB, n, maxSymbol int, data []byte) *encoded {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.LayoutWith(int64(len(data)), maxSymbol)
	if err != nil {
		t.Fatal(err)
	}
	e := &encoded{ext: extender{shape}}
	var roots []blob.Hash
	for i := range l.Stripes {
		from := l.StripeOffset(i)
		s := e.stripe(t, l, i, data[from:from+l.StripeBytes(i)])
		e.stripes = append(e.stripes, s)
		roots = append(roots, s.tree.Root())
	}
	tree := blob.NewTree(roots)
	for i := range e.stripes {
		e.stripes[i].path = tree.Path(i)
	}
	e.c = blob.NewCommitment(l, tree.Root())
	e.m = blob.NewManifest(l, tree.Root())
	return e
}

func (e *encoded) stripe(t testing.TB, l blob.Layout, i int, data []byte) stripe {
	t.Helper()
	seg := l.StripeSeg(i)
	source := make([]byte, l.K1*l.K2*seg)
	copy(source, data)
	cells := make([][][]byte, l.N)
	for r := range cells {
		cells[r] = make([][]byte, l.N)
	}
	for r := range l.K1 {
		for c := range l.K2 {
			cells[r][c] = source[(r*l.K2+c)*seg:][:seg]
		}
	}
	for c := range l.K2 {
		e.extend(t, blob.Column, seg, func(k int) *[]byte { return &cells[k][c] })
	}
	for r := range l.N {
		e.extend(t, blob.Row, seg, func(k int) *[]byte { return &cells[r][k] })
	}
	list := make(blob.RootList, l.N)
	shares := make([][]byte, l.N)
	for p := range list {
		rows, columns := make([]blob.Hash, l.N), make([]blob.Hash, l.N)
		for k := range l.N {
			rows[k], columns[k] = blob.Leaf(cells[p][k]), blob.Leaf(cells[k][p])
		}
		list[p] = blob.Roots{Row: blob.FragmentRoot(rows[:l.K2], rows[l.K2:]), Column: blob.FragmentRoot(columns[:l.K1], columns[l.K1:])}
		shares[p] = randomBytes(uint64(p), l.ShareBytes())
	}
	return stripe{cells: cells, tree: blob.NewStripeTree(list, shares)}
}

func (e *encoded) extend(t testing.TB, axis blob.Axis, seg int, at func(k int) *[]byte) {
	t.Helper()
	var line []byte
	k := e.ext.shape.Symbols(axis)
	for i := range k {
		line = append(line, *at(i)...)
	}
	parity, err := e.ext.Extend(axis, line, seg)
	if err != nil {
		t.Fatal(err)
	}
	for i := k; i < e.ext.shape.N; i++ {
		*at(i) = parity[(i-k)*seg:][:seg]
	}
}

// piece is one fragment with its witness, checked the way a node checks it.
func (e *encoded) piece(t testing.TB, s int, p blob.Place, axis blob.Axis) Piece {
	t.Helper()
	st := e.stripes[s]
	var data []byte
	for k := range e.c.Layout.Symbols(axis) {
		if axis == blob.Row {
			data = append(data, st.cells[p][k]...)
		} else {
			data = append(data, st.cells[k][p]...)
		}
	}
	w := st.tree.Witness(p, blob.Roots{}, st.path)
	proven, err := w.Prove(e.c, uint32(s), p)
	if err != nil {
		t.Fatal(err)
	}
	held, err := proven.VerifyFull(axis, data, e.ext)
	if err != nil {
		t.Fatal(err)
	}
	return Piece{Fragment: held, Witness: w}
}

// pieces is all fragments of places.
func (e *encoded) pieces(t testing.TB, places ...blob.Place) (all []Piece) {
	t.Helper()
	for s := range e.stripes {
		for _, p := range places {
			all = append(all, e.piece(t, s, p, blob.Row), e.piece(t, s, p, blob.Column))
		}
	}
	return all
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)}).Read(b)
	return b
}
