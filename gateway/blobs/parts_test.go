package blobs

import (
	"bytes"
	"testing"
)

func TestPartsAreReadAcrossTheirEnds(t *testing.T) {
	p, whole := parts{[]byte("wal"), nil, []byte("r"), []byte("us"), {}}, []byte("walrus")
	for from := range len(whole) + 2 {
		if got := p.at(int64(from)); !bytes.HasPrefix(whole[min(from, len(whole)):], got) || (len(got) == 0) != (from >= len(whole)) {
			t.Errorf("from %d: %q", from, got)
		}
		for n := range len(whole) + 2 {
			want := whole[min(from, len(whole)):min(from+n, len(whole))]
			got := make([]byte, n)
			if m := p.copyAt(got, int64(from)); m != len(want) || !bytes.Equal(got[:m], want) {
				t.Errorf("%d bytes from %d: %q, want %q", n, from, got[:m], want)
			}
		}
	}
}
