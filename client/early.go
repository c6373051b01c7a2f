package client

import (
	"context"
	"slices"
	"sync"
)

// seated is the committee that the ledger showed last.
type seated struct {
	mu    sync.Mutex // guards known
	known committee
}

func (s *seated) set(c committee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = c
}

func (s *seated) get() (c committee, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, s.known.Directory != nil
}

// sameSeats says whether two committees are of one epoch, and hold the same shards.
func (c committee) sameSeats(o committee) bool {
	return c.epoch == o.epoch && slices.Equal(c.Holder, o.Holder) && slices.Equal(c.From, o.From)
}

// earlyOffer is a small blob's upload that began with the committee of before, while the
// ledger is looked at. Nothing is paid for it before the ledger has shown the same committee,
// and members with enough shards have taken it.
type earlyOffer struct {
	upload *upload
	opened chan error // of one: how opening it ended
	stop   context.CancelFunc
}

// offerEarly begins an upload that is whole with its offers, where a committee is known.
func (s *storeRun) offerEarly(ctx context.Context) {
	d, known := s.c.seated.get()
	if !known || s.early != nil || s.busy || d.Shape != s.p.Layout.Shape {
		return
	}
	u := newUpload(s.c.host, s.c.chain, d, s.p)
	if !u.fitsWhole() {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	s.early = &earlyOffer{upload: u, opened: make(chan error, 1), stop: stop}
	go func(e *earlyOffer) { e.opened <- e.upload.open(ctx, s.manifest) }(s.early)
}

// drop ends an upload that is of no use: members drop what they have of it.
func (e *earlyOffer) drop() {
	if e == nil || e.opened == nil {
		return
	}
	e.stop()
	if err := <-e.opened; err == nil {
		e.upload.abandon()
	}
	e.opened = nil
}

// open is the upload that members have taken: the early one, if the committee is still the
// same.
func (s *storeRun) open(ctx context.Context) (*upload, error) {
	if e := s.early; e != nil && e.opened != nil {
		if e.upload.d.sameSeats(s.d) {
			err := <-e.opened
			e.opened = nil
			e.stop() // of what is left of the opening
			return e.upload, err
		}
		e.drop()
	}
	u := newUpload(s.c.host, s.c.chain, s.d, s.p)
	return u, u.open(ctx, s.manifest)
}
