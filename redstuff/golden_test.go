package redstuff

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
)

// TestGoldenBlobs pins what a whole encoding commits to, down to one place's witness.
func TestGoldenBlobs(t *testing.T) {
	g := golden.File{Name: "blobs.txt"}
	for _, n := range []int{4, 7, 28, 100, 300} {
		for _, size := range []int{0, 1, 1000, 10_007, 200_000, 4_000_000} {
			if n == 300 && size > 200_000 {
				continue
			}
			addBlob(t, &g, n, size)
		}
	}
	g.Check(t)
}

func addBlob(t *testing.T, g *golden.File, n, size int) {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(int64(size))
	if err != nil {
		t.Fatal(err)
	}
	name := func(what string) string { return fmt.Sprintf("%s(%d,%d)", what, n, size) }
	var last *Stripe
	c, tree, err := For(shape).Commit(context.Background(), l, bytes.NewReader(golden.Content(size)), 2, func(s *Stripe) error {
		last = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := blob.NewManifest(l, tree.Root())
	g.Add(name("manifest"), manifest.Encode())
	g.Add(name("id"), c.ID)
	g.Add(name("shard_of_place_0"), c.ID.ShardOf(0, n))
	p := blob.Place(n - 2)
	g.Add(name("stripe_root"), last.Tree().Root())
	if n <= 7 {
		g.Add(name("root_list"), last.Tree().List().Bytes())
	}
	g.Add(name("root_list_hash"), blob.Leaf(last.Tree().List().Bytes()))
	g.Add(name("share"), last.Tree().Share(p)[:32])
	g.Add(name("row_address"), blob.AddressOf(last.Row(p)))
	g.Add(name("column_address"), blob.AddressOf(last.Column(p)))
	witness := last.Tree().Witness(p, last.Parity(p), tree.Path(last.Index())).Encode()
	if size == 1000 {
		g.Add(name("witness"), witness)
	}
	g.Add(name("witness_hash"), blob.Leaf(witness))
	opened, err := For(shape).Open(blob.Column, p, last.Column(p), last.Seg(), []int{n - 1})
	if err != nil {
		t.Fatal(err)
	}
	g.Add(name("opening_hash"), blob.Leaf(opened[0].Encode()))
	if size == 1 {
		g.Add(name("opening"), opened[0].Encode())
	}
}

// TestGoldenBadEncoding pins the bytes of a proof: cell (3,3) of a blob of 4 shards
// and 10 bytes, whose column tree has another symbol than its row tree.
func TestGoldenBadEncoding(t *testing.T) {
	g := golden.File{Name: "badencoding.txt"}
	shape, _ := blob.NewShape(4)
	l, err := shape.Layout(10)
	if err != nil {
		t.Fatal(err)
	}
	source := make([]byte, shape.K1*shape.K2*l.Seg)
	copy(source, golden.Content(10))
	rows := extendBoth(t, For(shape), source, l.Seg, blob.Row)
	columns := rows.clone()
	columns.at(3, 3)[0] ^= 1
	f := forge(t, l, rows, columns, false)
	p, err := ProveBadCell(f.evidence(), f.open(blob.Row, 3, 3), f.open(blob.Column, 3, 3))
	if err != nil {
		t.Fatal(err)
	}
	g.Add("id", f.commitment.ID)
	g.Add("proof", p.Encode())
	g.Check(t)
}
