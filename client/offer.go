package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
)

const (
	// stillness is for how long an upload waits for members while not one more of them is
	// reached or takes its offer. A busy machine, or a large committee far away, takes long for
	// all; then one after the other is.
	stillness = 15 * time.Second
	// openGrace bounds the wait for the other members once those that took the offer suffice: a
	// member to which nothing comes gives the upload up after half a minute.
	openGrace = 10 * time.Second
)

var errStill = fmt.Errorf("no answer, and no other node was reached for %s: see whether the nodes run and are reached from here, and try again: what a node has is not sent again", stillness)

// open offers the blob to every member, once members with enough shards are reached. It fails
// at once where too many members refuse, and where those that are too few are not reached and
// no other is. Once they suffice it says so and waits only a short time for the others.
func (u *upload) open(ctx context.Context, m blob.Manifest) error {
	if err := u.prepareWhole(ctx); err != nil {
		u.close()
		return err
	}
	defer u.releaseWhole()
	d := u.d
	began := time.Now()
	offers, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reached, offered := make(chan *lane), make(chan *lane)
	suffice := make(chan struct{}) // closed once those that are reached do
	for _, l := range u.lanes {
		go func() {
			at := d.Members[l.member]
			if l.err = u.host.Reach(offers, at.Peer, at.Addrs, u.isHeavy()); l.err == nil {
				reached <- l
				select {
				case <-suffice:
				case <-offers.Done():
				}
				l.err = u.offer(offers, at, l, m)
			}
			if l.err != nil && offers.Err() != nil {
				l.err = context.Cause(offers)
			}
			offered <- l
		}()
	}
	near, taken, lost := 0, 0, 0
	var enough <-chan time.Time
	still := time.NewTimer(stillness)
	defer still.Stop()
	for left := len(u.lanes); left > 0; {
		select {
		case l := <-reached:
			still.Reset(stillness)
			if near < d.Shape.Quorum() && near+len(l.places) >= d.Shape.Quorum() {
				close(suffice)
			}
			near += len(l.places)
		case l := <-offered:
			left--
			if l.err == nil {
				taken += len(l.places)
				still.Reset(stillness)
			} else {
				lost += len(l.places)
				close(l.gone)
			}
			if d.Shape.N-lost < d.Shape.Quorum() {
				cancel(errors.New("not waited for: too many others cannot be reached"))
			}
			if taken >= d.Shape.Quorum() && enough == nil {
				close(u.enough)
				enough = time.After(max(minGrace, min(2*time.Since(began), openGrace)))
			}
		case <-enough:
			cancel(errors.New("did not answer the offer while the others did"))
		case <-still.C:
			cancel(errStill)
		}
	}
	err := ctx.Err()
	if err == nil {
		err = u.possible()
	}
	if err != nil {
		u.close()
	}
	return err
}

// prepareWhole makes the stripes that go along with the offers, if the blob is so small.
func (u *upload) prepareWhole(ctx context.Context) error {
	if !u.fitsWhole() {
		return nil
	}
	return u.p.stripes(ctx, func(uint32) bool { return true }, func(s *sharedStripe) error {
		s.users.Store(1)
		u.whole, u.sent = append(u.whole, s), true
		return nil
	})
}

// fitsWhole says whether the blob is so small that all of it may go along with the offers.
func (u *upload) fitsWhole() bool {
	for _, l := range u.lanes {
		if !p2p.FitsWhole(u.p.Layout, len(l.places)) {
			return false
		}
	}
	return true
}

func (u *upload) releaseWhole() {
	for _, s := range u.whole {
		s.done()
	}
	u.whole = nil
}

// A member whose places for uploads are taken is asked again: a stranger that holds one
// and sends nothing loses it within seconds.
const (
	busyPatience = 5 * time.Second
	busyPause    = 100 * time.Millisecond
	maxBusyPause = 2 * time.Second
)

// offer offers a blob to a member, and again while it is busy.
func (u *upload) offer(ctx context.Context, m fetch.Member, l *lane, of blob.Manifest) error {
	began, pause := time.Now(), busyPause
	for {
		err := u.offerOnce(ctx, m, l, of)
		if !p2p.IsRefusal(err, p2p.CodeBusy) || time.Since(began) > busyPatience {
			return err
		}
		l.link.Close(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, maxBusyPause)
	}
}

// offerOnce offers a blob to a member. A member of the release before knows no offer that the
// stripes follow at once: it gets a plain one.
func (u *upload) offerOnce(ctx context.Context, m fetch.Member, l *lane, of blob.Manifest) error {
	err := u.offerBy(ctx, m, l, of, u.whole)
	if u.whole == nil || !p2p.IsRefusal(err, p2p.CodeBadRequest) {
		return err
	}
	l.link.Close(err)
	return u.offerBy(ctx, m, l, of, nil)
}

// offerBy offers a blob, with whole stripes sent along if there are any.
func (u *upload) offerBy(ctx context.Context, m fetch.Member, l *lane, of blob.Manifest, whole []*sharedStripe) (err error) {
	u.streams.Add(1)
	open := u.host.Fragments
	if u.isHeavy() {
		open = u.host.BulkFragments
	}
	if l.link, err = open(ctx, m.Peer, m.Addrs); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.link.Interrupt)
	l.sent = 0
	if len(whole) == 0 {
		l.out, err = l.link.Offer(of, l.places)
	} else {
		var stripes []p2p.OutgoingStripe
		for _, s := range whole {
			stripes = append(stripes, p2p.OutgoingStripe{List: s.Tree().List(), Path: u.p.tree.Path(int(s.number)), Row: s.Row, Column: s.Column})
			l.sent += u.stripeBytes(l, s)
		}
		l.out, err = l.link.OfferWhole(of, l.places, stripes)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	return err
}
