package comet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// ErrReceipt is returned for a receipt that shows nothing.
var ErrReceipt = errors.New("the receipt does not hold")

// ErrUncertified is returned where there is nothing to give a receipt for.
var ErrUncertified = errors.New("the ledger has no certificate for the blob")

const (
	receiptVersion = 1
	// MaxReceipt bounds the bytes of a receipt from a stranger.
	MaxReceipt  = 16 << 20
	maxHeaders  = 1024                       // of a receipt
	anyAge      = 100 * 365 * 24 * time.Hour // a receipt has no trust period
	proofsTaken = 4
)

// BlobReceipt shows to whoever has the genesis, and needs nothing else, that a blob was
// certified and until when it was paid, as of a block: the nodes' own certificate, what
// the ledger held, and the headers that lead from the genesis to that block, each
// signed by a committee of which more than a third of the one before is left.
//
// It does not show that the blob is held now, nor what became of it after that block.
type BlobReceipt struct {
	Version int           `json:"walrus_receipt"`
	Chain   token.ChainID `json:"chain"`
	Blob    blob.ID       `json:"blob"`
	Height  int64         `json:"height"` // of the last header
	Time    time.Time     `json:"time"`   // likewise
	Headers [][]byte      `json:"headers"`
	Proofs  BlobProofs    `json:"proofs"` // that lead to the app hash in the last header
}

// BlobProofs are proofs of the state, canonical bytes each.
type BlobProofs struct {
	Head        []byte `json:"head"`
	Blob        []byte `json:"blob"`
	Certificate []byte `json:"certificate"`
	Certifiers  []byte `json:"certifiers"`
}

// Attested is what a receipt shows.
type Attested struct {
	Entry       registry.Entry
	Certificate registry.Certificate
	Nodes       int         // that signed the certificate
	Shards      int         // that they held
	Head        ledger.Head // the state that is shown: that of the block before the last header
	Height      int64       // of the last header
	Time        time.Time   // of that block
	Headers     int         // that lead there
	From        int64       // height of the first: 1, or that of the checkpoint
}

// Encode is the file, for people and programs alike.
func (r BlobReceipt) Encode() []byte {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("comet: a receipt that cannot be written: %v", err))
	}
	return append(b, '\n')
}

// DecodeBlobReceipt reads a receipt from a stranger. It checks the form only: see Verify.
func DecodeBlobReceipt(b []byte) (r BlobReceipt, err error) {
	if len(b) > MaxReceipt {
		return r, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxReceipt, ErrReceipt)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return BlobReceipt{}, fmt.Errorf("%w: it is no receipt, or was changed: %w", ErrReceipt, err)
	}
	if r.Version != receiptVersion {
		return BlobReceipt{}, fmt.Errorf("%w: it is of version %d, this program knows %d", ErrReceipt, r.Version, receiptVersion)
	}
	if _, zone := r.Time.Zone(); zone != 0 || r.Time.Year() < 1 || r.Time.Year() > 9999 || !bytes.Equal(r.Encode(), b) {
		return BlobReceipt{}, fmt.Errorf("%w: it is not written as walrus receipt writes it: it was changed", ErrReceipt)
	}
	return r, nil
}

// Receipt makes a receipt of a blob from the answers of one node, and checks it.
func (r *Remote) Receipt(ctx context.Context, id blob.ID) (out BlobReceipt, err error) {
	v, err := r.View(ctx)
	if err != nil {
		return out, err
	}
	c, certified, err := v.Certificate(id)
	if err != nil {
		return out, err
	}
	if !certified {
		return out, fmt.Errorf("%s: %w", id, ErrUncertified)
	}
	keys := receiptKeys(id, c.Epoch)
	err = r.ask(ctx, p2p.AskGet, canon.Encode(getQuestion{Keys: keys[:]}), func(ctx context.Context, from peer.ID, answer []byte) (err error) {
		out, err = r.receiptFrom(ctx, id, c.Epoch, from, answer)
		return err
	})
	return out, err
}

func receiptKeys(id blob.ID, epoch uint64) [proofsTaken][]byte {
	return [...][]byte{ledger.KeyHead(), ledger.KeyBlob(id), ledger.KeyCertificate(id), ledger.KeyCertifiers(epoch)}
}

func (r *Remote) receiptFrom(ctx context.Context, id blob.ID, epoch uint64, from peer.ID, answer []byte) (out BlobReceipt, err error) {
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return out, err
	}
	if len(a.Proofs) != proofsTaken {
		return out, unanswered{fmt.Errorf("node %s proves %d of %d keys in one answer", from, len(a.Proofs), proofsTaken)}
	}
	// First as every answer is checked: no fork that old keys signed gets into a receipt.
	last, err := r.header(ctx, from, int64(a.Height))
	if err != nil {
		return out, err
	}
	way, err := r.way(ctx, last, r.source(from))
	if err != nil {
		return out, err
	}
	for i, key := range receiptKeys(id, epoch) {
		p, err := r.decodeProof(ctx, from, a.Height, key, a.Proofs[i])
		if err != nil {
			return out, err
		}
		a.Proofs[i] = p.Encode()
	}
	out = BlobReceipt{Version: receiptVersion, Chain: r.genesis.ChainID(), Blob: id, Height: last.Height, Time: last.Time.UTC(),
		Proofs: BlobProofs{a.Proofs[0], a.Proofs[1], a.Proofs[2], a.Proofs[3]}}
	for _, b := range way {
		raw, err := encodeVouched(b)
		if err != nil {
			return out, err
		}
		out.Headers = append(out.Headers, raw)
	}
	_, err = out.Verify(r.genesis, r.options.Checkpoint, r.follow.now())
	if err != nil {
		err = fmt.Errorf("%w: %w", blob.ErrMismatch, err)
	}
	return out, err
}

// way is the headers that lead to one from the genesis; from the checkpoint, where
// nobody has the first blocks any more.
func (r *Remote) way(ctx context.Context, last *types.LightBlock, from source) ([]*types.LightBlock, error) {
	lead := func(anchor *Checkpoint) ([]*types.LightBlock, error) {
		f := &follower{genesis: r.genesis, period: anyAge, anchor: anchor, now: r.follow.now}
		first, err := f.begin(ctx, from)
		if err != nil || first.Height == last.Height {
			return []*types.LightBlock{first}, err
		}
		rest, err := f.advance(ctx, first, last, from)
		return append([]*types.LightBlock{first}, rest...), err
	}
	way, err := lead(nil)
	if err != nil && r.options.Checkpoint != nil {
		return lead(r.options.Checkpoint)
	}
	return way, err
}

// Verify checks a receipt with a genesis alone; one whose first header is a checkpoint
// needs that too. It asks nobody.
func (r BlobReceipt) Verify(g ledger.Genesis, anchor *Checkpoint, now time.Time) (out Attested, err error) {
	fail := func(format string, args ...any) (Attested, error) {
		return Attested{}, fmt.Errorf("%w: %w", ErrReceipt, fmt.Errorf(format, args...))
	}
	if chain := g.ChainID(); r.Chain != chain {
		return fail("it is of the chain %s, the network file is of %s", r.Chain, chain)
	}
	first, last, err := r.follow(g, anchor, now)
	if err != nil {
		return fail("%w", err)
	}
	if last.Height != r.Height || !last.Time.Equal(r.Time) {
		return fail("it names block %d of %s, its last header is block %d of %s", r.Height, r.Time.Format(time.RFC3339Nano), last.Height, last.Time.UTC().Format(time.RFC3339Nano))
	}
	out = Attested{Height: last.Height, Time: last.Time.UTC(), Headers: len(r.Headers), From: first.Height}
	if err := r.state(g, blob.Hash(last.AppHash), &out); err != nil {
		return fail("%w", err)
	}
	return out, nil
}

// follow checks that each header follows from the one before, and the first from the
// genesis or the checkpoint.
func (r BlobReceipt) follow(g ledger.Genesis, anchor *Checkpoint, now time.Time) (first, last *types.LightBlock, err error) {
	if len(r.Headers) == 0 || len(r.Headers) > maxHeaders {
		return nil, nil, fmt.Errorf("it has %d headers, 1 to %d", len(r.Headers), maxHeaders)
	}
	for i, raw := range r.Headers {
		b, err := decodeVouched(raw, string(r.Chain))
		if err != nil {
			return nil, nil, fmt.Errorf("header %d of %d: %w", i+1, len(r.Headers), err)
		}
		if ahead := b.Time.Sub(now); ahead > maxClockDrift {
			return nil, nil, fmt.Errorf("%w: it says %s, the receipt %s", ErrClock, now.UTC().Format(time.RFC3339), b.Time.UTC().Format(time.RFC3339))
		}
		if i == 0 {
			if first, err = b, begins(b, g, anchor); err != nil {
				return nil, nil, err
			}
		} else if err := light.Verify(last.SignedHeader, last.ValidatorSet, b.SignedHeader, b.ValidatorSet, anyAge, now, maxClockDrift, light.DefaultTrustLevel); err != nil {
			return nil, nil, fmt.Errorf("block %d does not follow from block %d: %w", b.Height, last.Height, err)
		}
		last = b
	}
	return first, last, nil
}

func begins(b *types.LightBlock, g ledger.Genesis, anchor *Checkpoint) error {
	f := &follower{genesis: g}
	if b.Height != 1 {
		if f.anchor = anchor; anchor == nil {
			return fmt.Errorf("its first header is of block %d, not of the first block: name that block as the checkpoint in network.toml if you trust it", b.Height)
		}
	}
	return f.first(b)
}

// state checks what the ledger held, and the certificate.
func (r BlobReceipt) state(g ledger.Genesis, root blob.Hash, out *Attested) error {
	v := ledger.View{R: provenKeys{}}
	show := func(what string, key, raw []byte) error {
		p, err := state.DecodeProof(raw)
		if err != nil {
			return fmt.Errorf("proof of the %s: %w", what, err)
		}
		value, there, err := g.Verify(p, root, key)
		if err == nil && !there {
			err = errors.New("the ledger held none")
		}
		if err != nil {
			return fmt.Errorf("proof of the %s: %w", what, err)
		}
		v.R.(provenKeys)[string(key)] = value
		return nil
	}
	keys := receiptKeys(r.Blob, 0)
	err := errors.Join(show("head", keys[0], r.Proofs.Head), show("blob", keys[1], r.Proofs.Blob), show("certificate", keys[2], r.Proofs.Certificate))
	if err != nil {
		return err
	}
	var err1, err2, err3 error
	out.Head, err1 = v.Head()
	out.Entry, _, err2 = v.Blob(r.Blob)
	out.Certificate, _, err3 = v.Certificate(r.Blob)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if err := show("certifiers", ledger.KeyCertifiers(out.Certificate.Epoch), r.Proofs.Certifiers); err != nil {
		return err
	}
	by, _, err := v.Certifiers(out.Certificate.Epoch)
	if err != nil {
		return err
	}
	if err := out.Certificate.Verify(r.Chain, r.Blob, by.Registry(), g.Params.Shards, nil); err != nil {
		return err
	}
	for _, b := range out.Certificate.Bitmap {
		out.Nodes += bits.OnesCount8(b)
	}
	for i, m := range by.Members {
		if out.Certificate.Bitmap[i/8]>>(i%8)&1 == 1 {
			out.Shards += m.Shards
		}
	}
	return nil
}

// provenKeys reads what was proven.
type provenKeys map[string][]byte

// Get is the value of a key that was proven.
func (p provenKeys) Get(key []byte) ([]byte, bool, error) {
	v, ok := p[string(key)]
	return v, ok, nil
}
