package blobs

// parts is the bytes of a piece as they were fetched, one part after the other: rows of the
// blob's stripes, mostly. They are shared, and never written to.
type parts [][]byte

// at is the bytes from offset on that lie in one part; nil at the end.
func (p parts) at(offset int64) []byte {
	for _, part := range p {
		if offset < int64(len(part)) {
			return part[offset:]
		}
		offset -= int64(len(part))
	}
	return nil
}

// copyAt copies from offset on, and gives how many bytes it copied: fewer than dst has at the
// end alone.
func (p parts) copyAt(dst []byte, offset int64) (n int) {
	for _, part := range p {
		if offset >= int64(len(part)) {
			offset -= int64(len(part))
			continue
		}
		n += copy(dst[n:], part[offset:])
		if offset = 0; n == len(dst) {
			break
		}
	}
	return n
}
