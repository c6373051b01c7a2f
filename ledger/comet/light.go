package comet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
)

// ErrUntrusted is returned for a header that does not lead back to what is trusted.
var ErrUntrusted = errors.New("the answer does not lead back to the trusted genesis or checkpoint")

// maxClockDrift is how far a header may be ahead of this machine's clock.
const maxClockDrift = 30 * time.Second

// Checkpoint is a header that somebody has looked up: trusted where the genesis is
// older than the trust period.
type Checkpoint struct {
	Height int64
	Hash   blob.Hash
}

// follower follows the chain's headers from the first or a checkpoint, skipping as
// far as more than a third of the trusted committee signed.
type follower struct {
	genesis ledger.Genesis
	period  time.Duration
	anchor  *Checkpoint
	fetch   func(ctx context.Context, height int64) (*types.LightBlock, error)
	now     func() time.Time

	mu      sync.Mutex // guards trusted
	trusted []*types.LightBlock
}

// trustedKept bounds the verified headers that are remembered, beside the first.
const trustedKept = 64

// header is the verified header of a height. Nodes may be some blocks apart: a
// header before the newest is verified from the nearest one below it.
func (f *follower) header(ctx context.Context, height int64) (*types.LightBlock, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.trusted) == 0 {
		first, err := f.begin(ctx)
		if err != nil {
			return nil, err
		}
		f.trusted = append(f.trusted, first)
	}
	at, found := slices.BinarySearchFunc(f.trusted, height, func(b *types.LightBlock, h int64) int { return cmp.Compare(b.Height, h) })
	if found {
		return f.trusted[at], nil
	}
	if at == 0 {
		return nil, fmt.Errorf("header %d is older than what is trusted, %d: %w", height, f.trusted[0].Height, ErrUntrusted)
	}
	target, err := f.fetch(ctx, height)
	if err != nil {
		return nil, err
	}
	if err := f.advance(ctx, f.trusted[at-1], target); err != nil {
		return nil, err
	}
	f.trusted = slices.Insert(f.trusted, at, target)
	if len(f.trusted) > trustedKept {
		f.trusted = slices.Delete(f.trusted, 1, 2)
	}
	return target, nil
}

// advance verifies target from trusted, by way of headers between where the
// committee changed too much.
func (f *follower) advance(ctx context.Context, trusted, target *types.LightBlock) error {
	const maxSteps = 64 // each halves the distance
	pending := []*types.LightBlock{target}
	for step := 0; len(pending) > 0; step++ {
		next := pending[len(pending)-1]
		err := light.Verify(trusted.SignedHeader, trusted.ValidatorSet, next.SignedHeader, next.ValidatorSet,
			f.period, f.now(), maxClockDrift, light.DefaultTrustLevel)
		var tooFar light.ErrNewValSetCantBeTrusted
		switch {
		case err == nil:
			trusted = next
			pending = pending[:len(pending)-1]
		case errors.As(err, &tooFar) && step < maxSteps && next.Height > trusted.Height+1:
			between, err := f.fetch(ctx, trusted.Height+(next.Height-trusted.Height)/2)
			if err != nil {
				return err
			}
			pending = append(pending, between)
		default:
			return f.explain(err)
		}
	}
	return nil
}

func (f *follower) explain(err error) error {
	var old light.ErrOldHeaderExpired
	if errors.As(err, &old) {
		return fmt.Errorf("%w: what is trusted is older than %s: name a recent checkpoint (height and hash from somebody you trust) in network.toml", ErrUntrusted, f.period)
	}
	return fmt.Errorf("%w (is this machine's clock right? it says %s): %w", ErrUntrusted, f.now().UTC().Format(time.RFC3339), err)
}

// begin is the first trusted header: the checkpoint's, or block 1 signed by the
// committee that the genesis names.
func (f *follower) begin(ctx context.Context) (*types.LightBlock, error) {
	if f.anchor != nil {
		b, err := f.fetch(ctx, f.anchor.Height)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(b.Hash(), f.anchor.Hash[:]) {
			return nil, fmt.Errorf("header %d is %X, the checkpoint says %s: %w", f.anchor.Height, b.Hash(), f.anchor.Hash, ErrUntrusted)
		}
		return b, nil
	}
	b, err := f.fetch(ctx, 1)
	if err != nil {
		return nil, err
	}
	doc, err := ledgerGenesis{f.genesis}.doc()
	if err != nil {
		return nil, err
	}
	var list []*types.Validator
	for _, v := range doc.Validators {
		list = append(list, types.NewValidator(v.PubKey, v.Power))
	}
	committee := types.NewValidatorSet(list)
	if !bytes.Equal(b.ValidatorsHash, committee.Hash()) {
		return nil, fmt.Errorf("block 1 names another committee than the genesis: %w", ErrUntrusted)
	}
	if err := committee.VerifyCommitLight(string(f.genesis.ChainID()), b.Commit.BlockID, 1, b.Commit); err != nil {
		return nil, fmt.Errorf("block 1: %w: %w", ErrUntrusted, err)
	}
	return b, nil
}
