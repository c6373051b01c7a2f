package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/store"
)

// registrationWait is how long an upload waits, once it is complete, for a block
// that shows its registration.
const registrationWait = 45 * time.Second

// intakeBytes bounds the stripes of all uploads that are being verified and written.
const intakeBytes = 64 << 20

// maxStaged bounds how many blobs wait in the corner: their records cost too.
const maxStaged = 4096

// keeper answers the fragment protocol for a node.
type keeper struct{ n *Node }

// Receive takes a blob: it asks for what it lacks, verifies every leaf of every fragment,
// writes them, and signs when the ledger shows a live registration.
func (k keeper) Receive(ctx context.Context, from peer.ID, in *p2p.Upload) (p2p.Confirmation, error) {
	c, err := in.Manifest().Commitment()
	if err != nil {
		return p2p.Confirmation{}, err
	}
	mine, err := k.mine(ctx, c)
	if err != nil {
		return p2p.Confirmation{}, err
	}
	for _, p := range in.Places() {
		if !mine[p] {
			return p2p.Confirmation{}, p2p.Refuse(p2p.CodeNotDuty, "place %d of %s is not this node's: ask the ledger for the committee again", p, c.ID)
		}
	}
	// What an upload leaves behind that ends without being paid goes at once: bytes that
	// cost nothing must not outlast the connection that brings them. And it costs the disk
	// nothing before its first stripe is here: an offer alone is 56 bytes.
	entered, whole := false, false
	defer func() {
		if entered && !whole {
			k.abandon(c.ID)
		}
	}()
	end := k.n.incoming.begin(c.ID)
	defer end()
	enter := func() error {
		if entered {
			return nil
		}
		entered = true
		return k.admit(ctx, c, in.Manifest())
	}
	lacks, err := k.lacking(c, in.Places())
	if err != nil {
		return p2p.Confirmation{}, err
	}
	if err := in.Want(func(stripe uint32) bool { return lacks[stripe] }); err != nil {
		return p2p.Confirmation{}, err
	}
	if err := k.take(ctx, from, c, in, enter); err != nil {
		return p2p.Confirmation{}, refuseFull(err)
	}
	if err := enter(); err != nil { // there was nothing to send
		return p2p.Confirmation{}, refuseFull(err)
	}
	// While it waits to be paid for it is worth no more than any other in the corner.
	end()
	confirmation, err := k.confirm(ctx, c)
	whole = err == nil
	return confirmation, err
}

// abandonLimit bounds the time for dropping what an upload left behind.
const abandonLimit = 10 * time.Second

// abandon drops what an upload left in the corner, unless another client sends the same
// blob or it is paid for.
func (k keeper) abandon(id blob.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), abandonLimit) // the upload's own has ended
	defer cancel()
	staged, err := k.n.store.Staged()
	if err == nil && slices.ContainsFunc(staged, func(s store.StagedBlob) bool { return s.ID == id }) {
		err = k.n.endStaged(ctx, id)
	}
	if err != nil {
		k.n.log.Warn("drop what an upload left behind", "blob", id, "err", err)
	}
}

// Paid says whether the ledger shows a live registration of the blob.
func (k keeper) Paid(ctx context.Context, id blob.ID) bool {
	v, err := k.n.ledger.View(ctx)
	if err != nil {
		return false
	}
	head, err := v.Head()
	if err != nil {
		return false
	}
	entry, known, err := v.Blob(id)
	return err == nil && known && entry.Live(head.Epoch)
}

// admit makes a place for a blob: what is paid for among what is kept, else in the
// corner. There the oldest blob that is not being sent any more makes room: nothing was
// promised for it, and a stranger must not fill the corner for an hour.
func (k keeper) admit(ctx context.Context, c blob.Commitment, m blob.Manifest) error {
	d, entry, known, err := k.registration(ctx, c.ID)
	if err != nil {
		return err
	}
	if known && entry.Live(d.epoch) {
		return k.n.store.Keep(ctx, m)
	}
	k.n.drops.Lock()
	defer k.n.drops.Unlock()
	usage := k.n.store.Counts()
	if usage.Staged >= maxStaged || usage.StagedCapacity > 0 && usage.StagedBytes > usage.StagedCapacity/2 {
		if err := k.n.dropOldestStaged(ctx); err != nil {
			return err
		}
	}
	return k.n.store.Stage(ctx, m, time.Now())
}

// mine is the places of a blob that this node has the duty to keep.
func (k keeper) mine(ctx context.Context, c blob.Commitment) (map[blob.Place]bool, error) {
	d, err := k.n.duty(ctx)
	if err != nil {
		return nil, err
	}
	if c.Layout.Shape != d.shape {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "blob is cut for %d shards, this network has %d", c.Layout.N, d.shape.N)
	}
	out := map[blob.Place]bool{}
	for _, p := range d.places(c.ID, d.shards) {
		out[p] = true
	}
	return out, nil
}

// lacking is the stripes of which something is not held, a bool each.
func (k keeper) lacking(c blob.Commitment, places []blob.Place) ([]bool, error) {
	stripes := make([]bool, c.Layout.Stripes)
	err := k.n.store.EachMissing(c, places, func(at blob.Position) { stripes[at.Stripe] = true })
	return stripes, err
}

// take verifies and writes stripes while the next ones come in. enter makes a place for
// the blob, once the first is here.
func (k keeper) take(ctx context.Context, from peer.ID, c blob.Commitment, in *p2p.Upload, enter func() error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2*runtime.GOMAXPROCS(0)) // stripes in memory per upload
	var err error
	for err == nil {
		var stripe p2p.IncomingStripe
		if stripe, err = in.Next(); err != nil {
			break
		}
		k.n.incoming.progress(c.ID)
		if err = enter(); err != nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			err = context.Cause(ctx)
			continue
		}
		// All uploads share what their stripes may take; one stripe always goes.
		weight := min(stripe.Bytes(), intakeBytes)
		if err = k.n.intake.Acquire(ctx, weight); err != nil {
			<-slots
			continue
		}
		wg.Go(func() {
			defer func() { k.n.intake.Release(weight); <-slots }()
			err := p2p.Guard(k.n.log, "keep a stripe", func() error { return k.keep(ctx, c, in.Places(), stripe) })
			if err != nil {
				if errors.Is(err, blob.ErrMismatch) {
					k.n.host.Blame(from, err)
					err = p2p.Refuse(p2p.CodeBadRequest, "%v", err)
				}
				cancel(err)
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// keep verifies one stripe's fragments and returns when they are durable.
func (k keeper) keep(ctx context.Context, c blob.Commitment, places []blob.Place, in p2p.IncomingStripe) error {
	code := redstuff.For(c.Layout.Shape)
	tree := code.EncodeList(in.List)
	proven, err := tree.Prove(c, in.Stripe, in.Path)
	if err != nil {
		return err
	}
	pieces := make([]store.Piece, 0, 2*len(places))
	for i, p := range places {
		row, err := proven.At(p).VerifyFull(blob.Row, in.Rows[i], code)
		if err != nil {
			return err
		}
		column, err := proven.At(p).VerifyFull(blob.Column, in.Cols[i], code)
		if err != nil {
			return err
		}
		w := tree.Witness(p, blob.Roots{}, in.Path)
		pieces = append(pieces, store.Piece{Fragment: row, Witness: w}, store.Piece{Fragment: column, Witness: w})
	}
	err = k.n.store.Put(ctx, c.ID, pieces...)
	if !errors.Is(err, store.ErrStagedFull) {
		return err
	}
	// The corner is too small for it: what is paid for needs none.
	if err := k.promote(ctx, c.ID); err != nil {
		return err
	}
	return k.n.store.Put(ctx, c.ID, pieces...)
}

// promote waits until the blob is registered and keeps it then.
func (k keeper) promote(ctx context.Context, id blob.ID) error {
	_, entry, err := k.registered(ctx, id)
	if err != nil {
		return err
	}
	return k.n.store.Keep(ctx, entry.Manifest)
}

// confirm signs once all of the node's places are held and a block that it has
// applied shows a live registration. The signature binds the node to keep the bytes
// to the end of the next epoch, whatever becomes of the lease.
func (k keeper) confirm(ctx context.Context, c blob.Commitment) (p2p.Confirmation, error) {
	d, entry, err := k.registered(ctx, c.ID)
	if err != nil {
		return p2p.Confirmation{}, err
	}
	// Kept before it is looked at, and nothing is dropped meanwhile.
	k.n.drops.RLock()
	defer k.n.drops.RUnlock()
	if err := k.n.store.Keep(ctx, entry.Manifest); err != nil {
		return p2p.Confirmation{}, err
	}
	missing, err := k.n.store.Missing(c, d.places(c.ID, d.shards))
	if err != nil {
		return p2p.Confirmation{}, err
	}
	if len(missing) > 0 {
		return p2p.Confirmation{}, p2p.Refuse(p2p.CodeNotDuty, "%d fragments of this node's are missing, %v first: send all places the committee of epoch %d gives it", len(missing), missing[0], d.epoch)
	}
	sig := k.n.bls.Sign(registry.ConfirmMessage(k.n.chain, d.epoch, c.ID))
	return p2p.Confirmation{Epoch: d.epoch, Signature: sig}, nil
}

// registered waits for a block that shows a live registration.
func (k keeper) registered(ctx context.Context, id blob.ID) (duty, registry.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, registrationWait)
	defer cancel()
	for {
		changed := k.n.ledger.Changed()
		d, entry, known, err := k.registration(ctx, id)
		if err != nil || known && entry.Live(d.epoch) {
			return d, entry, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return d, entry, p2p.Refuse(p2p.CodeBusy, "no registration of %s on the ledger within %s: was it paid?", id, registrationWait)
		}
	}
}

func (k keeper) registration(ctx context.Context, id blob.ID) (duty, registry.Entry, bool, error) {
	v, err := k.n.ledger.View(ctx)
	if err != nil {
		return duty{}, registry.Entry{}, false, err
	}
	d, err := dutyOf(v, k.n.id)
	if err != nil {
		return duty{}, registry.Entry{}, false, err
	}
	entry, known, err := v.Blob(id)
	return d, entry, known, err
}

func refuseFull(err error) error {
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrStagedFull) {
		return p2p.Refuse(p2p.CodeBusy, "%v", err)
	}
	return err
}

// Fragment serves a stored fragment with its witness.
// Manifest is the manifest of a blob that the node keeps, or has on its way in.
func (k keeper) Manifest(_ context.Context, id blob.ID) (blob.Manifest, error) {
	m, ok, err := k.n.store.Manifest(id)
	if err == nil && !ok {
		err = p2p.ErrNotHeld
	}
	return m, err
}

func (k keeper) Fragment(_ context.Context, at blob.Position) (data, witness []byte, err error) {
	if err := k.n.freeze.Refusal(at.Blob, at.Stripe, false, time.Now()); err != nil {
		return nil, nil, err
	}
	v, err := k.n.store.Fragment(at)
	if err != nil {
		return nil, nil, notHeld(err)
	}
	w, err := k.n.store.Witness(at.Blob, at.Stripe, at.Place)
	if err != nil {
		return nil, nil, notHeld(err)
	}
	return v.Bytes(), w.Encode(), nil
}

// Symbols serves single symbols of a stored fragment, source or parity.
func (k keeper) Symbols(_ context.Context, at blob.Position, indices []int, proven bool) (p2p.Symbols, error) {
	if err := k.n.freeze.Refusal(at.Blob, at.Stripe, true, time.Now()); err != nil {
		return p2p.Symbols{}, err
	}
	v, err := k.n.store.Fragment(at)
	if err != nil {
		return p2p.Symbols{}, notHeld(err)
	}
	m, ok, err := k.n.store.Manifest(at.Blob)
	if err != nil || !ok {
		return p2p.Symbols{}, errors.Join(err, p2p.ErrNotHeld)
	}
	l, err := m.Layout()
	if err != nil {
		return p2p.Symbols{}, err
	}
	for _, i := range indices {
		if i >= l.N {
			return p2p.Symbols{}, p2p.Refuse(p2p.CodeBadRequest, "symbol %d of %d", i, l.N)
		}
	}
	code, seg := redstuff.For(l.Shape), l.StripeSeg(int(at.Stripe))
	if !proven {
		data, err := code.SymbolsAt(at.Axis, v.Bytes(), seg, indices)
		return p2p.Symbols{Data: data}, err
	}
	w, err := k.n.store.Witness(at.Blob, at.Stripe, at.Place)
	if err != nil {
		return p2p.Symbols{}, notHeld(err)
	}
	openings, err := code.Open(at.Axis, at.Place, v.Bytes(), seg, indices)
	if err != nil {
		return p2p.Symbols{}, err
	}
	out := p2p.Symbols{Witness: w.Encode()}
	for _, o := range openings {
		out.Openings = append(out.Openings, o.Encode())
	}
	return out, nil
}

// Witness serves a witness alone.
func (k keeper) Witness(_ context.Context, id blob.ID, stripe uint32, p blob.Place) ([]byte, error) {
	if err := k.n.freeze.Refusal(id, stripe, false, time.Now()); err != nil {
		return nil, err
	}
	w, err := k.n.store.Witness(id, stripe, p)
	if err != nil {
		return nil, notHeld(err)
	}
	return w.Encode(), nil
}

func notHeld(err error) error {
	if errors.Is(err, store.ErrMissing) {
		return p2p.ErrNotHeld
	}
	return fmt.Errorf("store: %w", err)
}
