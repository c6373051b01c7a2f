package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// ErrQuorum is returned where members with more than two thirds of the shards
// cannot be reached or do not confirm.
var ErrQuorum = errors.New("not more than two thirds of the shards can confirm the blob")

const (
	// slowest is how long the others wait for a member, once they suffice without it: in one go
	// for one that takes nothing, and in all while they have nothing to do.
	slowest = 3 * time.Second
	idlest  = time.Second
	// look is how often it is looked whether they have.
	look = 100 * time.Millisecond
	// grace is how long members that are still taking the blob may go on after enough
	// have confirmed, as a part of the time the upload took: what they miss has to be
	// repaired.
	graceParts = 10
	minGrace   = 500 * time.Millisecond
)

// heavyBytes is the encoded bytes of a blob from which on its lanes are for bulk.
const heavyBytes = 1 << 20

// upload sends a prepared blob to all members at once and gathers confirmations.
type upload struct {
	host  *p2p.Host
	chain token.ChainID
	d     committee
	p     *encodedBlob
	lanes []*lane
	whole []*sharedStripe // all of the blob's, while they go along with the offers
	sent  bool            // they went along

	streams atomic.Int64 // opened so far
	leave   func()       // gives the upload's turn back; nil: it has none
	known   *token.BLSKeys
}

// lane is the upload to one member.
type lane struct {
	member  int
	places  []blob.Place
	link    *p2p.Link
	out     *p2p.Outgoing
	stripes chan *sharedStripe
	busy    atomic.Bool   // it sends a stripe
	stalled time.Duration // for which the others waited for it; the supply's
	gone    chan struct{} // closed when the lane takes no more
	err     error         // why it ended, once gone is closed
	sent    int64         // bytes of fragments
	wrong   atomic.Bool   // its confirmation was not signed with the member's key
}

// memberConfirmation is a member's confirmation, which is not verified yet.
type memberConfirmation struct {
	lane *lane
	p2p.Confirmation
}

// errTurned is returned where the members confirm for another epoch than the one
// whose committee the blob was offered to.
var errTurned = errors.New("the epoch has turned during the upload")

// errBusy is returned where members had no place for the upload, or gave it to another.
var errBusy = errors.New("members of the committee are busy with other uploads")

func (c *Client) newUpload(d committee, p *encodedBlob) *upload {
	u := &upload{host: c.host, chain: c.chain, d: d, p: p, known: c.known}
	for i, places := range d.Places(p.ID) {
		if len(places) > 0 {
			u.lanes = append(u.lanes, &lane{member: i, places: places, stripes: make(chan *sharedStripe, 2), gone: make(chan struct{})})
		}
	}
	return u
}

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
// no other is. Once they suffice it waits only a short time for the others.
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

// isHeavy says whether the lanes are for bulk.
func (u *upload) isHeavy() bool { return u.p.Layout.EncodedBytes() >= heavyBytes }

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

func (u *upload) close() {
	defer u.leaves()
	for _, l := range u.lanes {
		if l.link != nil {
			l.link.Close(l.err)
		}
	}
}

// leaves gives the upload's turn back: no member has anything to wait for any more.
func (u *upload) leaves() {
	if u.leave != nil {
		u.leave()
	}
}

// abandon closes the links of an upload that is given up, so that nothing of it is read on.
func (u *upload) abandon() {
	defer u.leaves()
	for _, l := range u.lanes {
		if l.link != nil {
			l.link.Close(errAbandoned)
		}
	}
}

var errAbandoned = errors.New("given up")

func (l *lane) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// failed says whether the lane ended without a confirmation.
func (l *lane) failed() bool { return l.isGone() && (l.err != nil || l.wrong.Load()) }

// weight is the shards of the lanes that confirmed or still may.
func (u *upload) weight(without *lane) int {
	sum := 0
	for _, l := range u.lanes {
		if l != without && !l.failed() {
			sum += len(l.places)
		}
	}
	return sum
}

// run sends all stripes and returns a certificate that was checked.
func (u *upload) run(ctx context.Context) (registry.Certificate, error) {
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	confirmations := make(chan memberConfirmation, len(u.lanes))
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()

	live := 0
	for _, l := range u.lanes {
		if !l.isGone() {
			live++
			wg.Go(func() { u.send(ctx, l, confirmations) })
		}
	}
	if u.sent {
		u.p.progress(u.p.Layout.Size, u.p.Layout.Size)
	}
	supplied := make(chan error, 1)
	wg.Go(func() { supplied <- u.supply(ctx) })

	none := registry.Certificate{}
	got := confirmed{u: u, sigs: map[int]token.BLSSignature{}}
	var graceOver <-chan time.Time // nil: not enough have confirmed
	for ended := 0; ended < live; {
		select {
		case <-ctx.Done():
			return none, ctx.Err()
		case err := <-supplied:
			if err != nil && graceOver == nil {
				return none, err
			}
		case <-graceOver:
			if c, ok := u.certificate(got.sigs); ok {
				return c, nil
			}
			graceOver = nil // some were wrong: the others are waited for
			if err := got.lost(); err != nil {
				return none, err
			}
		case c := <-confirmations:
			ended++
			if c.lane.err == nil {
				got.add(c.lane, c.Epoch, token.BLSSignature(c.Signature))
			}
			if graceOver != nil {
				continue
			}
			if got.weight() >= u.d.Shape.Quorum() {
				graceOver = time.After(max(minGrace, time.Since(began)/graceParts))
			} else if err := got.lost(); err != nil {
				return none, err
			}
		}
	}
	if got.weight() >= u.d.Shape.Quorum() {
		if c, ok := u.certificate(got.sigs); ok {
			return c, nil
		}
	}
	if err := got.lost(); err != nil {
		return none, err
	}
	return none, u.shortfall(got.weight())
}

// supply hands every stripe to every lane that goes. A lane that takes nothing is
// left behind once the others suffice.
func (u *upload) supply(ctx context.Context) error {
	defer func() {
		for _, l := range u.lanes {
			close(l.stripes)
		}
	}()
	return u.p.stripes(ctx, u.wanted, func(s *sharedStripe) error {
		s.users.Store(1) // ours
		defer s.done()
		for _, l := range u.lanes {
			if l.isGone() {
				continue
			}
			s.users.Add(1)
			if !u.hand(ctx, l, s) {
				s.done()
			}
		}
		l := u.p.Layout
		u.p.progress(l.Size, l.StripeOffset(int(s.number))+l.StripeBytes(int(s.number)))
		return ctx.Err()
	})
}

// wanted says whether any lane still lacks a stripe.
func (u *upload) wanted(stripe uint32) bool {
	for _, l := range u.lanes {
		if !l.isGone() && l.out.Wants(stripe) {
			return true
		}
	}
	return false
}

func (u *upload) hand(ctx context.Context, l *lane, s *sharedStripe) bool {
	select {
	case l.stripes <- s:
		return true
	default:
	}
	began := time.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case l.stripes <- s:
			return true
		case <-l.gone:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
			if u.idle(l) >= u.d.Shape.Quorum() {
				l.stalled += look
			}
			if (l.stalled >= idlest || time.Since(began) >= slowest) && u.weight(l) >= u.d.Shape.Quorum() {
				l.link.Interrupt()
				return false
			}
		}
	}
}

// idle is the shards of the lanes that have nothing to send while another one is waited for.
func (u *upload) idle(waited *lane) int {
	sum := 0
	for _, l := range u.lanes {
		if l != waited && !l.failed() && len(l.stripes) == 0 && !l.busy.Load() {
			sum += len(l.places)
		}
	}
	return sum
}

// send drives one lane to its confirmation.
func (u *upload) send(ctx context.Context, l *lane, confirmations chan<- memberConfirmation) {
	stop := context.AfterFunc(ctx, l.link.Interrupt)
	c, err := u.sendAll(l)
	stop()
	l.err = err
	close(l.gone)
	for s := range drain(l.stripes) {
		s.done()
	}
	confirmations <- memberConfirmation{lane: l, Confirmation: c}
}

// drain is what still lies in a lane that is gone.
func drain(c chan *sharedStripe) func(func(*sharedStripe) bool) {
	return func(yield func(*sharedStripe) bool) {
		for {
			select {
			case s, ok := <-c:
				if !ok || !yield(s) {
					return
				}
			default:
				return
			}
		}
	}
}

func (u *upload) sendAll(l *lane) (p2p.Confirmation, error) {
	for s := range l.stripes {
		l.busy.Store(true)
		err := u.sendStripe(l, s)
		l.busy.Store(false)
		s.done()
		if err != nil {
			return p2p.Confirmation{}, err
		}
	}
	return l.out.Finish()
}

func (u *upload) sendStripe(l *lane, s *sharedStripe) error {
	if !l.out.Wants(s.number) {
		return nil
	}
	l.sent += u.stripeBytes(l, s)
	return l.out.Send(s.number, s.Tree().List(), u.p.tree.Path(int(s.number)), s.Row, s.Column)
}

// stripeBytes is the bytes of a stripe's fragments for one lane.
func (u *upload) stripeBytes(l *lane, s *sharedStripe) int64 {
	return int64(len(l.places) * (s.Seg() * (u.d.Shape.K1 + u.d.Shape.K2)))
}
