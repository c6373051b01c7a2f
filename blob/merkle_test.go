package blob_test

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

func TestEveryPathLeadsToTheRootAndNoOtherDoes(t *testing.T) {
	for n := 1; n <= 70; n++ {
		leaves := leavesOf(n)
		tree := blob.NewTree(leaves)
		if tree.Root() != blob.Root(leaves) {
			t.Fatalf("n=%d: tree and root disagree", n)
		}
		for i := range n {
			path := tree.Path(i)
			if len(path) != blob.PathLen(i, n) {
				t.Fatalf("n=%d i=%d: path of %d", n, i, len(path))
			}
			if got, err := blob.Climb(leaves[i], i, n, path); err != nil || got != tree.Root() {
				t.Fatalf("n=%d i=%d: %v %v", n, i, got, err)
			}
			if got, err := blob.Climb(blob.Leaf([]byte("no leaf")), i, n, path); err != nil || got == tree.Root() {
				t.Fatalf("n=%d i=%d: another leaf leads to the root (%v)", n, i, err)
			}
			for j := range n {
				if j == i || blob.PathLen(j, n) != len(path) {
					continue
				}
				if got, err := blob.Climb(leaves[i], j, n, path); err == nil && got == tree.Root() {
					t.Fatalf("n=%d: leaf %d passes for leaf %d", n, i, j)
				}
			}
			if len(path) > 0 {
				if _, err := blob.Climb(leaves[i], i, n, path[1:]); !errors.Is(err, blob.ErrMismatch) {
					t.Fatalf("n=%d i=%d: a short path is accepted", n, i)
				}
			}
			if _, err := blob.Climb(leaves[i], i, n, append(path, blob.Hash{})); !errors.Is(err, blob.ErrMismatch) {
				t.Fatalf("n=%d i=%d: a long path is accepted", n, i)
			}
		}
	}
	if _, err := blob.Climb(blob.Hash{}, -1, 3, nil); err == nil {
		t.Fatal("a leaf before the first is accepted")
	}
	if _, err := blob.Climb(blob.Hash{}, 3, 3, nil); err == nil {
		t.Fatal("a leaf after the last is accepted")
	}
}
