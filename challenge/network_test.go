package challenge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

const testChain = token.ChainID("test-00000000")

var errGone = errors.New("fragment is gone")

// kept is all fragments and witnesses of some blobs, and what of it is gone.
type kept struct {
	shape     blob.Shape
	code      *redstuff.Code
	blobs     []blob.Commitment
	fragments map[blob.Position]blob.VerifiedFragment
	witnesses map[blob.Position]blob.Witness
	gone      func(blob.Position) bool
}

func newKept(t testing.TB, n int) *kept {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	return &kept{shape: shape, code: redstuff.For(shape), fragments: map[blob.Position]blob.VerifiedFragment{}, witnesses: map[blob.Position]blob.Witness{},
		gone: func(blob.Position) bool { return false }}
}

// add encodes a blob of random bytes, of symbols of at most seg bytes, and keeps all of it.
func (k *kept) add(t testing.TB, size, seg int, seed int64) blob.Commitment {
	t.Helper()
	l, err := k.shape.LayoutWith(int64(size), seg)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(data)
	var stripes []*redstuff.Stripe
	c, tree, err := k.code.Commit(context.Background(), l, bytes.NewReader(data), 1, func(s *redstuff.Stripe) error { stripes = append(stripes, s); return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range stripes {
		for p := range blob.Place(k.shape.N) {
			w := s.Tree().Witness(p, s.Parity(p), tree.Path(i))
			roots, err := w.Prove(c, uint32(i), p)
			if err != nil {
				t.Fatal(err)
			}
			k.witnesses[blob.Position{Blob: c.ID, Stripe: uint32(i), Place: p}] = w
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				v, err := roots.VerifyFull(axis, s.AppendFragment(nil, axis, p), k.code)
				if err != nil {
					t.Fatal(err)
				}
				k.fragments[v.Position()] = v.VerifiedFragment
			}
		}
		s.Release()
	}
	k.blobs = append(k.blobs, c)
	return c
}

func (k *kept) Fragment(at blob.Position) (blob.VerifiedFragment, error) {
	v, ok := k.fragments[at]
	if !ok || k.gone(at) {
		return v, fmt.Errorf("%v: %w", at, errGone)
	}
	return v, nil
}

func (k *kept) Witness(id blob.ID, stripe uint32, p blob.Place) (blob.Witness, error) {
	return k.witnesses[blob.Position{Blob: id, Stripe: stripe, Place: p}], nil
}

func (k *kept) commitment(id blob.ID) blob.Commitment {
	for _, c := range k.blobs {
		if c.ID == id {
			return c
		}
	}
	return blob.Commitment{}
}

func (k *kept) index() *Index {
	x := NewIndex()
	for i, c := range k.blobs {
		x.Set(i, Slot{Blob: c.ID, Units: c.Layout.StoredKiB(), Stripes: uint64(c.Layout.Stripes)})
	}
	return x
}

func beaconOf(i int) Beacon { return blob.Leaf([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }

var holder = token.KeyFromSeed([32]byte{7})

// challenge is a round's challenge to a shard.
func (k *kept) challenge(p Params, number int, shard blob.Shard) Challenge {
	beacon := beaconOf(number)
	return New(p, testChain, RoundID{Epoch: 1, Round: unit.Round(number)}, beacon, DrawRound(p, beacon, k.index(), none), shard, k.commitment)
}

// round challenges one shard; it answers.
func (k *kept) round(p Params, number int, shard blob.Shard) (Proof, Challenge, error) {
	c := k.challenge(p, number, shard)
	proof, err := c.Prove(holder, k, k.code)
	return proof, c, err
}
