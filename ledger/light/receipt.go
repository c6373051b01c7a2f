package light

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ErrReceipt is returned for a receipt that does not verify.
var ErrReceipt = errors.New("the receipt does not hold")

// ErrUncertified is returned for a blob without a certificate: there is no receipt of it.
var ErrUncertified = errors.New("the ledger has no certificate for the blob")

const (
	receiptVersion = 1
	// MaxReceipt bounds the bytes of a receipt from a stranger.
	MaxReceipt  = 16 << 20
	maxHeaders  = 1024                       // of a receipt
	anyAge      = 100 * 365 * 24 * time.Hour // a receipt has no trust period
	proofsTaken = 4
)

// BlobReceipt shows, with the genesis alone, that a blob was certified and until when it
// was paid, as of a block. It has the nodes' certificate, the ledger's records, and the
// headers from the genesis to that block. More than a third of each header's committee
// has signed the next header.
//
// It does not show that nodes hold the blob now, nor anything after that block.
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

// Encode is the file, for people and programs alike.
func (r BlobReceipt) Encode() []byte {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("light: a receipt that cannot be written: %v", err))
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
	err = r.ask(ctx, p2p.AskGet, canon.Encode(getQuestion{Keys: keys[:]}), func(ctx context.Context, from peer.ID, answer []byte) (func(), error) {
		got, err := r.receiptFrom(ctx, id, c.Epoch, from, answer)
		return func() { out = got }, err
	})
	return out, err
}

func receiptKeys(id blob.ID, epoch unit.Epoch) [proofsTaken][]byte {
	return [...][]byte{ledger.KeyHead(), ledger.KeyBlob(id), ledger.KeyCertificate(id), ledger.KeyCertifiers(epoch)}
}

func (r *Remote) receiptFrom(ctx context.Context, id blob.ID, epoch unit.Epoch, from peer.ID, answer []byte) (out BlobReceipt, err error) {
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return out, err
	}
	if len(a.Proofs) != proofsTaken {
		return out, noAnswer{fmt.Errorf("node %s proves %d of %d keys in one answer", from, len(a.Proofs), proofsTaken)}
	}
	// Checked as every answer is, so that no fork signed by old keys gets into a receipt.
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
		raw, err := encodeHeader(b)
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

// way is the headers that lead to last from the genesis, or from the checkpoint where no
// node has the first blocks any more.
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
