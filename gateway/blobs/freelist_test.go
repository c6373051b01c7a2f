package blobs

import "testing"

// Buffers of large pieces are used again, up to a number of bytes, and no buffer is given twice.
func TestBuffersAreUsedAgain(t *testing.T) {
	var l freeList
	a := append(l.take(2<<20), 1)
	l.give(a)
	b, c := l.take(2<<20), l.take(2<<20)
	if len(b) != 0 || cap(b) != 2<<20 || &b[:1][0] != &a[0] || &c[:1][0] == &a[0] {
		t.Error("a buffer is not used again, or twice")
	}
	l.give(make([]byte, 10))
	l.give(make([]byte, freeBytes+1))
	if l.bytes != 0 {
		t.Errorf("%d bytes are kept of what is too small or too large", l.bytes)
	}
	for range 20 {
		l.give(make([]byte, 3<<20))
	}
	if l.bytes != freeBytes || len(l.buffers) != freeBytes/(3<<20) {
		t.Errorf("%d bytes in %d buffers are kept", l.bytes, len(l.buffers))
	}
}
