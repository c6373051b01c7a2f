package redstuff

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// A malicious encoder commits to whatever it likes. forge commits to a one-stripe
// blob whose row trees are over rows and whose column trees are over columns; the
// two may be different matrices, and neither need follow the code.
type forgery struct {
	rows, columns matrix
	manifest      blob.Manifest
	commitment    blob.Commitment
	tree          *blob.StripeTree
	proven        blob.ProvenStripe
}

func forge(t testing.TB, l blob.Layout, rows, columns matrix, wrongShare bool) forgery {
	t.Helper()
	c := rows.code
	list := make(blob.RootList, c.shape.N)
	for p := range list {
		row := blob.Leaves(rows.line(blob.Row, p), rows.seg)
		column := blob.Leaves(columns.line(blob.Column, p), rows.seg)
		list[p] = blob.Roots{
			Row:    blob.FragmentRoot(row[:c.shape.K2], row[c.shape.K2:]),
			Column: blob.FragmentRoot(column[:c.shape.K1], column[c.shape.K1:]),
		}
	}
	tree := c.EncodeList(list)
	if wrongShare {
		shares := make([][]byte, c.shape.N)
		for p := range shares {
			shares[p] = bytes.Clone(tree.Share(blob.Place(p)))
		}
		shares[2][5] ^= 1
		tree = blob.NewStripeTree(list, shares)
	}
	f := forgery{rows: rows, columns: columns, tree: tree, manifest: blob.NewManifest(l, tree.Root())}
	var err error
	if f.commitment, err = f.manifest.Commitment(); err != nil {
		t.Fatal(err)
	}
	if f.proven, err = list.Prove(f.commitment, 0, tree.CodedRoot(), nil); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f forgery) evidence() Evidence {
	return Evidence{Manifest: f.manifest, List: f.tree.List(), Coded: f.tree.CodedRoot()}
}

// open shows the symbol at index i of the fragment of place p, as committed.
func (f forgery) open(axis blob.Axis, p, i int) blob.Opening {
	m := f.rows
	if axis == blob.Column {
		m = f.columns
	}
	symbols := m.line(axis, p)
	return blob.Open(m.code.shape, axis, blob.Place(p), symbols, blob.Leaves(symbols, m.seg), i)
}

// verified gives the fragment as a reader gets it: source symbols and a parity root.
func (f forgery) verified(t testing.TB, axis blob.Axis, p int) blob.VerifiedFragment {
	t.Helper()
	m, k := f.rows, f.rows.code.shape.Symbols(axis)
	if axis == blob.Column {
		m = f.columns
	}
	b := m.line(axis, p)
	v, err := f.proven.At(blob.Place(p)).VerifySource(axis, b[:k*m.seg], blob.Root(blob.Leaves(b[k*m.seg:], m.seg)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func honest(t testing.TB, n, size int, seed uint64) (blob.Layout, matrix) {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(int64(size))
	if err != nil {
		t.Fatal(err)
	}
	source := make([]byte, shape.K1*shape.K2*l.Seg)
	copy(source, contents(size, seed))
	return l, extendBoth(t, For(shape), source, l.Seg, blob.Row)
}

// TestTwoMatricesNeverGiveTwoReadings: the encoder commits to one content by rows and
// to another by columns.
func TestTwoMatricesNeverGiveTwoReadings(t *testing.T) {
	for _, n := range []int{4, 10, 31} {
		l, x := honest(t, n, 5000, 1)
		_, y := honest(t, n, 5000, 2)
		f := forge(t, l, x, y, false)
		c := x.code
		r := rand.New(rand.NewPCG(5, uint64(n)))
		for range 20 {
			var rows, columns []blob.VerifiedFragment
			order := r.Perm(n)
			for _, p := range order[:c.shape.K1] {
				rows = append(rows, f.verified(t, blob.Row, p))
			}
			for _, p := range order[:c.shape.K2] {
				columns = append(columns, f.verified(t, blob.Column, p))
			}
			got, err := c.Decode(nil, f.proven, rows)
			if err != nil || !bytes.Equal(got, contents(5000, 1)) {
				t.Fatalf("N=%d: rows do not read as what the source rows commit to (%v)", n, err)
			}
			if got, err := c.Decode(nil, f.proven, columns); !errors.Is(err, ErrInconsistent) {
				t.Fatalf("N=%d: columns read as %d bytes (%v)", n, len(got), err)
			}
		}
	}
}

// TestRowsOffTheCodeNeverGiveTwoReadings: one parity row is not what the others give.
func TestRowsOffTheCodeNeverGiveTwoReadings(t *testing.T) {
	l, x := honest(t, 10, 5000, 1)
	bent := x.clone()
	for i := range 10 {
		bent.at(9, i)[0] ^= 1
	}
	// The row follows the row code, so its holder keeps it; it is off the column code.
	f := forge(t, l, bent, bent, false)
	c := x.code
	readings := make(map[string]bool)
	refused := 0
	for a := range 10 {
		for b := range a {
			for d := range b {
				for e := range d {
					rows := []blob.VerifiedFragment{f.verified(t, blob.Row, a), f.verified(t, blob.Row, b), f.verified(t, blob.Row, d), f.verified(t, blob.Row, e)}
					got, err := c.Decode(nil, f.proven, rows)
					if errors.Is(err, ErrInconsistent) {
						refused++
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					readings[string(got)] = true
				}
			}
		}
	}
	if len(readings) != 1 || refused == 0 {
		t.Fatalf("%d readings, %d refused: want one reading and some refusals", len(readings), refused)
	}
}

func TestAFragmentThatMissesItsRootIsProvenBad(t *testing.T) {
	for _, n := range []int{4, 10, 300} {
		for _, axis := range []blob.Axis{blob.Row, blob.Column} {
			l, x := honest(t, n, 900, 1)
			y := x.clone()
			place := n - 1
			if axis == blob.Row {
				y.at(place, 0)[0] ^= 1
			} else {
				y.at(0, place)[0] ^= 1
			}
			f := forge(t, l, y, y, false)
			k := x.code.shape.Symbols(axis)
			var openings []blob.Opening
			for i := range k { // some in the fragment itself, the others in those that cross it
				if i%3 == 2 {
					openings = append(openings, f.open(axis, place, i))
				} else {
					openings = append(openings, f.open(axis.Cross(), i, place))
				}
			}
			p, err := ProveBadFragment(f.evidence(), axis, blob.Place(place), openings)
			if err != nil {
				t.Fatalf("N=%d %v: %v", n, axis, err)
			}
			checkProof(t, p, f)
			if _, err := ProveBadFragment(f.evidence(), axis, blob.Place(place), openings[1:]); err == nil {
				t.Fatal("proven with too few symbols")
			}
			openings[1] = openings[0]
			if _, err := ProveBadFragment(f.evidence(), axis, blob.Place(place), openings); err == nil {
				t.Fatal("proven with one symbol given twice")
			}
		}
	}
}

func TestACellThatDiffersBetweenItsTreesIsProvenBad(t *testing.T) {
	l, x := honest(t, 10, 900, 1)
	y := x.clone()
	y.at(8, 9)[1] ^= 1
	f := forge(t, l, x, y, false)
	p, err := ProveBadCell(f.evidence(), f.open(blob.Row, 8, 9), f.open(blob.Column, 9, 8))
	if err != nil {
		t.Fatal(err)
	}
	checkProof(t, p, f)
	if _, err := ProveBadCell(f.evidence(), f.open(blob.Row, 8, 8), f.open(blob.Column, 9, 8)); !errors.Is(err, ErrNotBad) {
		t.Fatalf("two cells taken for one: %v", err)
	}
	if _, err := ProveBadCell(f.evidence(), f.open(blob.Row, 7, 9), f.open(blob.Column, 9, 7)); !errors.Is(err, ErrNotBad) {
		t.Fatalf("a good cell is proven bad: %v", err)
	}
}

func TestAShareThatIsNotTheListsIsProvenBad(t *testing.T) {
	l, x := honest(t, 10, 900, 1)
	f := forge(t, l, x, x, true)
	p, err := ProveBadShare(f.evidence(), 2, f.tree.Share(2), f.tree.SharePath(2))
	if err != nil {
		t.Fatal(err)
	}
	checkProof(t, p, f)
	if _, err := ProveBadShare(f.evidence(), 3, f.tree.Share(3), f.tree.SharePath(3)); !errors.Is(err, ErrNotBad) {
		t.Fatalf("a good share is proven bad: %v", err)
	}
	if _, err := f.tree.Prove(f.commitment, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := x.code.EncodeList(f.tree.List()).Prove(f.commitment, 0, nil); err == nil {
		t.Fatal("a node that codes the list again accepts false shares")
	}
}

func checkProof(t testing.TB, p BadEncoding, f forgery) {
	t.Helper()
	back, err := DecodeBadEncoding(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Check(f.manifest); err != nil {
		t.Fatalf("proof does not survive its own encoding: %v", err)
	}
	other := f.manifest
	other.Root[0] ^= 1
	if err := back.Check(other); !errors.Is(err, ErrNotBad) {
		t.Fatalf("proof holds for another blob: %v", err)
	}
	back.StripePath = append(back.StripePath, blob.Hash{})
	if err := back.Check(f.manifest); err == nil {
		t.Fatal("proof with a longer path passes")
	}
}

func TestNoProofAgainstAnHonestBlobPasses(t *testing.T) {
	l, x := honest(t, 10, 900, 1)
	f := forge(t, l, x, x, false)
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		for place := range 10 {
			var openings []blob.Opening
			for i := range x.code.shape.Symbols(axis) {
				openings = append(openings, f.open(axis.Cross(), 9-i, place))
			}
			if _, err := ProveBadFragment(f.evidence(), axis, blob.Place(place), openings); !errors.Is(err, ErrNotBad) {
				t.Fatalf("%v %d: %v", axis, place, err)
			}
			openings[0].Symbol[0] ^= 1
			if _, err := ProveBadFragment(f.evidence(), axis, blob.Place(place), openings); !errors.Is(err, blob.ErrMismatch) {
				t.Fatalf("%v %d with a false symbol: %v", axis, place, err)
			}
		}
	}
}

func TestALyingHolderIsFoundByItsProof(t *testing.T) {
	l, x := honest(t, 10, 900, 1)
	f := forge(t, l, x, x, false)
	const target = 8
	k := x.code.shape.K1
	at := positions(0, k)
	var optimistic [][]byte
	for i := range k {
		optimistic = append(optimistic, bytes.Clone(x.at(i, target)))
	}
	optimistic[2][0] ^= 1 // the holder of row 2 lies
	fragment, err := x.code.Recover(blob.Column, at, optimistic, x.seg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.proven.At(target).VerifyFull(blob.Column, fragment, x.code); !errors.Is(err, blob.ErrMismatch) {
		t.Fatalf("a fragment made from a lie is possessed (%v)", err)
	}
	var proven []blob.Symbol
	for i := range k + 1 {
		answers, err := x.code.Open(blob.Row, blob.Place(i), x.line(blob.Row, i)[:x.code.shape.K2*x.seg], x.seg, []int{target})
		if err != nil {
			t.Fatal(err)
		}
		o := answers[0]
		if i == 2 {
			o.Symbol = optimistic[2]
		}
		back, err := blob.DecodeOpening(o.Encode())
		if err != nil {
			t.Fatal(err)
		}
		s, err := back.Prove(f.proven.At(blob.Place(i)))
		if (err != nil) != (i == 2) {
			t.Fatalf("holder %d: %v", i, err)
		}
		if err == nil {
			proven = append(proven, s)
		}
	}
	if _, err := x.code.RecoverProven(f.proven.At(target), blob.Column, proven[1:]); !errors.Is(err, ErrTooFew) {
		t.Fatalf("want ErrTooFew, got %v", err)
	}
	kept, err := x.code.RecoverProven(f.proven.At(target), blob.Column, proven)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept.Bytes(), x.line(blob.Column, target)[:k*x.seg]) {
		t.Fatal("another fragment came back")
	}
}

func TestTheLargestProofFitsItsLimit(t *testing.T) {
	for _, n := range []int{4, 28, 63, 64, 128, 256, 257, 300, 997, 998, 999, 1000} { // around each change of S
		shape, _ := blob.NewShape(n)
		l, err := shape.Layout(1 << 44)
		if err != nil {
			l, err = shape.Layout(1 << 40)
		}
		if err != nil {
			t.Fatal(err)
		}
		longest := func(n int) []blob.Hash { return make([]blob.Hash, blob.PathLen(0, n)) }
		p := BadEncoding{
			Manifest: blob.NewManifest(l, blob.Hash{}), Stripe: uint32(l.Stripes - 1), StripePath: longest(l.Stripes),
			List: make(blob.RootList, n), Kind: BadFragment, Place: blob.Place(n - 1),
		}
		for range shape.K2 {
			p.Openings = append(p.Openings, blob.Opening{
				Axis: blob.Column, Place: blob.Place(n - 1), Index: uint16(n - 1), Symbol: make([]byte, l.Seg), Path: longest(2 * shape.F),
			})
		}
		if size := len(p.Encode()); size > MaxBadEncodingBytes {
			t.Fatalf("N=%d: %d bytes", n, size)
		}
	}
}

func FuzzDecodeBadEncoding(f *testing.F) {
	l, x := honest(f, 4, 10, 1)
	y := x.clone()
	y.at(3, 3)[0] ^= 1
	bad := forge(f, l, x, y, false)
	p, err := ProveBadCell(bad.evidence(), bad.open(blob.Row, 3, 3), bad.open(blob.Column, 3, 3))
	if err != nil {
		f.Fatal(err)
	}
	good := forge(f, l, x, x, false)
	f.Add(p.Encode())
	p.Manifest, p.List, p.Coded = good.manifest, good.tree.List(), good.tree.CodedRoot()
	f.Add(p.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeBadEncoding(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("accepted %x, which encodes as %x", b, p.Encode())
		}
		if p.Check(good.manifest) == nil {
			t.Fatal("a proof against an honest blob passes")
		}
		_ = p.Check(p.Manifest) // must not panic, whatever shape it claims
	})
}
