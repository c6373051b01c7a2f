package light

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
)

// mostOlder bounds the nodes that are remembered to run an older release.
const mostOlder = 1024

// older remembers the nodes whose release does not know the question prove (before 0.4):
// networks are upgraded node by node, with clients at work.
type older struct {
	mu    sync.Mutex // guards nodes
	nodes map[peer.ID]bool
}

func (o *older) has(p peer.ID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.nodes[p]
}

func (o *older) set(p peer.ID, is bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !is:
		delete(o.nodes, p)
	case o.nodes == nil || len(o.nodes) >= mostOlder:
		o.nodes = map[peer.ID]bool{p: true}
	default:
		o.nodes[p] = true
	}
}

// askLedger puts a question to a node. A node of an older release is asked for the proofs
// alone; the headers that the answer lacks are asked for when it is checked.
func (r *Remote) askLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	if ask != p2p.AskProve {
		return r.host.AskLedger(ctx, p, ask, body)
	}
	if r.older.has(p) {
		answer, err := r.askOlder(ctx, p, body)
		if err != nil && !p2p.IsRefusal(err, p2p.CodeNotHeld) {
			r.older.set(p, false) // it may be a newer one by now
		}
		return answer, err
	}
	answer, err := r.host.AskLedger(ctx, p, ask, body)
	if !p2p.IsRefusal(err, p2p.CodeBadRequest) {
		return answer, err
	}
	old, oldErr := r.askOlder(ctx, p, body)
	if oldErr != nil {
		return nil, err
	}
	r.older.set(p, true)
	return old, nil
}

// askOlder asks the question get for what the question prove asks for. It proves keys in
// the newest state alone.
func (r *Remote) askOlder(ctx context.Context, p peer.ID, body []byte) ([]byte, error) {
	var q proveQuestion
	if err := canon.Decode(body, &q); err != nil {
		return nil, err // our own
	}
	answer, err := r.host.AskLedger(ctx, p, p2p.AskGet, canon.Encode(getQuestion{Keys: q.Keys}))
	if err != nil {
		return nil, err
	}
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return nil, err
	}
	if q.Height != 0 && a.Height != q.Height {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "node %s proves block %d, asked for %d: its release proves the newest alone", p, a.Height, q.Height)
	}
	return canon.Encode(proveAnswer{Height: a.Height, Proofs: a.Proofs}), nil
}
