package blob

import (
	"fmt"

	"github.com/walrus-network/walrus/canon"
)

// Commitment is what a blob ID stands for: its layout and the root over its stripes.
type Commitment struct {
	ID     ID
	Layout Layout
	Root   Hash
}

// NewCommitment is the commitment of a blob cut by l whose stripes lead to root.
func NewCommitment(l Layout, root Hash) Commitment {
	return Commitment{ID: NewManifest(l, root).ID(), Layout: l, Root: root}
}

// Commitment is what a checked manifest commits to.
func (m Manifest) Commitment() (Commitment, error) {
	l, err := m.Layout()
	if err != nil {
		return Commitment{}, err
	}
	return Commitment{ID: m.ID(), Layout: l, Root: m.Root}, nil
}

// Manifest is the manifest of which this is the commitment.
func (c Commitment) Manifest() Manifest { return NewManifest(c.Layout, c.Root) }

// Roots are the two commitments of a place in a stripe: to its row and to its column.
type Roots struct {
	_      struct{} `cbor:",toarray"`
	Row    Hash
	Column Hash
}

// Of is the root along axis.
func (r Roots) Of(axis Axis) Hash {
	if axis == Row {
		return r.Row
	}
	return r.Column
}

func (r Roots) leaf() Hash { return Node(r.Row, r.Column) }

// FragmentRoot commits to a fragment: the source leaves (stored) and the parity leaves
// (computed) have a tree each, so that the holder of the source needs one hash of the
// parity.
func FragmentRoot(source, parity []Hash) Hash { return Node(Root(source), Root(parity)) }

// RootList is the roots of all N places of a stripe, in order.
type RootList []Roots

// Bytes is the list as it is coded into shares: row root 0, column root 0, row root 1, … (64 bytes a place).
func (l RootList) Bytes() []byte {
	b := make([]byte, 0, 64*len(l))
	for _, r := range l {
		b = append(append(b, r.Row[:]...), r.Column[:]...)
	}
	return b
}

// ParseRootList reads the roots of n places.
func ParseRootList(b []byte, n int) (RootList, error) {
	if len(b) != 64*n {
		return nil, fmt.Errorf("root list of %d bytes, want %d: %w", len(b), 64*n, ErrMismatch)
	}
	l := make(RootList, n)
	for i := range l {
		copy(l[i].Row[:], b[64*i:])
		copy(l[i].Column[:], b[64*i+32:])
	}
	return l, nil
}

// tree is the Merkle tree over the places' roots.
func (l RootList) tree() *Tree {
	leaves := make([]Hash, len(l))
	for i, r := range l {
		leaves[i] = r.leaf()
	}
	return NewTree(leaves)
}

// Prove shows that a root list belongs to the blob, given the root over the coded shares
// (coded): the stripe root over both leads to c.Root along path. It says nothing about
// the shares; a holder that keeps one uses StripeTree.Prove.
func (l RootList) Prove(c Commitment, stripe uint32, coded Hash, path []Hash) (ProvenStripe, error) {
	if len(l) != c.Layout.N {
		return ProvenStripe{}, fmt.Errorf("list of %d places, want %d: %w", len(l), c.Layout.N, ErrMismatch)
	}
	if err := c.provesStripe(Node(l.tree().Root(), coded), stripe, path); err != nil {
		return ProvenStripe{}, err
	}
	return ProvenStripe{of: c, stripe: stripe, list: l}, nil
}

// StripeTree holds both trees of a stripe: over the places' roots and over the shares of the list.
type StripeTree struct {
	list   RootList
	shares [][]byte
	roots  *Tree
	coded  *Tree
}

// NewStripeTree commits to a stripe. shares are the list's N coded shares (package redstuff makes them).
func NewStripeTree(list RootList, shares [][]byte) *StripeTree {
	if len(list) != len(shares) {
		panic("blob: a share for every place")
	}
	leaves := make([]Hash, len(shares))
	for i, s := range shares {
		leaves[i] = Leaf(s)
	}
	return &StripeTree{list: list, shares: shares, roots: list.tree(), coded: NewTree(leaves)}
}

// Root is the stripe root.
func (t *StripeTree) Root() Hash { return Node(t.roots.Root(), t.coded.Root()) }

// List is the roots of all places.
func (t *StripeTree) List() RootList { return t.list }

// Share is place p's share of the coded list.
func (t *StripeTree) Share(p Place) []byte { return t.shares[p] }

// CodedRoot is the Merkle root over the shares of the coded list.
func (t *StripeTree) CodedRoot() Hash { return t.coded.Root() }

// SharePath is the path of place p's share under CodedRoot.
func (t *StripeTree) SharePath(p Place) []Hash { return t.coded.Path(int(p)) }

// Witness is what place p keeps beside its fragments. stripePath is the path of
// this stripe's root among the blob's; parity is the parity roots of p's fragments.
func (t *StripeTree) Witness(p Place, parity Roots, stripePath []Hash) Witness {
	return Witness{
		Roots: t.list[p], Parity: parity,
		Path: t.roots.Path(int(p)), Share: t.shares[p], SharePath: t.coded.Path(int(p)),
		StripePath: stripePath,
	}
}

// Prove shows that the whole stripe belongs to the blob: its root leads to c.Root along path.
func (t *StripeTree) Prove(c Commitment, stripe uint32, path []Hash) (ProvenStripe, error) {
	if len(t.list) != c.Layout.N {
		return ProvenStripe{}, fmt.Errorf("list of %d places, want %d: %w", len(t.list), c.Layout.N, ErrMismatch)
	}
	if err := c.provesStripe(t.Root(), stripe, path); err != nil {
		return ProvenStripe{}, err
	}
	return ProvenStripe{of: c, stripe: stripe, list: t.list}, nil
}

func (c Commitment) provesStripe(root Hash, stripe uint32, path []Hash) error {
	got, err := Climb(root, int(stripe), c.Layout.Stripes, path)
	if err == nil && got != c.Root {
		err = ErrMismatch
	}
	if err != nil {
		return fmt.Errorf("stripe %d of %s: %w", stripe, c.ID, err)
	}
	return nil
}

// ProvenStripe is a root list that was shown to belong to a blob. Only Prove makes one.
type ProvenStripe struct {
	of     Commitment
	stripe uint32
	list   RootList
}

// Stripe is which stripe of the blob this is.
func (s ProvenStripe) Stripe() int { return int(s.stripe) }

// Commitment is the blob's.
func (s ProvenStripe) Commitment() Commitment { return s.of }

// List is the proven roots.
func (s ProvenStripe) List() RootList { return s.list }

// At is the proven roots of place p, which must be below N.
func (s ProvenStripe) At(p Place) ProvenRoots {
	return ProvenRoots{of: s.of, stripe: s.stripe, place: p, roots: s.list[p]}
}

// Witness is the record that place i keeps of a stripe beside its two fragments:
// enough to show that they, and its share of the root list, belong to the blob.
type Witness struct {
	_          struct{} `cbor:",toarray"`
	Roots      Roots    // of the row and the column
	Parity     Roots    // Merkle roots of their parity leaves
	Path       []Hash   // of Roots among the N places
	Share      []byte   // of the coded root list
	SharePath  []Hash   // of the share among the N shares
	StripePath []Hash   // of the stripe's root among the blob's stripes
}

// maxWitnessBytes bounds a witness from outside: 1000 shards, 2^24 stripes.
const maxWitnessBytes = 4096

// Encode is the canonical bytes.
func (w Witness) Encode() []byte { return canon.Encode(w) }

// DecodeWitness reads a witness; Prove says whether it is true.
func DecodeWitness(b []byte) (w Witness, err error) {
	if len(b) > maxWitnessBytes {
		return w, fmt.Errorf("witness of %d bytes: at most %d", len(b), maxWitnessBytes)
	}
	err = canon.Decode(b, &w)
	return w, err
}

// Prove shows that the witness's roots and share are those of place p in the stripe.
// The parity roots are not covered: they are shown by the fragment itself.
func (w Witness) Prove(c Commitment, stripe uint32, p Place) (ProvenRoots, error) {
	fail := func(err error) (ProvenRoots, error) {
		return ProvenRoots{}, fmt.Errorf("witness of place %d: %w", p, err)
	}
	if len(w.Share) != c.Layout.ShareBytes() {
		return fail(fmt.Errorf("share of %d bytes, want %d: %w", len(w.Share), c.Layout.ShareBytes(), ErrMismatch))
	}
	a, err := Climb(w.Roots.leaf(), int(p), c.Layout.N, w.Path)
	if err != nil {
		return fail(err)
	}
	b, err := Climb(Leaf(w.Share), int(p), c.Layout.N, w.SharePath)
	if err != nil {
		return fail(err)
	}
	if err := c.provesStripe(Node(a, b), stripe, w.StripePath); err != nil {
		return fail(err)
	}
	return ProvenRoots{of: c, stripe: stripe, place: p, roots: w.Roots}, nil
}

// ProvenRoots are the roots of one place that were shown to belong to a blob. Only
// Witness.Prove and ProvenStripe.At make one.
type ProvenRoots struct {
	of     Commitment
	stripe uint32
	place  Place
	roots  Roots
}

// Roots is the proven roots.
func (r ProvenRoots) Roots() Roots { return r.roots }

// Place is whose they are.
func (r ProvenRoots) Place() Place { return r.place }

// Position is the position of the fragment along axis.
func (r ProvenRoots) Position(axis Axis) Position {
	return Position{Blob: r.of.ID, Stripe: r.stripe, Place: r.place, Axis: axis}
}
