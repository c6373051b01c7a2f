package testnet

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/unit"
)

// Invariants is what must always hold of a network, each asked of the real thing.
type Invariants struct {
	Supply        bool `json:"supply"`         // no FROST was made or lost
	AppHashes     bool `json:"app_hashes"`     // all nodes that run have the same state
	BlobsReadable bool `json:"blobs_readable"` // every certified blob reads back, verified
}

// ErrInvariant is returned where something does not hold that must.
var ErrInvariant = errors.New("an invariant is broken")

// Check asks a running testnet for its invariants. What does not hold is named in the error.
func (t *Testnet) Check(ctx context.Context, c *client.Connection) (inv Invariants, err error) {
	supply := t.checkSupply(ctx, c)
	hashes := t.checkHashes(ctx, c)
	blobs := checkBlobs(ctx, c)
	return Invariants{Supply: supply == nil, AppHashes: hashes == nil, BlobsReadable: blobs == nil}, errors.Join(supply, hashes, blobs)
}

// checkSupply adds up all money, every value proven. Blocks may go by while it
// reads: then it does not add up, and is read again.
func (t *Testnet) checkSupply(ctx context.Context, c *client.Connection) error {
	const tries = 5
	var audit ledger.TrialBalance
	for range tries {
		v, err := c.Remote.View(ctx)
		if err != nil {
			return err
		}
		if audit, err = v.TrialBalance(); err != nil {
			return fmt.Errorf("add up the money: %w", err)
		}
		if audit.Balanced() {
			return nil
		}
	}
	return fmt.Errorf("supply: %+v does not add up: %w", audit, ErrInvariant)
}

// checkHashes compares the state that all running nodes agree on at one height.
func (t *Testnet) checkHashes(ctx context.Context, c *client.Connection) error {
	height := unit.Height(0)
	for i := range t.Nodes {
		if !t.Running(i) {
			continue
		}
		s, err := t.Status(ctx, i)
		if err != nil {
			return err
		}
		if height == 0 || s.Height < height {
			height = s.Height
		}
	}
	if height == 0 {
		return fmt.Errorf("app hashes: no node with a block runs: %w", ErrInvariant)
	}
	var first blob.Hash
	seen := 0
	for i, n := range t.Network.Genesis.Nodes {
		if !t.Running(i) {
			continue
		}
		id, err := p2p.PeerOf(n.ID[:])
		if err != nil {
			return err
		}
		hash, err := light.AppHashOf(ctx, c.Host, id, height, t.Network.Genesis.ChainID())
		if err != nil {
			return fmt.Errorf("app hash of node %d at %d: %w", i, height, err)
		}
		if seen++; seen == 1 {
			first = hash
		} else if hash != first {
			return fmt.Errorf("app hash at %d: node %d has %s, others %s: %w", height, i, hash, first, ErrInvariant)
		}
	}
	return nil
}

// checkBlobs reads every certified live blob to its end.
func checkBlobs(ctx context.Context, c *client.Connection) error {
	v, err := c.Remote.View(ctx)
	if err != nil {
		return err
	}
	head, err := v.Head()
	if err != nil {
		return err
	}
	var ids []blob.ID
	err = v.EachBlob(func(id blob.ID, e registry.Entry) error {
		if e.Certified() && e.Live(head.Epoch) {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if err := c.ReadBlob(ctx, id, io.Discard); err != nil {
			errs = append(errs, fmt.Errorf("blob %s: %w: %w", id, ErrInvariant, err))
		}
	}
	return errors.Join(errs...)
}
