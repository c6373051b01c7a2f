package light

import (
	"errors"
	"fmt"
	"time"

	cmtlight "github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
)

// ReceiptContents is the contents of a receipt that verifies.
type ReceiptContents struct {
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

// Verify checks a receipt with a genesis alone; a receipt that begins at a checkpoint needs
// that too. It asks no node.
func (r BlobReceipt) Verify(g ledger.Genesis, anchor *Checkpoint, now time.Time) (out ReceiptContents, err error) {
	fail := func(format string, args ...any) (ReceiptContents, error) {
		return ReceiptContents{}, fmt.Errorf("%w: %w", ErrReceipt, fmt.Errorf(format, args...))
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
	out = ReceiptContents{Height: last.Height, Time: last.Time.UTC(), Headers: len(r.Headers), From: first.Height}
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
		b, err := decodeHeader(raw, string(r.Chain))
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
		} else if err := cmtlight.Verify(last.SignedHeader, last.ValidatorSet, b.SignedHeader, b.ValidatorSet, anyAge, now, maxClockDrift, cmtlight.DefaultTrustLevel); err != nil {
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

// state checks the proofs of the ledger's records, and the certificate.
func (r BlobReceipt) state(g ledger.Genesis, root blob.Hash, out *ReceiptContents) error {
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
	out.Nodes = out.Certificate.Bitmap.Len()
	for i := range out.Certificate.Bitmap.All() {
		out.Shards += by.Members[i].Shards
	}
	return nil
}

// provenKeys is the proven values of a receipt, by key.
type provenKeys map[string][]byte

// Get is the value of a key that was proven.
func (p provenKeys) Get(key []byte) ([]byte, bool, error) {
	v, ok := p[string(key)]
	return v, ok, nil
}
