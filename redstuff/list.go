package redstuff

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// A stripe's list of all row and column roots is coded like a column, k1 of N, so
// that a place keeps a share and not the list.

// EncodeList codes a root list of N places into N shares and commits to both: what
// a client sends, and what a node does again with the list it received. A list of
// another length panics; blob.ParseRootList gives none.
func (c *Code) EncodeList(list blob.RootList) *blob.StripeTree {
	if len(list) != c.shape.N {
		panic(fmt.Sprintf("redstuff: list of %d roots for %d places", len(list), c.shape.N))
	}
	part := c.shape.ShareBytes()
	buf := make([]byte, c.shape.N*part)
	copy(buf, list.Bytes())
	shares := split(buf, part)
	clear(buf[64*c.shape.N : max(64*c.shape.N, c.shape.K1*part)])
	if err := c.lines[blob.Column].extend(shares, part); err != nil {
		panic(fmt.Sprintf("redstuff: code a root list: %v", err))
	}
	return blob.NewStripeTree(list, shares)
}

// DecodeList rebuilds a list from k1 shares or more. Shares that contradict each
// other give a wrong list, not an error: the caller proves the result with
// EncodeList(list).Prove.
func (c *Code) DecodeList(shares map[blob.Place][]byte) (blob.RootList, error) {
	part := c.shape.ShareBytes()
	have := make([][]byte, c.shape.N)
	for p, s := range shares {
		if int(p) >= c.shape.N || len(s) != part {
			return nil, fmt.Errorf("share of place %d has %d bytes, want %d: %w", p, len(s), part, blob.ErrMismatch)
		}
		have[p] = s
	}
	out := make([]byte, c.shape.K1*part)
	if err := c.complete(blob.Column, have, split(out, part), part); err != nil {
		return nil, fmt.Errorf("root list: %w", err)
	}
	return blob.ParseRootList(out[:64*c.shape.N], c.shape.N)
}

// complete fills source (k shards) from the first k shards that are there among
// have (N of them, nil where missing). Source shards come first, so those that are
// there are only copied.
func (c *Code) complete(axis blob.Axis, have, source [][]byte, seg int) error {
	k := len(source)
	at, in := make([]int, 0, k), make([][]byte, 0, k)
	var want []int
	var out [][]byte
	for i, b := range have {
		if b != nil && len(at) < k {
			at, in = append(at, i), append(in, b)
		}
		if i < k && b == nil {
			want, out = append(want, i), append(out, source[i])
		}
	}
	if len(at) < k {
		return fmt.Errorf("%d of %d: %w", len(at), k, ErrTooFew)
	}
	for i := range source {
		if len(have[i]) > 0 && &have[i][0] != &source[i][0] {
			copy(source[i], have[i])
		}
	}
	if len(want) == 0 {
		return nil
	}
	return c.lines[axis].interpolate(at, in, want, out, seg)
}
