package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
)

// seated is the committee that the ledger showed last, to this process or to one before it.
type seated struct {
	mu    sync.Mutex // guards the fields below
	known committee
	shown bool // the ledger has shown it to this process
}

// set takes what the ledger shows.
func (s *seated) set(c committee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.shown = c, true
}

// recall takes what the ledger has shown to a process before, unless it is late.
func (s *seated) recall(c committee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shown {
		s.known = c
	}
}

func (s *seated) isShown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func (s *seated) get() (c committee, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, s.known.Directory != nil
}

// sameSeats says whether two committees are of one epoch, and the same members, reached the
// same way, hold the same shards.
func (c committee) sameSeats(o committee) bool {
	same := func(a, b fetch.Member) bool { return a.Peer == b.Peer && slices.Equal(a.Addrs, b.Addrs) }
	return c.epoch == o.epoch && slices.Equal(c.Holder, o.Holder) && slices.Equal(c.From, o.From) &&
		slices.EqualFunc(c.Members, o.Members, same) && slices.Equal(c.keys, o.keys)
}

// opening is an upload whose offers are on their way. That of a small blob begins with the
// committee of before, while the ledger is looked at. Nothing is paid for it before the ledger
// has shown the same committee, and members with enough shards have taken it.
type opening struct {
	upload *upload
	opened chan error // of one: how opening it ended; nil: that is known
	stop   context.CancelFunc
}

// offer begins an upload's offers.
func (s *storeRun) offer(ctx context.Context, u *upload) *opening {
	ctx, stop := context.WithCancel(ctx)
	o := &opening{upload: u, opened: make(chan error, 1), stop: stop}
	go func() { o.opened <- u.open(ctx, s.manifest) }()
	return o
}

// offerEarly begins an upload that is whole with its offers, where a committee is known.
func (s *storeRun) offerEarly(ctx context.Context) {
	d, known := s.c.seated.get()
	if !known || s.early != nil || s.busy || d.Shape != s.p.Layout.Shape {
		return
	}
	u := s.c.newUpload(d, s.p)
	if !u.fitsWhole() {
		return
	}
	leave, ok := s.c.turns.try()
	if !ok {
		return
	}
	u.leave = leave
	s.early = s.offer(ctx, u)
}

// maxAhead is the bytes of a source up to which it is looked at whether all of it goes along
// with its offer.
const maxAhead = 1 << 20

// StoreAhead is a store that began before the ledger was looked at: the blob's ID is known, and
// where a committee is, its members are offered a small blob. Nothing is paid for it. It keeps
// no encoded stripes of a blob that is longer.
type StoreAhead struct {
	p     *encodedBlob
	early *opening // nil: nothing was offered, or a store has taken it up
	took  time.Duration
}

// BeginStore begins a store for StoreOptions.Ahead; nil for a source that is too long for it,
// or cannot be read. Either Store or Drop must follow.
func (c *Client) BeginStore(ctx context.Context, src Source) *StoreAhead {
	if c.Shape.N == 0 || src.Size() > maxAhead {
		return nil
	}
	s := storeRun{c: c, began: time.Now()}
	if s.encode(ctx, c.Shape, src) != nil {
		return nil // the store will say why
	}
	s.offerEarly(ctx)
	return &StoreAhead{p: s.p, early: s.early, took: s.out.EncodeTime}
}

// ID is the blob's.
func (a *StoreAhead) ID() blob.ID { return a.p.ID }

// Drop ends a store that Store has not taken up.
func (a *StoreAhead) Drop() {
	if a != nil {
		a.early.drop()
		a.p.drop()
	}
}

// drop ends an upload that is of no use: members drop what they have of it.
func (o *opening) drop() {
	if o == nil || o.opened == nil {
		return
	}
	o.stop()
	if err := <-o.opened; err == nil {
		o.upload.abandon()
	}
	o.opened = nil
}

// wait tells once members with enough shards have taken the upload, and waits until the others
// have answered too, or long enough.
func (o *opening) wait(taken func()) error {
	defer o.stop() // what is left of it
	var err error
	select {
	case <-o.upload.enough:
		taken()
		err = <-o.opened
	case err = <-o.opened:
	}
	o.opened = nil
	return err
}

// open is the upload that members have taken: the early one, if the committee is still the
// same. It tells once those that have taken it suffice.
func (s *storeRun) open(ctx context.Context, taken func()) (*upload, error) {
	o := s.early
	if o == nil || o.opened == nil || !o.upload.d.sameSeats(s.d) {
		o.drop()
		u := s.c.newUpload(s.d, s.p)
		var err error
		if u.leave, err = s.turn.take(ctx); err != nil {
			return u, err
		}
		o = s.offer(ctx, u)
	}
	err := o.wait(taken)
	s.c.turns.took(err == nil)
	return o.upload, err
}
