package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// StoreOptions says for how long and for whom.
type StoreOptions struct {
	Epochs    uint64 // from now on; 0: what a lease that is there has left, else the network's default
	Permanent bool   // cannot be deleted or refunded; refused where a lease that can is there
	// Owner gets the lease, which the key pays; zero: the key's address. What the key has paid
	// for another owner cannot be lengthened: only the owner can do that.
	Owner token.Address
	// Allowance, if not 0, is left with the lease to renew it when it would end. A lease
	// that the owner has already gets it too, unless it has one.
	Allowance    token.Amount
	HighestPrice token.Amount // of a stored KiB and epoch at which it is renewed; 0: twice today's
	// Paying, if not nil, is told what will be signed, before it is. An error from it
	// ends the store; nothing was paid then.
	Paying func(Cost) error
	// Identified, if not nil, is told the blob's ID before anything is signed. An error from
	// it ends the store.
	Identified func(blob.ID) error
	// Progress, if not nil, is told how many of the blob's bytes were encoded and
	// handed to the nodes so far: first the one grows to Size, then the other.
	Progress func(encoded, handed int64)
	// View, if not nil, is the ledger as it was moments ago, for the first attempt: it is read
	// by nothing else meanwhile.
	View *ledger.View
	// Ahead, if not nil, is the same store begun by BeginStore or SpoolAhead with the same source.
	Ahead *StoreAhead
}

// StoreResult is what Store did.
type StoreResult struct {
	ID           blob.ID    `json:"blob"`
	Size         int64      `json:"bytes"`
	EncodedBytes int64      `json:"encoded_bytes"`
	SentBytes    int64      `json:"sent_bytes"` // of fragments; less than encoded when resumed
	EndEpoch     unit.Epoch `json:"end_epoch"`  // of the owner's claim, as the ledger shows it
	Already      bool       `json:"already"`    // it was certified before; nothing was sent
	Requests     int64      `json:"requests"`   // streams opened and transactions sent
	Extended     uint64     `json:"-"`          // epochs by which a lease that was there was lengthened
	Registered   bool       `json:"-"`          // a lease was paid that was not there

	// Paid now, as the ledger shows it. Of what is never certified the price of the epochs
	// in which its room was held does not come back.
	Price     token.Amount `json:"price"` // for the epochs
	Write     token.Amount `json:"write_price"`
	Allowance token.Amount `json:"allowance"`

	// Entry is the blob's, as the ledger shows it, and Epoch the ledger's at that moment.
	Entry registry.Entry `json:"-"`
	Epoch unit.Epoch     `json:"-"`

	EncodeTime time.Duration `json:"-"` // pass 1
	UploadTime time.Duration `json:"-"` // first byte read to certificate assembled
	TotalTime  time.Duration `json:"-"` // to the certificate on the ledger
}

// Store puts a blob on the network for an owner and pays with key. It returns when the block
// with the certificate is there, which is the commit point, and the ledger has shown that
// the owner's claim lasts as long as was asked. Run again after an interruption it sends
// only what is missing and pays nothing twice; run again with more epochs it extends the
// lease that is there.
func (c *Client) Store(ctx context.Context, key token.Key, src Source, o StoreOptions) (StoreResult, error) {
	s := storeRun{c: c, key: key, options: o, began: time.Now(), turn: c.turns.store()}
	defer s.turn.end()
	err := s.run(ctx, src)
	if s.p != nil {
		s.p.drop()
	}
	s.out.Requests = s.requests.Load()
	s.out.TotalTime = time.Since(s.began)
	if err != nil && s.p != nil {
		return s.out, fmt.Errorf("store blob %s: %w", s.p.ID, err)
	}
	return s.out, err
}

// owner is for whom the lease is.
func (s *storeRun) owner() token.Address {
	if s.options.Owner != (token.Address{}) {
		return s.options.Owner
	}
	return s.key.Address()
}

type storeRun struct {
	c        *Client
	key      token.Key
	options  StoreOptions
	began    time.Time
	turn     *turn
	d        committee
	p        *encodedBlob
	manifest blob.Manifest
	paying   []payment
	until    unit.Epoch   // epoch at whose start the owner's claim may end; 0: whenever what is there does
	agreed   bool         // the caller was told what it costs
	busy     bool         // the last attempt found members busy
	account  *spender     // of the payer, as the attempt's view shows it; nil: to be read, since it was used
	shown    *ledger.View // state that shows the certificate; nil: none is known
	early    *opening     // made before the ledger was looked at; nil: none
	requests atomic.Int64
	out      StoreResult
}

// storeTries bounds how often a blob is offered again because the epoch turned, or
// because members and client do not stand at the same block.
const storeTries = 5

func (s *storeRun) run(ctx context.Context, src Source) error {
	for try := 1; ; try++ {
		again, err := s.attempt(ctx, src)
		if err == nil || !again || try == storeTries {
			return err
		}
		s.c.log.Debug("try the store again", "blob", s.out.ID, "err", err) // no ID yet where the shape was to be read
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 200 * time.Millisecond): // for the next block
		}
	}
}

// attempt stores with the committee of now. again says that it failed for a reason
// that another look at the ledger removes.
func (s *storeRun) attempt(ctx context.Context, src Source) (again bool, err error) {
	defer func() { s.early.drop() }()
	v, err := s.look(ctx, src)
	if err != nil {
		return errors.Is(err, light.ErrBehind), err // which others may have caught up with
	}
	entry, known, err := v.Blob(s.p.ID)
	if err != nil {
		return false, err
	}
	kept := known && entry.Certified() && entry.Live(s.d.epoch)
	if err = s.owed(v, entry, kept); err != nil {
		return false, err
	}
	switch {
	case kept:
		s.out.Already = true
		err = s.pay(ctx)
	case s.busy:
		// Members prefer what the ledger shows to be paid: then no stranger that pays
		// nothing keeps this blob out.
		if err = s.pay(ctx); err == nil {
			s.paying = nil
			err = s.upload(ctx)
		}
	default:
		err = s.upload(ctx)
	}
	if err == nil {
		err = s.settled(ctx)
	}
	s.busy = errors.Is(err, errBusy)
	again = s.busy || errors.Is(err, errTurned) || errors.Is(err, errMore) || p2p.IsRefusal(err, p2p.CodeNotDuty) || errors.Is(err, ledger.ErrCertificate)
	return again, err
}

// look reads what an attempt needs in one question, where the blob's ID is known before: the
// shape is the genesis's.
func (s *storeRun) look(ctx context.Context, src Source) (v ledger.View, err error) {
	shape := s.c.Shape
	if shape == (blob.Shape{}) && s.p == nil {
		if v, err = s.c.ledger.View(ctx); err != nil {
			return v, err
		}
		if s.d, err = readCommittee(v); err != nil {
			return v, err
		}
		shape = s.d.Shape
	}
	if s.p == nil {
		if err = s.encode(ctx, shape, src); err != nil {
			return v, err
		}
	}
	given := s.options.View
	if given != nil && time.Since(s.began) < freshFor {
		v = *given
		if s.d, err = readCommittee(v); err != nil { // which was read with the rest
			return v, err
		}
		s.c.seated.set(s.d)
	} else {
		given = nil
	}
	s.offerEarly(ctx)
	if given == nil {
		if v, err = s.c.ledger.View(ctx); err != nil {
			return v, err
		}
	}
	s.options.View = nil // for one attempt
	payer := s.key.Address()
	if err = v.PrefetchCommittee(ledger.KeyBlob(s.p.ID), ledger.KeyAccount(payer)); err != nil {
		return v, err
	}
	if s.d, err = readCommittee(v); err != nil {
		return v, err
	}
	if s.d.Shape != s.p.Layout.Shape {
		return v, fmt.Errorf("the ledger has blobs of %d shards, the genesis of %d", s.d.Shape.N, s.p.Layout.N)
	}
	s.c.seated.set(s.d)
	s.account, err = readSpender(v, payer)
	return v, err
}

// encode encodes the source, unless that was done ahead.
func (s *storeRun) encode(ctx context.Context, shape blob.Shape, src Source) (err error) {
	took := func() time.Duration { return time.Since(s.began) }
	if a := s.options.Ahead; a != nil {
		s.p, s.early, a.early = a.p, a.early, nil
		if s.options.Progress != nil {
			s.p.progress = s.options.Progress
		}
		took = func() time.Duration { return a.took }
	}
	if s.p == nil {
		if s.p, err = prepare(ctx, shape, src, &s.c.kept, s.options.Progress); err != nil {
			return err
		}
	}
	if s.options.Identified != nil {
		if err := s.options.Identified(s.p.ID); err != nil {
			return err
		}
	}
	s.manifest = s.p.Manifest()
	s.out = StoreResult{ID: s.p.ID, Size: s.p.Layout.Size, EncodedBytes: s.p.Layout.EncodedBytes(), EncodeTime: took()}
	return nil
}

// freshFor is how long ago the ledger may have been read for a store, encoding included.
const freshFor = 5 * time.Second

// upload sends the blob and pays for it, and certifies it. Nothing is paid before members with
// enough shards have taken it; among many stores, before they have taken another of this
// client. It is certified once enough have confirmed, and the others go on meanwhile.
func (s *storeRun) upload(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opening, stop := context.WithCancel(ctx)
	defer stop()
	taken, paid := make(chan bool, 2), make(chan error, 1) // taken may be told twice, and counts once
	go func() {
		pays := s.c.turns.awaitPayAhead(opening) == nil || <-taken
		var err error
		if pays {
			if err = s.pay(ctx); err != nil {
				cancel(err) // no node will confirm
			}
		}
		paid <- err
	}()
	u, err := s.open(ctx, func() {
		taken <- true
		stop()
	})
	taken <- err == nil
	stop()
	defer func() { s.requests.Add(u.streams.Load()) }()
	if err != nil {
		if refused := <-paid; refused != nil {
			return refused
		}
		return err // it is paid only where others were taken, and the next attempt finds that
	}
	defer u.close()
	certificate, err := u.run(ctx)
	if err == nil {
		err = s.certify(ctx, certificate) // the signers have seen the payment in a block
	}
	u.end(ctx, err == nil)
	for _, l := range u.lanes {
		s.out.SentBytes += l.sent
	}
	if refused := <-paid; refused != nil {
		return refused
	}
	return err
}

func (s *storeRun) certify(ctx context.Context, certificate registry.Certificate) error {
	s.out.UploadTime = time.Since(s.began)
	s.requests.Add(1)
	receipt, shown, err := s.c.submitAnd(ctx, ledger.Unsigned(ledger.Certify{Blob: s.p.ID, Certificate: certificate}), ledger.KeyHead(), ledger.KeyBlob(s.p.ID))
	s.shown = shown
	if err == nil {
		err = receipt.Err()
	}
	if errors.Is(err, ledger.ErrCertified) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	return nil
}
