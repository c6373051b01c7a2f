package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Ledger is what a client needs of the ledger: its records, checked as well as the
// implementation can, and a way to send a transaction and hear what became of it.
type Ledger interface {
	View(ctx context.Context) (ledger.View, error)
	Submit(ctx context.Context, tx []byte) (ledger.Receipt, error)
}

// prefetcher is a reader that can fetch many keys in one question.
type prefetcher interface {
	Prefetch(keys [][]byte) error
}

// Errors that callers branch on.
var (
	ErrUnknownBlob = errors.New("the ledger knows no such blob")
	ErrUncertified = errors.New("the blob is registered but was never certified: it may not be complete")
	ErrEnded       = errors.New("the blob has ended")
	ErrInvalid     = errors.New("whoever stored the blob encoded it wrongly on purpose: it was proven invalid and is refused for good")
)

// Client stores and reads blobs.
type Client struct {
	*Fetcher
	ledger Ledger
	chain  token.ChainID
	log    *slog.Logger
	nonces nonces

	// Outbox, if not nil, keeps what is signed until it is known what became of it.
	Outbox *Outbox
	// Resumed, if not nil, is told that a transaction which an interrupted process has left
	// is followed in place of a new one.
	Resumed func(ledger.Tx)
	// Sent, if not nil, is told of a transaction that is sent now; what it returns is
	// called when no more is waited for.
	Sent func(ledger.Tx) (done func())
}

// New is a client of the chain that l speaks for.
func New(host *p2p.Host, l Ledger, chain token.ChainID, log *slog.Logger) *Client {
	return &Client{Fetcher: NewFetcher(host, log), ledger: l, chain: chain, log: log}
}

// DirectoryOf reads who holds which shard in the present epoch.
func DirectoryOf(v ledger.View, chain token.ChainID) (*Directory, error) {
	head, err := v.Head()
	if err != nil {
		return nil, err
	}
	params, err := v.Params()
	if err != nil {
		return nil, err
	}
	shape, err := params.Shape()
	if err != nil {
		return nil, err
	}
	committee, err := v.Committee(head.Epoch)
	if err != nil {
		return nil, err
	}
	if r, ok := v.R.(prefetcher); ok {
		var keys [][]byte
		for _, m := range committee.Nodes {
			keys = append(keys, ledger.KeyNode(m.ID))
		}
		if err := r.Prefetch(keys); err != nil {
			return nil, err
		}
	}
	d := &Directory{Chain: chain, Epoch: head.Epoch, Shape: shape}
	for _, m := range committee.Nodes {
		record, _, err := v.Node(m.ID)
		if err != nil {
			return nil, err
		}
		id, err := p2p.PeerOf(m.ID[:])
		if err != nil {
			return nil, err
		}
		d.Members = append(d.Members, Member{Peer: id, Addrs: record.Addresses, BLS: m.BLS, Shards: m.Shards})
	}
	index := func(id staking.NodeID) int {
		if i, ok := committee.Index(id); ok && !id.IsZero() {
			return i
		}
		return -1
	}
	for s := range committee.Holder {
		d.Holder = append(d.Holder, index(committee.Holder[s]))
		d.From = append(d.From, index(committee.From[s]))
	}
	return d, nil
}

// refresher is a ledger that is asked of others, whose answers may be of the past.
type refresher interface {
	Refresh(ctx context.Context) error
}

// Find reads what the ledger says of a blob that can be read. That it cannot be read is
// said only where the newest state that any node answers with says so.
func (c *Client) Find(ctx context.Context, id blob.ID) (registry.Entry, blob.Commitment, *Directory, error) {
	e, commitment, d, err := c.find(ctx, id)
	l, remote := c.ledger.(refresher)
	absent := errors.Is(err, ErrUnknownBlob) || errors.Is(err, ErrUncertified) || errors.Is(err, ErrEnded)
	if remote && absent && l.Refresh(ctx) == nil {
		return c.find(ctx, id)
	}
	return e, commitment, d, err
}

func (c *Client) find(ctx context.Context, id blob.ID) (registry.Entry, blob.Commitment, *Directory, error) {
	fail := func(err error) (registry.Entry, blob.Commitment, *Directory, error) {
		return registry.Entry{}, blob.Commitment{}, nil, err
	}
	v, err := c.ledger.View(ctx)
	if err != nil {
		return fail(err)
	}
	e, ok, err := v.Blob(id)
	if err != nil {
		return fail(err)
	}
	if !ok {
		t, buried, err := v.Tombstone(id)
		switch {
		case err != nil:
			return fail(err)
		case buried && t.Reason == registry.Invalid:
			return fail(fmt.Errorf("%s: %w", id, ErrInvalid))
		case buried:
			return fail(fmt.Errorf("%s: %w: it was %s in epoch %d", id, ErrEnded, t.Reason, t.Ended))
		}
		return fail(fmt.Errorf("%s: %w", id, ErrUnknownBlob))
	}
	if !e.Certified() {
		return fail(fmt.Errorf("%s: %w", id, ErrUncertified))
	}
	commitment, err := e.Manifest.Commitment()
	if err != nil {
		return fail(err)
	}
	d, err := DirectoryOf(v, c.chain)
	return e, commitment, d, err
}
