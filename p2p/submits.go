package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Transactions that wait for their blocks, with the bytes they take.
const (
	maxSubmits         = 16384 // of all peers
	maxSubmitBytes     = 32 << 20
	maxPeerSubmits     = 2048 // of one peer
	maxPeerSubmitBytes = 4 << 20
)

// submits bounds the transactions that wait. Where all together are too many, the peer
// that has the most gives way to a newcomer that has less.
type submits struct {
	mu    sync.Mutex // guards the fields below
	count int
	bytes int
	of    map[peer.ID]*submitter
}

// submitter is what one peer has waiting.
type submitter struct {
	bytes int
	list  map[*submitted]struct{}
}

type submitted struct {
	bytes  int
	cancel func(error)
}

func newSubmits() *submits { return &submits{of: map[peer.ID]*submitter{}} }

// take finds room for a transaction of n bytes. cancel ends its wait, if the room is
// given to another; leave gives it back.
func (s *submits) take(p peer.ID, n int, cancel func(error)) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[p]
	if own == nil {
		own = &submitter{list: map[*submitted]struct{}{}}
	}
	if len(own.list) >= maxPeerSubmits || own.bytes+n > maxPeerSubmitBytes {
		return nil, Refuse(CodeBusy, "%d transactions of yours wait for a block, with %d bytes: at most %d with %d", len(own.list), own.bytes, maxPeerSubmits, maxPeerSubmitBytes)
	}
	for s.count >= maxSubmits || s.bytes+n > maxSubmitBytes {
		if !s.makeRoom(p, own, n) {
			return nil, Refuse(CodeBusy, "%d transactions wait for a block here: try again in a moment", s.count)
		}
	}
	x := &submitted{bytes: n, cancel: cancel}
	s.of[p] = own
	own.list[x] = struct{}{}
	own.bytes += n
	s.count++
	s.bytes += n
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(p, x)
	}, nil
}

// makeRoom cancels a transaction of the peer that has the most, if that is more than the
// newcomer will have: of the bytes or of the count, whichever is short.
func (s *submits) makeRoom(newcomer peer.ID, own *submitter, n int) bool {
	weigh := func(o *submitter) int { return len(o.list) }
	mine := len(own.list) + 1
	if s.count < maxSubmits {
		weigh, mine = func(o *submitter) int { return o.bytes }, own.bytes+n
	}
	var most peer.ID
	for p, o := range s.of {
		if p != newcomer && (most == "" || weigh(o) > weigh(s.of[most])) {
			most = p
		}
	}
	if most == "" || weigh(s.of[most]) <= mine {
		return false
	}
	for x := range s.of[most].list {
		s.remove(most, x)
		go x.cancel(Refuse(CodeBusy, "the room of your transaction was given to another: send it again"))
		return true
	}
	return false
}

// remove forgets a transaction; s.mu is held.
func (s *submits) remove(p peer.ID, x *submitted) {
	own := s.of[p]
	if own == nil {
		return
	}
	if _, there := own.list[x]; !there {
		return
	}
	delete(own.list, x)
	own.bytes -= x.bytes
	s.count--
	s.bytes -= x.bytes
	if len(own.list) == 0 {
		delete(s.of, p)
	}
}
