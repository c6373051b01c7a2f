package light

import (
	"context"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// A verified header is handed out to be kept again once it is newer than the last one by
// keepEvery, or by the trust period / keepParts where that is less.
const (
	keepEvery = 10 * time.Minute
	keepParts = 16
)

// keptVersion is the version of the form in which a header is kept.
const keptVersion = 1

// MaxKept bounds the bytes of a kept header: a committee of 1,000 nodes has 250 KB.
const MaxKept = 1 << 20

// keptHeader is a verified header as a process keeps it for the next one, with what the
// process trusted when it began. The form is local to a machine.
type keptHeader struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Chain   string
	Anchor  int64     // height of the checkpoint that all began with; 0: the genesis
	Hash    blob.Hash // of that checkpoint
	Block   []byte    // light block, protobuf
}

func (c *Checkpoint) anchor() (height int64, hash blob.Hash) {
	if c == nil {
		return 0, blob.Hash{}
	}
	return c.Height, c.Hash
}

// encodeKept is the bytes of a verified header.
func encodeKept(g ledger.Genesis, anchor *Checkpoint, b *types.LightBlock) ([]byte, error) {
	p, err := b.ToProto()
	if err != nil {
		return nil, err
	}
	raw, err := p.Marshal()
	if err != nil {
		return nil, err
	}
	height, hash := anchor.anchor()
	return canon.Encode(keptHeader{Version: keptVersion, Chain: string(g.ChainID()), Anchor: height, Hash: hash, Block: raw}), nil
}

// decodeKept reads a header that was kept. A header that began with another anchor than the
// one that is trusted now is refused: the operator has changed their mind.
func decodeKept(raw []byte, g ledger.Genesis, anchor *Checkpoint) (*types.LightBlock, error) {
	var k keptHeader
	if len(raw) > MaxKept {
		return nil, fmt.Errorf("kept header of %d bytes, at most %d", len(raw), MaxKept)
	}
	if err := canon.Decode(raw, &k); err != nil {
		return nil, fmt.Errorf("kept header: %w", err)
	}
	if k.Version != keptVersion || k.Chain != string(g.ChainID()) {
		return nil, fmt.Errorf("kept header: version %d of %q, not %d of %q", k.Version, k.Chain, keptVersion, g.ChainID())
	}
	if height, hash := anchor.anchor(); k.Anchor != height || k.Hash != hash {
		return nil, fmt.Errorf("kept header: it leads back to block %d, %s; block %d, %s is trusted now", k.Anchor, k.Hash, height, hash)
	}
	return decodeBlock(k.Block, k.Chain)
}

// Begin lets a node show the block that the checkpoint names, and returns its time. Without
// a checkpoint it is the first block. ErrExpired is returned for a block that is older than
// headers are trusted: nothing can begin with it.
func (r *Remote) Begin(ctx context.Context) (at time.Time, err error) {
	err = r.ask(ctx, p2p.AskLight, canon.Encode(headerQuestion{Height: unit.Height(r.follow.beginning())}), func(_ context.Context, _ peer.ID, answer []byte) (func(), error) {
		b, err := decodeBlock(answer, string(r.genesis.ChainID()))
		if err == nil {
			err = exactly(b, r.follow.beginning())
		}
		if err == nil {
			err = r.follow.first(b)
		}
		return func() {
			at = b.Time
			r.follow.remember(b)
		}, err
	})
	if err == nil && r.follow.now().Sub(at) >= r.follow.period {
		err = fmt.Errorf("the block is of %s, and headers are trusted for %s: %w", at.UTC().Format(time.RFC3339), r.follow.period, ErrExpired)
	}
	return at, err
}

// Claimed is the newest block on the word of a node, unproven, for an operator to compare.
func (r *Remote) Claimed(ctx context.Context) (c Checkpoint, at time.Time, err error) {
	err = r.ask(ctx, p2p.AskLight, canon.Encode(headerQuestion{}), func(_ context.Context, _ peer.ID, answer []byte) (func(), error) {
		b, err := decodeBlock(answer, string(r.genesis.ChainID()))
		return func() { c, at = Checkpoint{b.Height, blob.Hash(b.Hash())}, b.Time }, err
	})
	return c, at, err
}

// NewestKnown is the checkpoint that names the newest verified header, and that header's
// time; ok is false before there is one.
func (r *Remote) NewestKnown() (c Checkpoint, at time.Time, ok bool) {
	b := r.follow.newest()
	if b == nil {
		return Checkpoint{}, time.Time{}, false
	}
	return Checkpoint{Height: b.Height, Hash: blob.Hash(b.Hash())}, b.Time, true
}
