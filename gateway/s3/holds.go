package s3

import "github.com/walrus-network/walrus/blob"

// Holds says that the index needs the wallet's lease on a blob, or is about to. Where that
// cannot be read it is so.
func (s *Server) Holds(id blob.ID) bool {
	for _, key := range [][]byte{leaseKey(id), intentKey(id)} {
		if _, ok, err := s.index.db.Get(key); ok || err != nil {
			return true
		}
	}
	return false
}
