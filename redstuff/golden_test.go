package redstuff

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// The golden files pin what an encoding commits to: a line that changes forks the
// network. They are read by people, one value a line: name, then hex or text.
var update = flag.Bool("update", false, "write the golden files (only for a new format version)")

type golden struct {
	file  string
	lines strings.Builder
}

func (g *golden) add(name string, value any) {
	if b, ok := value.([]byte); ok {
		value = hex.EncodeToString(b)
	}
	fmt.Fprintf(&g.lines, "%s %v\n", name, value)
}

func (g *golden) check(t *testing.T) {
	t.Helper()
	path := filepath.Join("testdata", g.file)
	if *update {
		if err := os.WriteFile(path, []byte(g.lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(g.lines.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("%s line %d:\ngot  %s\nwant %s", path, i+1, got[min(i, len(got)-1)], line)
		}
	}
	if len(got) != strings.Count(string(want), "\n")+1 {
		t.Fatalf("%s has %d lines, want %d", path, strings.Count(string(want), "\n")+1, len(got))
	}
}

// content is the deterministic content of the golden blobs: byte i is i*i+i/251+7,
// truncated to eight bits.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i + i/251 + 7)
	}
	return b
}

// TestGoldenBlobs pins what a whole encoding commits to, down to one place's witness.
func TestGoldenBlobs(t *testing.T) {
	g := golden{file: "blobs.txt"}
	for _, n := range []int{4, 7, 28, 100, 300} {
		for _, size := range []int{0, 1, 1000, 10_007, 200_000, 4_000_000} {
			if n == 300 && size > 200_000 {
				continue
			}
			addBlob(t, &g, n, size)
		}
	}
	g.check(t)
}

func addBlob(t *testing.T, g *golden, n, size int) {
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
	c, tree, err := For(shape).Commit(context.Background(), l, bytes.NewReader(content(size)), 2, func(s *Stripe) error {
		last = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := blob.NewManifest(l, tree.Root())
	g.add(name("manifest"), manifest.Encode())
	g.add(name("id"), c.ID)
	g.add(name("shard_of_place_0"), c.ID.ShardOf(0, n))
	p := blob.Place(n - 2)
	g.add(name("stripe_root"), last.Tree().Root())
	if n <= 7 {
		g.add(name("root_list"), last.Tree().List().Bytes())
	}
	g.add(name("root_list_hash"), blob.Leaf(last.Tree().List().Bytes()))
	g.add(name("share"), last.Tree().Share(p)[:32])
	g.add(name("row_address"), blob.AddressOf(last.Row(p)))
	g.add(name("column_address"), blob.AddressOf(last.Column(p)))
	witness := last.Tree().Witness(p, last.Parity(p), tree.Path(last.Index())).Encode()
	if size == 1000 {
		g.add(name("witness"), witness)
	}
	g.add(name("witness_hash"), blob.Leaf(witness))
	opened, err := For(shape).Open(blob.Column, p, last.Column(p), last.Seg(), []int{n - 1})
	if err != nil {
		t.Fatal(err)
	}
	g.add(name("opening_hash"), blob.Leaf(opened[0].Encode()))
	if size == 1 {
		g.add(name("opening"), opened[0].Encode())
	}
}

// TestGoldenBadEncoding pins the bytes of a proof: cell (3,3) of a blob of 4 shards
// and 10 bytes, whose column tree has another symbol than its row tree.
func TestGoldenBadEncoding(t *testing.T) {
	g := golden{file: "badencoding.txt"}
	shape, _ := blob.NewShape(4)
	l, err := shape.Layout(10)
	if err != nil {
		t.Fatal(err)
	}
	source := make([]byte, shape.K1*shape.K2*l.Seg)
	copy(source, content(10))
	rows := extendBoth(t, For(shape), source, l.Seg, blob.Row)
	columns := rows.clone()
	columns.at(3, 3)[0] ^= 1
	f := forge(t, l, rows, columns, false)
	p, err := ProveBadCell(f.evidence(), f.open(blob.Row, 3, 3), f.open(blob.Column, 3, 3))
	if err != nil {
		t.Fatal(err)
	}
	g.add("id", f.commitment.ID)
	g.add("proof", p.Encode())
	g.check(t)
}
