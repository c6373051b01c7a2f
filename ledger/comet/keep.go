package comet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
)

// KeepAll keeps every block: an archive.
const KeepAll = -1

const (
	// leastBlocks is how many blocks any node keeps: a node that fetches a snapshot needs those
	// after it, and a snapshot may be ten minutes old.
	leastBlocks = 1000
	pruneEvery  = 50        // blocks between two prunings
	pruneMost   = 5000      // blocks that are pruned at a time: blocks wait for it
	noteMost    = 500       // blocks that are looked at after one block
	prefixKept  = "h/"      // then a height: a signed header that is kept for ever
	keyNoted    = "g/noted" // how far blocks were looked at
)

// LeastBlocks is the fewest blocks that a node of a network keeps: as long as a fault can be
// punished, CometBFT needs the blocks in which it happened.
func LeastBlocks(p ledger.Params) int64 { return max(leastBlocks, int64(p.EvidenceBlocks())+2) }

// DefaultBlocks is the blocks that a node keeps where nothing else is said: a sixteenth more
// than the least.
func DefaultBlocks(p ledger.Params) int64 { return LeastBlocks(p) * 17 / 16 }

// headerKeeper keeps some signed headers for ever, and says which blocks may go. It keeps the
// first header, one an epoch, and the two where the committee changes: each leads to the
// next by the light client's rules, so that they lead from the genesis to any later header.
type headerKeeper struct {
	db     *kv.DB
	blocks *store.BlockStore // to read
	raw    *cometDisk        // of blocks
	states sm.Store
	every  int64 // blocks of an epoch
	keep   int64 // blocks that stay; KeepAll: all

	noted noted
}

// noted is how far blocks were looked at.
type noted struct {
	_      struct{} `cbor:",toarray"`
	Height int64
	Next   []byte // hash of the committee after that block
}

func newHeaderKeeper(db *kv.DB, states sm.Store, o Options) (*headerKeeper, error) {
	p, keep := o.Genesis.Params, cmp.Or(o.KeepBlocks, DefaultBlocks(o.Genesis.Params))
	if least := LeastBlocks(p); !o.keepFewer && keep != KeepAll && keep < least {
		return nil, fmt.Errorf("ledger: %d blocks are to be kept: at least %d are needed, as long as faults can be punished", keep, least)
	}
	raw := &cometDisk{db: db, prefix: []byte(prefixComet + "blockstore/")}
	k := &headerKeeper{db: db, blocks: store.NewBlockStore(raw), raw: raw, states: states, every: int64(p.EpochBlocks()), keep: keep}
	value, ok, err := db.Get([]byte(keyNoted))
	if err == nil && ok {
		err = canon.Decode(value, &k.noted)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: headers kept: %w", err)
	}
	return k, nil
}

func keptKey(height int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixKept), uint64(height))
}

// retain is called after each block: it keeps headers, and returns the height below which
// blocks may go; 0: none may.
func (k *headerKeeper) retain(height int64) (int64, error) {
	if err := k.note(height - 1); err != nil { // the signatures under a block are in the next one
		return 0, err
	}
	if k.keep == KeepAll || height%pruneEvery != 0 {
		return 0, nil
	}
	base := store.LoadBlockStoreState(k.raw).Base
	return max(0, min(height-k.keep, k.noted.Height, base+pruneMost)), nil
}

// note looks at the blocks up to a height, and keeps the headers of some.
func (k *headerKeeper) note(to int64) error {
	base := store.LoadBlockStoreState(k.raw).Base
	from := max(k.noted.Height+1, base)
	if base == 0 || to < from {
		return nil
	}
	b := k.db.Batch()
	for h := from; h <= min(to, from+noteMost); h++ {
		meta := k.blocks.LoadBlockMeta(h)
		if meta == nil {
			return fmt.Errorf("headers kept: no block %d", h)
		}
		now, next := meta.Header.ValidatorsHash, meta.Header.NextValidatorsHash
		changed := !bytes.Equal(now, next) || len(k.noted.Next) == 0 || k.justChanged(h)
		if h == 1 || h%k.every == 0 || changed {
			l, err := lightBlockOf(k.blocks, k.states, h)
			if err == nil {
				err = setKept(b, l)
			}
			if err != nil {
				return fmt.Errorf("headers kept: block %d: %w", h, err)
			}
		}
		// The signatures that this node saw under a block serve until the next block has them.
		b.Delete(k.raw.key(fmt.Appendf(nil, "SC:%d", h-1)))
		k.noted = noted{Height: h, Next: next}
		if !bytes.Equal(now, next) {
			k.noted.Next = nil // the next block is kept too
		}
	}
	b.Set([]byte(keyNoted), canon.Encode(k.noted))
	return b.CommitParts(false) // what prunes a block syncs it
}

// justChanged says whether the block before a height is not known to have had the committee.
func (k *headerKeeper) justChanged(h int64) bool { return k.noted.Height != h-1 }

func setKept(b *kv.Batch, l *types.LightBlock) error {
	p, err := l.ToProto()
	if err != nil {
		return err
	}
	raw, err := p.Marshal()
	if err != nil {
		return err
	}
	b.Set(keptKey(l.Height), raw)
	return nil
}

// from is the first header kept at or above a height; nil: none.
func (k *headerKeeper) from(height int64) (*types.LightBlock, error) {
	i := k.db.Iterate(keptKey(height), keptKey(1<<62), false)
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

// history is the bytes of the headers kept at or above a height, at most most of them.
func (k *headerKeeper) history(height, most int64) (out [][]byte, more bool, err error) {
	i := k.db.Iterate(keptKey(height), keptKey(1<<62), false)
	defer i.Close()
	size := int64(0)
	for ; i.Valid(); i.Next() {
		v := i.Value()
		if size += int64(len(v)); size > most && len(out) > 0 {
			return out, true, i.Error()
		}
		out = append(out, bytes.Clone(v))
	}
	return out, false, i.Error()
}

// lightBlockOf is the header of a height, the signatures under it, and the committee that
// signed; nil where that block is not there.
func lightBlockOf(blocks *store.BlockStore, states sm.Store, height int64) (*types.LightBlock, error) {
	meta := blocks.LoadBlockMeta(height)
	if meta == nil {
		return nil, nil
	}
	commit := blocks.LoadBlockCommit(height)
	if commit == nil {
		commit = blocks.LoadSeenCommit(height)
	}
	if commit == nil {
		return nil, fmt.Errorf("no signatures under block %d", height)
	}
	validators, err := validatorsAt(states, height)
	if err != nil {
		return nil, err
	}
	return &types.LightBlock{SignedHeader: &types.SignedHeader{Header: &meta.Header, Commit: commit}, ValidatorSet: validators}, nil
}
