package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// Ledger gives a client the ledger's records, checked as well as the implementation
// can, and takes its transactions: Submit returns the result of one.
type Ledger interface {
	View(ctx context.Context) (ledger.View, error)
	Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error)
}

// Errors of Find, on which callers branch.
var (
	ErrUnknownBlob = errors.New("the ledger knows no such blob")
	ErrUncertified = errors.New("the blob is registered but was never certified: it may not be complete")
	ErrEnded       = errors.New("the blob has ended")
	ErrInvalid     = errors.New("the client that stored the blob encoded it wrongly on purpose: the blob was proven invalid and is refused for good")
)

// EndedError is ErrEnded with what the ledger kept of the blob.
type EndedError struct {
	Blob blob.ID
	registry.Tombstone
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("%s: %v: it was %s in epoch %d", e.Blob, ErrEnded, e.Reason, e.Ended)
}

// Is makes the error match ErrEnded.
func (e *EndedError) Is(target error) bool { return target == ErrEnded }

// IsGone says that an error is the ledger's word that a blob cannot be read, and no failure to
// ask it.
func IsGone(err error) bool {
	return errors.Is(err, ErrUnknownBlob) || errors.Is(err, ErrUncertified) || errors.Is(err, ErrEnded) || errors.Is(err, ErrInvalid)
}

// Client stores and reads blobs.
type Client struct {
	*fetch.Fetcher
	host   *p2p.Host
	ledger Ledger
	chain  token.ChainID
	log    *slog.Logger
	nonces nonces
	turns  turns
	known  *token.BLSKeys // of members
	seated seated
	kept   keeping

	encoding chan struct{} // of one: the place of all first passes over sources that grow

	aheads    sync.WaitGroup // of readAhead
	closing   context.Context
	stopAhead context.CancelFunc

	// Shape, if not zero, is the network's: a blob's ID is known before the ledger is asked.
	Shape blob.Shape
	// Outbox, if not nil, keeps each signed transaction until its result is known.
	Outbox *Outbox
	// Resumed, if not nil, is called with a transaction of an interrupted process that the
	// client follows in place of a new one.
	Resumed func(ledger.Tx)
	// Sent, if not nil, is called with each transaction that is sent. The function that it
	// returns is called when the client stops waiting for the transaction.
	Sent func(ledger.Tx) (done func())
}

// New makes a client of the chain that l speaks for. The host stays the caller's. Log may
// be nil: then the client is silent.
func New(host *p2p.Host, l Ledger, chain token.ChainID, log *slog.Logger) *Client {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{Fetcher: fetch.New(host), host: host, ledger: l, chain: chain, log: log, known: token.NewBLSKeys(), encoding: make(chan struct{}, 1)}
	c.kept.give(keepBytes)
	c.closing, c.stopAhead = context.WithCancel(context.Background())
	return c
}

// KeepAtMost bounds the encoded stripes, in bytes, that all stores together keep in memory
// between the pass that computes the ID and the one that sends. It is called before the first
// store.
func (c *Client) KeepAtMost(bytes int64) { c.kept.left.Store(bytes) }

// Chain is the network's.
func (c *Client) Chain() token.ChainID { return c.chain }

// View is the ledger's state as the client sees it now.
func (c *Client) View(ctx context.Context) (ledger.View, error) { return c.ledger.View(ctx) }

// refresher is a ledger whose answers come from other nodes and may be old.
type refresher interface {
	Refresh(ctx context.Context) error
}

// Find reads the ledger's entry of a blob that can be read, the blob's commitment, and
// the directory of the present epoch. It reports that a blob cannot be read only if the
// newest state that any node answers with says so.
//
// Errors: ErrUnknownBlob, ErrUncertified, ErrEnded, ErrInvalid; those of the ledger.
func (c *Client) Find(ctx context.Context, id blob.ID) (registry.Entry, blob.Commitment, *fetch.Directory, error) {
	e, commitment, d, err := c.find(ctx, id)
	l, remote := c.ledger.(refresher)
	absent := errors.Is(err, ErrUnknownBlob) || errors.Is(err, ErrUncertified) || errors.Is(err, ErrEnded)
	if remote && absent && l.Refresh(ctx) == nil {
		return c.find(ctx, id)
	}
	return e, commitment, d, err
}

func (c *Client) find(ctx context.Context, id blob.ID) (registry.Entry, blob.Commitment, *fetch.Directory, error) {
	fail := func(err error) (registry.Entry, blob.Commitment, *fetch.Directory, error) {
		return registry.Entry{}, blob.Commitment{}, nil, err
	}
	v, err := c.ledger.View(ctx)
	if err != nil {
		return fail(err)
	}
	if err := v.PrefetchCommittee(ledger.KeyBlob(id)); err != nil {
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
			return fail(&EndedError{id, t})
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
	d, err := readCommittee(v)
	if err == nil {
		c.seated.set(d)
	}
	return e, commitment, d.Directory, err
}
