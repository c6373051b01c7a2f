package blob_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// The golden files pin every format of this package: a line that changes forks the
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

// leavesOf is n leaves: leaf i is the hash of the two bytes of i, big endian.
func leavesOf(n int) []blob.Hash {
	out := make([]blob.Hash, n)
	for i := range out {
		out[i] = blob.Leaf([]byte{byte(i >> 8), byte(i)})
	}
	return out
}

func concat(hashes []blob.Hash) (b []byte) {
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func TestGoldenHashesAndTrees(t *testing.T) {
	g := golden{file: "merkle.txt"}
	g.add("leaf(empty)", blob.Leaf(nil))
	g.add("leaf(abc)", blob.Leaf([]byte("abc")))
	g.add("leaf(16384)", blob.Leaf(content(16384)))
	g.add("node(leaf(empty),leaf(abc))", blob.Node(blob.Leaf(nil), blob.Leaf([]byte("abc"))))
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 28, 100, 300, 1000} {
		tree := blob.NewTree(leavesOf(n))
		g.add(fmt.Sprintf("root(%d)", n), tree.Root())
		for _, i := range []int{0, n / 2, n - 1} {
			g.add(fmt.Sprintf("path(%d,%d)", i, n), concat(tree.Path(i)))
		}
	}
	g.add("fragment(7,3)", blob.FragmentRoot(leavesOf(7), leavesOf(3)))
	g.check(t)
}

func TestGoldenLayouts(t *testing.T) {
	g := golden{file: "layout.txt"}
	for _, n := range []int{4, 5, 6, 7, 10, 28, 31, 64, 65, 100, 128, 129, 256, 257, 300, 1000} {
		s, err := blob.NewShape(n)
		if err != nil {
			t.Fatal(err)
		}
		g.add(fmt.Sprintf("shape(%d)", n), fmt.Sprintf("f=%d k1=%d k2=%d codec=%d S=%d share=%d quorum=%d", s.F, s.K1, s.K2, s.Codec(), s.MaxSymbol(), s.ShareBytes(), s.Quorum()))
		stripe := int64(s.K1*s.K2) * int64(s.MaxSymbol())
		for _, size := range []int64{0, 1, 1000, stripe - 1, stripe, stripe + 1, 10*stripe + 12345, 1 << 36} {
			l, err := s.Layout(size)
			if err != nil {
				t.Fatal(err)
			}
			last := l.Stripes - 1
			g.add(fmt.Sprintf("layout(%d,%d)", n, size), fmt.Sprintf("seg=%d stripes=%d last=%d last_seg=%d encoded=%d stored_kib=%d",
				l.Seg, l.Stripes, l.StripeBytes(last), l.StripeSeg(last), l.EncodedBytes(), l.StoredKiB()))
		}
	}
	g.check(t)
}
