package p2p

import (
	"context"
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

// Answers of the ledger protocol that are made and not written yet, with their bytes. A
// peer with as many as pendingAnswers, or pendingBytes of them, is asked for no further
// question until some are written.
const (
	maxUnread          = 1 << 15 // of all peers
	maxUnreadBytes     = 32 << 20
	maxPeerUnread      = 2 * pendingAnswers
	maxPeerUnreadBytes = 8 << 20
	pendingAnswers     = 64
	pendingBytes       = 256 << 10
)

// budget bounds things that wait, and the bytes they hold, for one peer and for all.
// Where all together are too many, the peer that has the most gives way to a newcomer
// that has less: small askers always find room, however many large ones there are.
type budget struct {
	count, bytes         int
	peerCount, peerBytes int
	what                 string // the things, for the words of a refusal

	mu   sync.Mutex // guards the fields below
	has  int
	held int // bytes
	of   map[peer.ID]*account
}

// account is what one peer has in a budget.
type account struct {
	bytes int
	list  map[*entry]struct{}
	less  chan struct{} // closed when an entry leaves; nil: no caller waits for that
}

// entry is one thing of a peer.
type entry struct {
	bytes  int
	cancel func(error)
}

func newSubmits() *budget {
	return &budget{count: maxSubmits, bytes: maxSubmitBytes, peerCount: maxPeerSubmits, peerBytes: maxPeerSubmitBytes,
		what: "transactions that wait for a block", of: map[peer.ID]*account{}}
}

func newUnread() *budget {
	return &budget{count: maxUnread, bytes: maxUnreadBytes, peerCount: maxPeerUnread, peerBytes: maxPeerUnreadBytes,
		what: "answers that are not read yet", of: map[peer.ID]*account{}}
}

// take finds room for a thing of n bytes. cancel ends it, if the room is given to
// another peer; leave gives the room back.
func (b *budget) take(p peer.ID, n int, cancel func(error)) (leave func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.of[p]
	if own == nil {
		own = &account{list: map[*entry]struct{}{}}
	}
	if len(own.list) >= b.peerCount || own.bytes+n > b.peerBytes {
		return nil, Refuse(CodeBusy, "%d %s are yours, with %d bytes: at most %d with %d", len(own.list), b.what, own.bytes, b.peerCount, b.peerBytes)
	}
	for b.has >= b.count || b.held+n > b.bytes {
		if !b.makeRoom(p, own, n) {
			return nil, Refuse(CodeBusy, "%d %s: try again in a moment", b.has, b.what)
		}
	}
	x := &entry{bytes: n, cancel: cancel}
	b.of[p] = own
	own.list[x] = struct{}{}
	own.bytes += n
	b.has++
	b.held += n
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.remove(p, x)
	}, nil
}

// makeRoom cancels a thing of the peer that has the most, if that is more than the
// newcomer will have: of the bytes or of the count, whichever is short.
func (b *budget) makeRoom(newcomer peer.ID, own *account, n int) bool {
	weigh := func(o *account) int { return len(o.list) }
	mine := len(own.list) + 1
	if b.has < b.count {
		weigh, mine = func(o *account) int { return o.bytes }, own.bytes+n
	}
	var most peer.ID
	for p, o := range b.of {
		if p != newcomer && (most == "" || weigh(o) > weigh(b.of[most])) {
			most = p
		}
	}
	if most == "" || weigh(b.of[most]) <= mine {
		return false
	}
	for x := range b.of[most].list {
		b.remove(most, x)
		go x.cancel(Refuse(CodeBusy, "the room was given to another peer, among %s: ask again", b.what))
		return true
	}
	return false
}

// below waits until a peer has fewer things than count, and fewer bytes.
func (b *budget) below(ctx context.Context, p peer.ID, count, bytes int) error {
	for {
		b.mu.Lock()
		own := b.of[p]
		if own == nil || len(own.list) < count && own.bytes < bytes {
			b.mu.Unlock()
			return nil
		}
		if own.less == nil {
			own.less = make(chan struct{})
		}
		less := own.less
		b.mu.Unlock()
		select {
		case <-less:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remove forgets a thing; b.mu is held.
func (b *budget) remove(p peer.ID, x *entry) {
	own := b.of[p]
	if own == nil {
		return
	}
	if _, there := own.list[x]; !there {
		return
	}
	delete(own.list, x)
	own.bytes -= x.bytes
	b.has--
	b.held -= x.bytes
	if own.less != nil {
		close(own.less)
		own.less = nil
	}
	if len(own.list) == 0 {
		delete(b.of, p)
	}
}
