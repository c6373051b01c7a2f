package comet

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/cometbft/cometbft/evidence"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger/light"
)

// A block may hold evidence of a fault that is as old as an unbonding takes. CometBFT checks
// it with the header and the committee of that height, and a node that lacks them takes the
// block for a wrong one: its agreement fails for good. A ledger that began with a snapshot
// has neither for the heights before. So they are asked for when they are needed.

const (
	pastLimit = 20 * time.Second // to get a header
	pastKept  = 64               // headers that are kept in memory
	// pastTrust has no end: the header that is asked for follows from one that is kept here.
	pastTrust = 100 * 365 * 24 * time.Hour
)

// past is the headers from before the first block of a ledger.
type past struct {
	c     *Chain
	asker light.Asker
	log   *slog.Logger

	mu    sync.Mutex // guards known
	known map[int64]*types.LightBlock
}

// header is the verified header of a height before the first block here; nil: it cannot be
// had.
func (p *past) header(height int64) *types.LightBlock {
	base := p.c.node.BlockStore().Base()
	if base == 0 {
		base = int64(p.c.machine.Height()) + 1
	}
	if height < 1 || height >= base || height < base-2*int64(p.c.options.Genesis.Params.EvidenceBlocks()) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.known[height]; b != nil {
		return b
	}
	b, err := p.ask(height)
	if err != nil {
		p.log.Warn("the header of a block from before the ledger's snapshot is needed to check evidence, and no node gives it", "height", height, "err", err)
		return nil
	}
	if len(p.known) >= pastKept {
		clear(p.known)
	}
	p.known[height] = b
	return b
}

func (p *past) ask(height int64) (*types.LightBlock, error) {
	begin, err := p.c.keeper.upTo(height)
	if err != nil || begin == nil {
		return nil, fmt.Errorf("no header up to %d is kept: %w", height, err)
	}
	if begin.Height == height {
		return begin, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), pastLimit)
	defer cancel()
	r := light.NewRemote(p.asker, p.c.options.Genesis, light.RemoteOptions{TrustPeriod: pastTrust,
		Checkpoint: &light.Checkpoint{Height: begin.Height, Hash: blob.Hash(begin.Hash())}})
	list, err := r.Headers(ctx, height, 1)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// upTo is the last header kept at or below a height; nil: none.
func (k *headerKeeper) upTo(height int64) (*types.LightBlock, error) {
	i := k.db.Iterate(keptKey(0), keptKey(height+1), true)
	defer i.Close()
	if !i.Valid() {
		return nil, i.Error()
	}
	var p cmtproto.LightBlock
	if err := p.Unmarshal(i.Value()); err != nil {
		return nil, fmt.Errorf("header kept: %w", err)
	}
	return types.LightBlockFromProto(&p)
}

// pastBlocks is the blocks that evidence is checked with.
type pastBlocks struct {
	evidence.BlockStore
	past *past
}

// LoadBlockMeta is the header of a block.
func (b pastBlocks) LoadBlockMeta(height int64) *types.BlockMeta {
	if m := b.BlockStore.LoadBlockMeta(height); m != nil {
		return m
	}
	if l := b.past.header(height); l != nil {
		return &types.BlockMeta{BlockID: l.Commit.BlockID, Header: *l.Header}
	}
	return nil
}

// LoadBlockCommit is the signatures under a block.
func (b pastBlocks) LoadBlockCommit(height int64) *types.Commit {
	if c := b.BlockStore.LoadBlockCommit(height); c != nil {
		return c
	}
	if l := b.past.header(height); l != nil {
		return l.Commit
	}
	return nil
}

// pastCommittees is the committees that evidence is checked with.
type pastCommittees struct {
	sm.Store
	past *past
}

// LoadValidators is the committee of a height.
func (s pastCommittees) LoadValidators(height int64) (*types.ValidatorSet, error) {
	set, err := s.Store.LoadValidators(height)
	if err != nil {
		if l := s.past.header(height); l != nil {
			return l.ValidatorSet, nil
		}
	}
	return set, err
}

// lookBack lets evidence be checked with what other nodes have. CometBFT makes its pool of
// evidence itself and takes no other, so that the stores in it are exchanged.
func (c *Chain) lookBack() error {
	p := &past{c: c, asker: c.options.Asker, log: c.options.Log, known: map[int64]*types.LightBlock{}}
	pool := reflect.ValueOf(c.node.EvidencePool()).Elem()
	if err := exchange(pool, "blockStore", func(was evidence.BlockStore) evidence.BlockStore { return pastBlocks{was, p} }); err != nil {
		return err
	}
	return exchange(pool, "stateDB", func(was sm.Store) sm.Store { return pastCommittees{was, p} })
}

// exchange replaces an unexported field of type T.
func exchange[T any](of reflect.Value, name string, by func(T) T) error {
	f := of.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return fmt.Errorf("ledger: CometBFT's %s has no field %s of type %s: this program does not know it", of.Type(), name, reflect.TypeFor[T]())
	}
	at := (*T)(unsafe.Pointer(f.UnsafeAddr()))
	*at = by(*at)
	return nil
}
