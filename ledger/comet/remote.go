package comet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// RemoteOptions say how much is believed.
type RemoteOptions struct {
	TrustNode   bool          // take answers on the word of whoever is asked
	TrustPeriod time.Duration // 0: as long as signers can be punished
	Checkpoint  *Checkpoint   // nil: the genesis
}

// Remote is the ledger as seen by a process that runs none: it asks nodes and
// checks what they say against headers that it follows itself.
type Remote struct {
	host    *p2p.Host
	genesis ledger.Genesis
	options RemoteOptions
	follow  *follower
	written atomic.Uint64 // highest block known to hold a transaction of this process
}

// NewRemote asks the nodes that host is connected to or was told of.
func NewRemote(host *p2p.Host, g ledger.Genesis, o RemoteOptions) *Remote {
	r := &Remote{host: host, genesis: g, options: o}
	period := o.TrustPeriod
	if period == 0 {
		period = trustPeriod(g.Params)
	}
	r.follow = &follower{genesis: g, period: period, anchor: o.Checkpoint, fetch: r.lightBlock, now: time.Now}
	return r
}

// FetchGenesis asks a node for the genesis of its network. Whoever gets it shows
// its hash to a person before anything is built on it.
func FetchGenesis(ctx context.Context, host *p2p.Host, from peer.ID) (ledger.Genesis, error) {
	b, err := host.AskLedger(ctx, from, p2p.AskGenesis, nil)
	if err != nil {
		return ledger.Genesis{}, err
	}
	return ledger.DecodeGenesis(b)
}

// ErrNoNode is returned where nobody answers for the ledger.
var ErrNoNode = errors.New("no node of the network answers: are the bootstrap addresses right, and this machine online?")

// ask puts a question to one node after the other until one answers. What a node
// says is checked by accept; who fails it is blamed and the next is asked.
func (r *Remote) ask(ctx context.Context, ask p2p.Ask, body []byte, accept func([]byte) error) error {
	var failures []error
	for _, p := range r.candidates() {
		answer, err := r.host.AskLedger(ctx, p, ask, body)
		if err == nil {
			if err = accept(answer); err == nil {
				return nil
			}
			if errors.Is(err, ErrUntrusted) || errors.Is(err, blob.ErrMismatch) {
				r.host.Blame(p, err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p2p.IsRefusal(err, p2p.CodeBadRequest) {
			return err // nobody else will take it
		}
		failures = append(failures, err)
	}
	return fmt.Errorf("%w: %w", ErrNoNode, errors.Join(failures...))
}

// candidates is whom to ask: those we are connected to that run a ledger, then the
// bootstrap addresses; the avoided last.
func (r *Remote) candidates() []peer.ID {
	var good, rest []peer.ID
	seen := map[peer.ID]bool{}
	add := func(p peer.ID) {
		if seen[p] {
			return
		}
		seen[p] = true
		if r.host.Avoided(p) {
			rest = append(rest, p)
		} else {
			good = append(good, p)
		}
	}
	for p, hello := range r.host.Peers() {
		if hello.Ledger != "" {
			add(p)
		}
	}
	for _, b := range r.host.Bootstrap() {
		add(b.ID)
	}
	return append(good, rest...)
}

// header is the header of a height: verified, or on a node's word if that is to do.
func (r *Remote) header(ctx context.Context, height int64) (*types.LightBlock, error) {
	if r.options.TrustNode {
		return r.lightBlock(ctx, height)
	}
	return r.follow.header(ctx, height)
}

func (r *Remote) lightBlock(ctx context.Context, height int64) (out *types.LightBlock, err error) {
	err = r.ask(ctx, p2p.AskLight, canon.Encode(lightQuestion{Height: uint64(height)}), func(b []byte) error {
		out, err = decodeLightBlock(b, string(r.genesis.ChainID()))
		if err == nil && height != 0 && out.Height != height {
			err = fmt.Errorf("light block %d, asked for %d: %w", out.Height, height, blob.ErrMismatch)
		}
		return err
	})
	return out, err
}

// Submit hands a transaction to a node and waits until a block holds it.
func (r *Remote) Submit(ctx context.Context, tx []byte) (receipt ledger.Receipt, err error) {
	err = r.ask(ctx, p2p.AskSubmit, tx, func(b []byte) (err error) {
		receipt, err = ledger.DecodeReceipt(b)
		return err
	})
	if err == nil && receipt.Code == 0 {
		for seen := r.written.Load(); seen < receipt.Height && !r.written.CompareAndSwap(seen, receipt.Height); seen = r.written.Load() {
		}
	}
	return receipt, err
}

// settleBlocks is how many blocks Settle waits at most: a ledger may stand still.
const settleBlocks = 6

// Settle waits until what this process has written can be proven to whoever asks: a
// block's effects are named by the header after it.
func (r *Remote) Settle(ctx context.Context) error {
	block := time.Duration(r.genesis.Params.BlockMs) * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, settleBlocks*block)
	defer cancel()
	for written := r.written.Load(); written > 0; {
		s, err := r.Standing(ctx)
		if err != nil {
			return err
		}
		if s.Height > written {
			r.written.CompareAndSwap(written, 0)
			return nil
		}
		if !sleep(ctx, block/10) {
			return ctx.Err()
		}
	}
	return nil
}

// Standing is where the ledger stands, on the word of the node that is asked.
func (r *Remote) Standing(ctx context.Context) (s Standing, err error) {
	err = r.ask(ctx, p2p.AskStatus, nil, func(b []byte) error { return decodeAnswer(b, &s) })
	return s, err
}

// View reads the ledger as of now. It is for one task: it remembers what it has
// read, and the end of ctx ends it.
func (r *Remote) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return ledger.View{R: &reader{ctx: ctx, r: r, read: map[string]value{}}}, nil
}

// reader is a state.Lister over proven answers. The interface has no room for a
// context; a reader lives no longer than the one it was made with.
type reader struct {
	ctx  context.Context
	r    *Remote
	read map[string]value
}

type value struct {
	bytes []byte
	ok    bool
}

var _ state.Lister = (*reader)(nil)

// Get reads a key, proven present or absent.
func (v *reader) Get(key []byte) ([]byte, bool, error) {
	if got, ok := v.read[string(key)]; ok {
		return got.bytes, got.ok, nil
	}
	if err := v.Prefetch([][]byte{key}); err != nil {
		return nil, false, err
	}
	got := v.read[string(key)]
	return got.bytes, got.ok, nil
}

// Prefetch reads many keys with few questions.
func (v *reader) Prefetch(keys [][]byte) error {
	const perQuestion = 256
	for len(keys) > 0 {
		part := keys[:min(len(keys), perQuestion)]
		keys = keys[len(part):]
		err := v.r.ask(v.ctx, p2p.AskGet, canon.Encode(getQuestion{Keys: part}), func(b []byte) error { return v.accept(part, b) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *reader) accept(keys [][]byte, answer []byte) error {
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return err
	}
	if len(a.Proofs) != len(keys) {
		return fmt.Errorf("%d proofs for %d keys: %w", len(a.Proofs), len(keys), blob.ErrMismatch)
	}
	header, err := v.r.header(v.ctx, int64(a.Height))
	if err != nil {
		return err
	}
	for i, k := range keys {
		p, err := state.DecodeProof(a.Proofs[i])
		if err != nil {
			return fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		got, ok, err := v.r.genesis.Verify(p, blob.Hash(header.AppHash), k)
		if err != nil {
			return fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		v.read[string(k)] = value{got, ok}
	}
	return nil
}

// Each lists keys on the word of the node, and proves every value it hands on. That
// none is left out is not proven.
func (v *reader) Each(prefix []byte, fn func(key, value []byte) error) error {
	q := listQuestion{Prefix: prefix}
	for {
		var a listAnswer
		if err := v.r.ask(v.ctx, p2p.AskList, canon.Encode(q), func(b []byte) error { return decodeAnswer(b, &a) }); err != nil {
			return err
		}
		if len(a.Keys) > 0 {
			if err := v.Prefetch(a.Keys); err != nil {
				return err
			}
		}
		for _, k := range a.Keys {
			if got := v.read[string(k)]; got.ok {
				if err := fn(k, got.bytes); err != nil {
					return err
				}
			}
		}
		if !a.More || len(a.Keys) == 0 {
			return nil
		}
		q.After = a.Keys[len(a.Keys)-1]
	}
}

// AppHashOf asks one node for the app hash in its header of a height, on its word:
// for who compares nodes with each other.
func AppHashOf(ctx context.Context, host *p2p.Host, node peer.ID, height uint64, chain token.ChainID) (blob.Hash, error) {
	b, err := host.AskLedger(ctx, node, p2p.AskLight, canon.Encode(lightQuestion{Height: height}))
	if err != nil {
		return blob.Hash{}, err
	}
	l, err := decodeLightBlock(b, string(chain))
	if err != nil {
		return blob.Hash{}, err
	}
	return blob.Hash(l.AppHash), nil
}
