package state

import (
	"encoding/binary"
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// A bucket's trie lies on the disk in pages. Up to pageLeaves keys are one page, a
// list of them; more are a page that names up to 16 pages below, by the next four
// bits of the keys' hashes. Which pages there are follows from the keys alone. A
// change of one key rewrites one page of each level, however many keys there are.
const (
	pageLeaves  = 16
	pageFanBits = 4

	leafPage  = 1 // kind byte, then leaves of 64 bytes: hash of the key, of the value
	innerPage = 2 // kind byte, then children of 41 bytes: four bits, count of keys, T

	leafBytes  = 64
	childBytes = 1 + 8 + 32
	maxLevel   = 256 / pageFanBits // no page is at this level: 256 bits tell any keys apart
)

// place is where a page belongs. Its bytes are its key on the disk: of the first page
// of a bucket the letter and the bucket, below that one byte more for four bits each.
type place string

func placeOf(bucket int) place { return place(bucketKey(bucket)) }

func (p place) level() int { return len(p) - bucketKeyLen }

func (p place) below(slot uint8) place {
	if p.level() == 0 {
		return place(letterPage) + p[1:] + place([]byte{slot})
	}
	return p + place([]byte{slot})
}

// slotOf is the four bits of a key's hash by which a page of a level tells its children.
func slotOf(key blob.Hash, level int) uint8 {
	return key[level/2] >> (pageFanBits * (1 - level%2)) & (1<<pageFanBits - 1)
}

// content is what a page holds: keys, or pages below, one of both.
type content struct {
	leaves   []leaf  // in the order of key
	children []child // in the order of slot; together more than pageLeaves keys
}

type child struct {
	slot  uint8
	count uint64    // keys in it
	hash  blob.Hash // T of them
}

func (p content) encode() []byte {
	if len(p.leaves) > 0 {
		out := append(make([]byte, 0, 1+leafBytes*len(p.leaves)), leafPage)
		for _, l := range p.leaves {
			out = append(append(out, l.key[:]...), l.value[:]...)
		}
		return out
	}
	out := append(make([]byte, 0, 1+childBytes*len(p.children)), innerPage)
	for _, c := range p.children {
		out = binary.BigEndian.AppendUint64(append(out, c.slot), c.count)
		out = append(out, c.hash[:]...)
	}
	return out
}

// decodePage reads a page. Whether it is the right one, its hash tells.
func decodePage(raw []byte) (p content, err error) {
	bad := func() (content, error) { return content{}, fmt.Errorf("page of %d bytes: %w", len(raw), ErrCorrupt) }
	if len(raw) < 2 {
		return bad()
	}
	body := raw[1:]
	switch {
	case raw[0] == leafPage && len(body)%leafBytes == 0 && len(body) <= pageLeaves*leafBytes:
		p.leaves = make([]leaf, len(body)/leafBytes)
		for i := range p.leaves {
			l := &p.leaves[i]
			copy(l.key[:], body[i*leafBytes:])
			copy(l.value[:], body[i*leafBytes+32:])
			if i > 0 && string(p.leaves[i-1].key[:]) >= string(l.key[:]) {
				return bad()
			}
		}
	case raw[0] == innerPage && len(body)%childBytes == 0 && len(body) <= childBytes<<pageFanBits:
		p.children = make([]child, len(body)/childBytes)
		for i := range p.children {
			c, b := &p.children[i], body[i*childBytes:]
			c.slot, c.count = b[0], binary.BigEndian.Uint64(b[1:])
			copy(c.hash[:], b[9:])
			if c.slot >= 1<<pageFanBits || i > 0 && p.children[i-1].slot >= c.slot {
				return bad()
			}
		}
	default:
		return bad()
	}
	return p, nil
}

// count is the keys in the page and below.
func (p content) count() uint64 {
	n := uint64(len(p.leaves))
	for _, c := range p.children {
		n += c.count
	}
	return n
}

// twigs appends what the page's part of the trie is folded from.
func (p content) twigs(out []twig, level int) []twig {
	for _, l := range p.leaves {
		out = append(out, twig{l.key, l.hash()})
	}
	for _, c := range p.children {
		t := twig{hash: c.hash} // children part within these four bits, whatever is around them
		t.at[level/2] = c.slot << (pageFanBits * (1 - level%2))
		out = append(out, t)
	}
	return out
}

func (p content) hash(level int) blob.Hash {
	var room [pageLeaves]twig
	return fold(p.twigs(room[:0], level))
}

// at is the child of a slot; without one, an empty child.
func (p content) at(slot uint8) child {
	for _, c := range p.children {
		if c.slot == slot {
			return c
		}
	}
	return child{slot: slot}
}

// with is the page with another child in a slot; one without keys is left out.
func (p content) with(c child) content {
	out := make([]child, 0, len(p.children)+1)
	for _, old := range p.children {
		if old.slot < c.slot {
			out = append(out, old)
		}
	}
	if c.count > 0 {
		out = append(out, c)
	}
	for _, old := range p.children {
		if old.slot > c.slot {
			out = append(out, old)
		}
	}
	return content{children: out}
}

// pages reads pages: nil where there is none.
type pages func(place) ([]byte, error)

// load reads a page and checks that it is the one that the page above it, or the tree
// over the buckets, names.
func (read pages) load(at place, want blob.Hash) (content, error) {
	if at.level() >= maxLevel {
		return content{}, fmt.Errorf("page %x of the tree is too deep: %w", string(at), ErrCorrupt)
	}
	raw, err := read(at)
	if err != nil {
		return content{}, err
	}
	p, err := decodePage(raw)
	if err == nil && p.hash(at.level()) != want {
		err = fmt.Errorf("it has another hash: %w", ErrCorrupt)
	}
	if err != nil {
		return content{}, fmt.Errorf("page %x of the tree: %w", string(at), err)
	}
	return p, nil
}
