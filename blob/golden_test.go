package blob_test

import (
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
)

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
	g := golden.File{Name: "merkle.txt"}
	g.Add("leaf(empty)", blob.Leaf(nil))
	g.Add("leaf(abc)", blob.Leaf([]byte("abc")))
	g.Add("leaf(16384)", blob.Leaf(golden.Content(16384)))
	g.Add("node(leaf(empty),leaf(abc))", blob.Node(blob.Leaf(nil), blob.Leaf([]byte("abc"))))
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 28, 100, 300, 1000} {
		tree := blob.NewTree(leavesOf(n))
		g.Add(fmt.Sprintf("root(%d)", n), tree.Root())
		for _, i := range []int{0, n / 2, n - 1} {
			g.Add(fmt.Sprintf("path(%d,%d)", i, n), concat(tree.Path(i)))
		}
	}
	g.Add("fragment(7,3)", blob.FragmentRoot(leavesOf(7), leavesOf(3)))
	g.Check(t)
}

func TestGoldenLayouts(t *testing.T) {
	g := golden.File{Name: "layout.txt"}
	for _, n := range []int{4, 5, 6, 7, 10, 28, 31, 64, 65, 100, 128, 129, 256, 257, 300, 1000} {
		s, err := blob.NewShape(n)
		if err != nil {
			t.Fatal(err)
		}
		g.Add(fmt.Sprintf("shape(%d)", n), fmt.Sprintf("f=%d k1=%d k2=%d codec=%d S=%d share=%d quorum=%d", s.F, s.K1, s.K2, s.Codec(), s.MaxSymbol(), s.ShareBytes(), s.Quorum()))
		stripe := int64(s.K1*s.K2) * int64(s.MaxSymbol())
		for _, size := range []int64{0, 1, 1000, stripe - 1, stripe, stripe + 1, 10*stripe + 12345, 1 << 36} {
			l, err := s.Layout(size)
			if err != nil {
				t.Fatal(err)
			}
			last := l.Stripes - 1
			g.Add(fmt.Sprintf("layout(%d,%d)", n, size), fmt.Sprintf("seg=%d stripes=%d last=%d last_seg=%d encoded=%d stored_kib=%d",
				l.Seg, l.Stripes, l.StripeBytes(last), l.StripeSeg(last), l.EncodedBytes(), l.StoredKiB()))
		}
	}
	g.Check(t)
}
