package state

import (
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
)

// TestGoldenTree is the worked example of doc/formats.md: four keys in a tree of two
// buckets, with proofs of each kind.
func TestGoldenTree(t *testing.T) {
	const buckets = 2
	s, err := Open(NewMemory(), testSalt, buckets)
	if err != nil {
		t.Fatal(err)
	}
	f := golden.File{Name: "tree.txt"}
	f.Add("salt", testSalt[:])
	f.Add("buckets", buckets)
	var c []Change
	for _, k := range []string{"one", "two", "three", "four"} {
		x := Change{Key: []byte(k), Value: []byte(k[:1])}
		c = append(c, x)
		h := hashKey(testSalt, x.Key)
		l := leaf{h, blob.Leaf(x.Value)}
		lh := l.hash()
		f.Add(k+" key", x.Key)
		f.Add(k+" value", x.Value)
		f.Add(k+" bucket", bucketOf(h, buckets))
		f.Add(k+" hash of the key", h[:])
		f.Add(k+" hash of the value", l.value[:])
		f.Add(k+" leaf", lh[:])
	}
	commit(t, s, 0, c)
	for b := range buckets {
		h := s.tree.get(uint32(buckets + b))
		f.Add(fmt.Sprint("T of bucket ", b), h[:])
	}
	root := s.Root()
	f.Add("root", root[:])
	for _, k := range []string{"one", "two", "none"} {
		f.Add("proof of "+k, proofOf(t, s, 0, k).Encode())
	}
	commit(t, s, 1, []Change{{Key: c[0].Key, Delete: true}, {Key: c[1].Key, Delete: true}, {Key: c[2].Key, Delete: true}, {Key: c[3].Key, Delete: true}})
	root = s.Root()
	f.Add("root of no keys", root[:])
	f.Add("proof of none in it", proofOf(t, s, 1, "none").Encode())
	f.Check(t)
}
