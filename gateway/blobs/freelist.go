package blobs

import (
	"slices"
	"sync"
)

// Of a freeList.
const (
	freeBytes  = 24 << 20 // that it keeps at most
	leastBytes = 1 << 20  // of a buffer that it keeps
)

// freeList is the buffers of large pieces whose bytes were passed on: new ones have to be
// cleared, which costs as much as filling them.
type freeList struct {
	mu      sync.Mutex // guards the fields below
	buffers [][]byte   // those given last at the end
	bytes   int        // of all of them
}

// take gives an empty buffer for n bytes.
func (l *freeList) take(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range slices.Backward(l.buffers) {
		if cap(b) == n {
			l.buffers = slices.Delete(l.buffers, i, i+1)
			l.bytes -= n
			return b
		}
	}
	return make([]byte, 0, n)
}

// give takes a buffer that nothing refers to any more. The oldest make room for it.
func (l *freeList) give(b []byte) {
	if cap(b) < leastBytes || cap(b) > freeBytes {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bytes += cap(b); l.bytes > freeBytes; {
		l.bytes -= cap(l.buffers[0])
		l.buffers = slices.Delete(l.buffers, 0, 1)
	}
	l.buffers = append(l.buffers, b[:0])
}
