package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/blob"
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
	// grace is how long members that have not confirmed may go on after enough have, as a part
	// of the time the upload took: what they miss has to be repaired.
	graceParts = 10
	minGrace   = 500 * time.Millisecond
)

// heavyBytes is the encoded bytes of a blob from which on its lanes are for bulk.
const heavyBytes = 1 << 20

// upload sends a prepared blob to all members at once and gathers confirmations.
type upload struct {
	host   *p2p.Host
	chain  token.ChainID
	d      committee
	p      *encodedBlob
	lanes  []*lane
	whole  []*sharedStripe // all of the blob's, while they go along with the offers
	sent   bool            // they went along
	enough chan struct{}   // closed once members with enough shards have taken the offer

	stop  context.CancelFunc // ends the lanes that go
	going sync.WaitGroup     // the lanes, and what hands stripes to them
	ended chan struct{}      // closed when none goes any more
	until time.Time          // when those that still go are left behind

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
	u := &upload{host: c.host, chain: c.chain, d: d, p: p, known: c.known, enough: make(chan struct{})}
	for i, places := range d.Places(p.ID) {
		if len(places) > 0 {
			u.lanes = append(u.lanes, &lane{member: i, places: places, stripes: make(chan *sharedStripe, 2), gone: make(chan struct{})})
		}
	}
	return u
}

// isHeavy says whether the lanes are for bulk.
func (u *upload) isHeavy() bool { return u.p.Layout.EncodedBytes() >= heavyBytes }

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

// run sends all stripes and returns a certificate that was checked, once enough members have
// confirmed. The others go on until end, which must follow.
func (u *upload) run(ctx context.Context) (registry.Certificate, error) {
	began := time.Now()
	ctx, u.stop = context.WithCancel(ctx)
	confirmations := make(chan memberConfirmation, len(u.lanes)) // with room for those that nothing waits for
	live := 0
	for _, l := range u.lanes {
		if !l.isGone() {
			live++
			u.going.Go(func() { u.send(ctx, l, confirmations) })
		}
	}
	if u.sent {
		u.p.progress(u.p.Layout.Size, u.p.Layout.Size)
	}
	supplied := make(chan error, 1)
	u.going.Go(func() { supplied <- u.supply(ctx) })
	u.ended = make(chan struct{})
	go func() {
		u.going.Wait()
		u.leaves()
		close(u.ended)
	}()

	none := registry.Certificate{}
	got := confirmed{u: u, sigs: map[int]token.BLSSignature{}}
	for left := live; left > 0; {
		select {
		case <-ctx.Done():
			return none, ctx.Err()
		case err := <-supplied:
			if err != nil {
				return none, err
			}
		case c := <-confirmations:
			left--
			if c.lane.err == nil {
				got.add(c.lane, c.Epoch, token.BLSSignature(c.Signature))
			}
			if got.weight() >= u.d.Shape.Quorum() {
				if c, ok := u.certificate(got.sigs); ok {
					grace := max(minGrace, time.Since(began)/graceParts)
					u.until = time.Now().Add(grace)
					time.AfterFunc(grace, u.leaves)
					return c, nil
				} // some were wrong: the others are waited for
			}
			if err := got.lost(); err != nil {
				return none, err
			}
		}
	}
	return none, u.shortfall(got.weight())
}

// end waits for the members that have not confirmed, if the blob is certified without them,
// until they are left behind. What they have by then they keep: it is paid.
func (u *upload) end(ctx context.Context, certified bool) {
	defer u.going.Wait()
	defer u.stop()
	if !certified {
		return
	}
	select {
	case <-u.ended:
	case <-ctx.Done():
	case <-time.After(time.Until(u.until)):
	}
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
