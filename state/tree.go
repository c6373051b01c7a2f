package state

import (
	"sort"

	"github.com/walrus-network/walrus/blob"
)

// nodes is a set of hashes of the tree by their place in it, sorted.
type nodes struct {
	at   []uint32
	hash []blob.Hash
}

func (n nodes) find(i uint32) (blob.Hash, bool) {
	k := sort.Search(len(n.at), func(k int) bool { return n.at[k] >= i })
	if k < len(n.at) && n.at[k] == i {
		return n.hash[k], true
	}
	return blob.Hash{}, false
}

func (n *nodes) add(i uint32, h blob.Hash) {
	n.at = append(n.at, i)
	n.hash = append(n.hash, h)
}

// tree is the whole Merkle tree over the buckets, in memory. Node 1 is the root,
// node i has the children 2i and 2i+1, and bucket b is node buckets+b. The number
// of buckets is a power of two, for which this is the shape of package blob.
type tree []blob.Hash

func newTree(buckets int) tree { return make(tree, 2*buckets) }

// newTreeRoot is the root of a tree of empty buckets.
func newTreeRoot(buckets int) blob.Hash {
	h := blob.Hash{}
	for ; buckets > 1; buckets /= 2 {
		h = blob.Node(h, h)
	}
	return h
}

func (t tree) buckets() int { return len(t) / 2 }

func (t tree) root() blob.Hash { return t[1] }

func (t tree) get(i uint32) blob.Hash { return t[i] }

// fill computes all inner nodes from the leaves.
func (t tree) fill() {
	for i := t.buckets() - 1; i >= 1; i-- {
		t[i] = blob.Node(t[2*i], t[2*i+1])
	}
}

// climb is all nodes that change when the leaves (sorted, by node number) do; get
// reads the tree as it was. The result is sorted, the root first.
func climb(get func(uint32) blob.Hash, leaves nodes) nodes {
	if len(leaves.at) == 0 {
		return nodes{}
	}
	levels := []nodes{leaves}
	for low := leaves; low.at[0] > 1; {
		var up nodes
		for k := 0; k < len(low.at); k++ {
			i := low.at[k]
			left := low.hash[k]
			var right blob.Hash
			switch {
			case i%2 == 1:
				left, right = get(i-1), low.hash[k]
			case k+1 < len(low.at) && low.at[k+1] == i+1:
				right = low.hash[k+1]
				k++
			default:
				right = get(i + 1)
			}
			up.add(i/2, blob.Node(left, right))
		}
		levels = append(levels, up)
		low = up
	}
	var all nodes
	for k := len(levels) - 1; k >= 0; k-- {
		all.at = append(all.at, levels[k].at...)
		all.hash = append(all.hash, levels[k].hash...)
	}
	return all
}

// before is what get says of the same nodes.
func (n nodes) before(get func(uint32) blob.Hash) nodes {
	old := nodes{at: n.at, hash: make([]blob.Hash, len(n.at))}
	for k, i := range n.at {
		old.hash[k] = get(i)
	}
	return old
}

func (t tree) apply(n nodes) {
	for k, i := range n.at {
		t[i] = n.hash[k]
	}
}
