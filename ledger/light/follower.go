package light

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	cmtlight "github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
)

// ErrUntrusted is returned for a header that does not lead back to what is trusted.
var ErrUntrusted = errors.New("the answer does not lead back to the trusted genesis or checkpoint")

// ErrClock is returned where a trusted committee signed a time that lies ahead of this
// machine's clock.
var ErrClock = errors.New("this machine's clock is behind the network's: set it right (NTP does)")

// ErrExpired is returned where every trusted header is older than the trust period. No
// answer can help, only a checkpoint.
var ErrExpired = errors.New("what is trusted is too old to lead anywhere: ask an operator or another user of the network for what their walrus checkpoint prints, and trust it with walrus checkpoint --trust HEIGHT:HASH")

// maxClockDrift is how far a header may be ahead of this machine's clock.
const maxClockDrift = 30 * time.Second

// source is one node's headers. The node whose answer is checked also gives the headers
// for the check, so that a mismatch is that node's fault.
type source func(ctx context.Context, height int64) (*types.LightBlock, error)

// follower follows the chain's headers from the first one or a checkpoint. It skips to a
// header that nodes with more than a third of the trusted committee's power signed.
type follower struct {
	genesis ledger.Genesis
	period  time.Duration
	anchor  *Checkpoint
	now     func() time.Time
	keep    func([]byte) // takes verified headers now and then, see keepEvery; nil: none is kept

	mu      sync.Mutex // guards the fields below
	trusted []*types.LightBlock
	kept    time.Time // of the newest header that was handed to keep
}

// resume begins with a header that a process before this one has verified and kept. A
// header that is too old to lead anywhere is left: the checkpoint may be newer.
func (f *follower) resume(b *types.LightBlock) {
	if f.anchor != nil && f.anchor.Height > b.Height || f.now().Sub(b.Time) >= f.period {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trusted, f.kept = []*types.LightBlock{b}, b.Time
}

// trustedKept is the most verified headers that are kept, the first among them.
const trustedKept = 64

// ours says whether an error lies with this process or the whole network: the node that
// answered is not at fault, and another node could not help.
func ours(err error) bool {
	return errors.Is(err, ErrExpired) || errors.Is(err, ErrClock) || errors.Is(err, ErrAhead) || errors.Is(err, ErrStill)
}

// header is the verified header of a height.
func (f *follower) header(ctx context.Context, height int64, from source) (*types.LightBlock, error) {
	if b, _ := f.nearest(height); b != nil && b.Height == height {
		return b, nil
	}
	target, err := from(ctx, height)
	if err == nil {
		err = exactly(target, height)
	}
	if err != nil {
		return nil, err
	}
	return f.verify(ctx, target, from)
}

// verify leads a header back to a trusted one. Nodes may be some blocks apart: a header
// before the newest is verified from the nearest trusted header below it.
func (f *follower) verify(ctx context.Context, target *types.LightBlock, from source) (*types.LightBlock, error) {
	base, first := f.nearest(target.Height)
	if first == 0 {
		begin, err := f.begin(ctx, from)
		if err != nil {
			return nil, err
		}
		f.insert(begin)
		base, first = f.nearest(target.Height)
	}
	switch {
	case base == nil:
		return nil, fmt.Errorf("header %d is older than what is trusted, %d: %w", target.Height, first, ErrUntrusted)
	case base.Height == target.Height:
		if !bytes.Equal(base.Hash(), target.Hash()) {
			return nil, fmt.Errorf("header %d is %X, another was verified before, %X: %w", target.Height, target.Hash(), base.Hash(), ErrUntrusted)
		}
		return base, nil
	}
	if _, err := f.advance(ctx, base, target, from); err != nil {
		return nil, err
	}
	f.remember(target)
	return target, nil
}

func byHeight(b *types.LightBlock, h int64) int { return cmp.Compare(b.Height, h) }

// nearest is the newest trusted header not above height, and the height of the first
// trusted header, 0 for none.
func (f *follower) nearest(height int64) (b *types.LightBlock, first int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.trusted) == 0 {
		return nil, 0
	}
	at, found := slices.BinarySearchFunc(f.trusted, height, byHeight)
	if !found {
		at--
	}
	if at >= 0 {
		b = f.trusted[at]
	}
	return b, f.trusted[0].Height
}

// newest is the newest verified header, nil for none.
func (f *follower) newest() *types.LightBlock {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.trusted) == 0 {
		return nil
	}
	return f.trusted[len(f.trusted)-1]
}

// remember takes a verified header, and hands it out to be kept when it is time for that.
func (f *follower) remember(b *types.LightBlock) {
	if !f.insert(b) || !f.isDue(b) {
		return
	}
	if raw, err := encodeKept(f.genesis, f.anchor, b); err == nil {
		f.keep(raw)
	}
}

// insert adds a verified header; false: it is there.
func (f *follower) insert(b *types.LightBlock) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, found := slices.BinarySearchFunc(f.trusted, b.Height, byHeight)
	if found {
		return false
	}
	f.trusted = slices.Insert(f.trusted, at, b)
	if len(f.trusted) > trustedKept {
		f.trusted = slices.Delete(f.trusted, 1, 2)
	}
	return true
}

// isDue says whether a header is to be kept for later processes, and notes that it is.
func (f *follower) isDue(b *types.LightBlock) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keep == nil || b.Time.Sub(f.kept) < min(keepEvery, f.period/keepParts) {
		return false
	}
	f.kept = b.Time
	return true
}

// advance verifies target from trusted, through headers between them where the committee
// changed too much. It returns these headers, target the last: each follows from the one
// before.
func (f *follower) advance(ctx context.Context, trusted, target *types.LightBlock, from source) (way []*types.LightBlock, err error) {
	const maxSteps = 64 // each halves the distance
	pending := []*types.LightBlock{target}
	for step := 0; len(pending) > 0; step++ {
		next := pending[len(pending)-1]
		err := cmtlight.Verify(trusted.SignedHeader, trusted.ValidatorSet, next.SignedHeader, next.ValidatorSet,
			f.period, f.now(), maxClockDrift, cmtlight.DefaultTrustLevel)
		var tooFar cmtlight.ErrNewValSetCantBeTrusted
		switch {
		case err == nil:
			trusted = next
			way = append(way, next)
			pending = pending[:len(pending)-1]
		case errors.As(err, &tooFar) && step < maxSteps && next.Height > trusted.Height+1:
			b, err := between(ctx, trusted.Height, next.Height, from)
			if err != nil {
				return nil, err
			}
			pending = append(pending, b)
		default:
			return nil, f.explain(err, trusted, next)
		}
	}
	return way, nil
}

// explain tells a fault of this process (its trust, its clock) from one of the node that
// answered.
func (f *follower) explain(err error, trusted, next *types.LightBlock) error {
	var old cmtlight.ErrOldHeaderExpired
	if errors.As(err, &old) {
		return fmt.Errorf("%w (headers are trusted for %s)", ErrExpired, f.period)
	}
	now := f.now()
	if ahead := next.Time.Sub(now); ahead > maxClockDrift && cmtlight.Verify(trusted.SignedHeader, trusted.ValidatorSet,
		next.SignedHeader, next.ValidatorSet, f.period, next.Time, maxClockDrift, cmtlight.DefaultTrustLevel) == nil {
		return fmt.Errorf("%w: it says %s, the network %s", ErrClock, now.UTC().Format(time.RFC3339), next.Time.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("%w: %w", ErrUntrusted, err)
}

// beginning is the height of the first trusted header.
func (f *follower) beginning() int64 {
	if f.anchor != nil {
		return f.anchor.Height
	}
	return 1
}

// begin is the first trusted header: the checkpoint's, or block 1 signed by the
// committee that the genesis names.
func (f *follower) begin(ctx context.Context, from source) (*types.LightBlock, error) {
	b, err := from(ctx, f.beginning())
	if err == nil {
		err = exactly(b, f.beginning())
	}
	if err != nil {
		return nil, err
	}
	return b, f.first(b)
}

// first checks that a header may be the first trusted one.
func (f *follower) first(b *types.LightBlock) error {
	if f.anchor != nil {
		if b.Height != f.anchor.Height || !bytes.Equal(b.Hash(), f.anchor.Hash[:]) {
			return fmt.Errorf("header %d is %X, the checkpoint says %s at %d: %w", b.Height, b.Hash(), f.anchor.Hash, f.anchor.Height, ErrUntrusted)
		}
		return nil
	}
	committee, err := firstCommittee(f.genesis)
	if err != nil {
		return err
	}
	if !bytes.Equal(b.ValidatorsHash, committee.Hash()) {
		return fmt.Errorf("block 1 names another committee than the genesis: %w", ErrUntrusted)
	}
	if err := committee.VerifyCommitLight(string(f.genesis.ChainID()), b.Commit.BlockID, 1, b.Commit); err != nil {
		return fmt.Errorf("block 1: %w: %w", ErrUntrusted, err)
	}
	return nil
}
