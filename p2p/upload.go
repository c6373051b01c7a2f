package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// Upload is a blob on its way in, as the node that keeps it sees it: first it says
// which stripes it wants, then it takes them one after the other.
type Upload struct {
	s        *session
	manifest blob.Manifest
	layout   blob.Layout
	places   []blob.Place
	wanted   blob.Set[uint32]
	left     int
	next     uint32
	whole    bool         // all stripes come, wanted or not
	taken    func() error // called when all of it is here
	began    time.Time
	before   int64 // bytes that had come over the stream when it began
}

const (
	// An upload that is slower than slowestPace after slowStart is not one: it only keeps
	// others from theirs.
	slowStart = time.Minute

	// stripeLimit is how long the head of a stripe may take.
	stripeLimit = idleLimit

	offerCost      = 5                // of asksPerSecond: an offer is looked up on the ledger and the disk
	paidOfferCost  = 0.5              // of one that the ledger shows to be paid: that is no stranger's whim
	maxUploads     = 64               // uploads taken at once
	maxPeerUploads = 5                // of them from one peer: as many as a client sends at once
	maxNetUploads  = 16               // and from one network of addresses
	uploadPatience = 3 * time.Second  // without progress; then a newcomer may have the place
	maxUnpaid      = 256              // uploads that are here and wait to be paid for
	maxPeerUnpaid  = maxPeerStreams   // of them from one peer
	maxNetUnpaid   = 32               // of them from one network of addresses
	unpaidPatience = 10 * time.Second // some blocks; then a newcomer may have the place
	watchLimit     = 10 * time.Minute // longer than any upload waits

	// maxUploadStripes is how many stripes a list of the wanted ones has room for.
	maxUploadStripes = 8 * (maxFrame - 16)
)

// Manifest is the blob's; it was checked to be the one for its size.
func (u *Upload) Manifest() blob.Manifest { return u.manifest }

// Places is what the client offers, each once.
func (u *Upload) Places() []blob.Place { return u.places }

// IncomingStripe is one stripe of an upload. Nothing of it is verified yet.
type IncomingStripe struct {
	Stripe uint32
	List   blob.RootList
	Path   []blob.Hash
	Rows   [][]byte // in the order of the offer's places
	Cols   [][]byte
}

// Bytes is what the stripe's fragments take in memory.
func (s IncomingStripe) Bytes() (n int64) {
	for i := range s.Rows {
		n += int64(len(s.Rows[i]) + len(s.Cols[i]))
	}
	return n
}

// uploads bounds the blobs that come, and those that wait to be paid for.
type uploads struct {
	coming *places // an upload whose stripes come
	unpaid *places // one that is here and waits for its registration
	offers *paces
}

func newUploads() *uploads {
	return &uploads{coming: newPlaces(maxUploads, maxPeerUploads, maxNetUploads, uploadPatience),
		unpaid: newPlaces(maxUnpaid, maxPeerUnpaid, maxNetUnpaid, unpaidPatience), offers: newPaces()}
}

// payments is what a Keeper may know of payments.
type payments interface {
	// Paid says whether the ledger shows a live registration of the blob.
	Paid(ctx context.Context, id blob.ID) bool
}

func (ups *uploads) serve(ctx context.Context, s *session, k Keeper, body []byte, whole bool) error {
	u, err := readOffer(s, body)
	if err == nil && whole {
		u.whole, err = true, fitsWhole(u.layout, len(u.places))
	}
	if err != nil {
		return badRequest(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A paid upload takes the place of an unpaid one; among equals the one that makes no
	// progress makes room.
	v := s.visitor
	if p, ok := k.(payments); ok && v.standing < Registered && p.Paid(ctx, u.manifest.ID()) {
		v.standing = Registered
	}
	// The next question of a peer waits for what this one has cost: the look was bounded by the
	// one before.
	cost := float64(offerCost)
	if v.standing >= Registered {
		cost = paidOfferCost
	}
	if err := ups.offers.slow(ctx, s.visitor, cost); err != nil {
		return err
	}
	over := func() {
		why := Refuse(CodeBusy, "your upload made no progress, and its place was given to another: try again")
		cancel(why)
		s.interrupt(why)
	}
	place, ok := ups.coming.take(v, over)
	if !ok {
		return Refuse(CodeBusy, "%d uploads at once, %d of one peer: try again in a moment", maxUploads, maxPeerUploads)
	}
	defer func() { place.release() }()
	s.upload = place
	defer func() { s.upload = nil }()
	defer s.place.hold()() // the stream's place is as good as the upload's
	if s.conns != nil {
		defer s.conns.hold(s.stream.Conn())()
	}
	stop := func() {}
	u.began, u.before = s.now(), s.received
	u.taken = func() error {
		place.release()
		if place, ok = ups.unpaid.take(v, over); !ok {
			return Refuse(CodeBusy, "%d uploads wait to be paid for: try again in a moment", maxUnpaid)
		}
		stop = s.watch(cancel)
		return nil
	}
	confirmation, err := k.Receive(ctx, s.peer(), u)
	stop()
	if why := s.stopped.Load(); why != nil {
		err = why
	}
	if err != nil {
		return err
	}
	return s.send(kindConfirmation, confirmation)
}

// errHungUp is why an upload ends whose client is gone.
var errHungUp = errors.New("the client hung up")

// watch ends the work for a client that hangs up while it only has to wait. The
// returned function ends the watch: only then may the stream be read again.
func (s *session) watch(cancel func(error)) (stop func()) {
	if err := s.await(watchLimit); err != nil {
		return func() {}
	}
	done := make(chan struct{})
	var over atomic.Bool
	go func() {
		defer close(done)
		if _, err := s.r.Peek(1); err != nil && !over.Load() {
			cancel(errHungUp)
		}
	}()
	return func() {
		over.Store(true)
		s.stream.SetReadDeadline(time.Unix(1, 0))
		<-done
	}
}

func readOffer(s *session, body []byte) (*Upload, error) {
	var o Offer
	if err := canon.Decode(body, &o); err != nil {
		return nil, err
	}
	m, err := blob.DecodeManifest(o.Manifest)
	if err != nil {
		return nil, err
	}
	l, err := m.Layout()
	if err != nil {
		return nil, err
	}
	if l.Stripes > maxUploadStripes {
		return nil, fmt.Errorf("%d stripes: an upload has at most %d", l.Stripes, maxUploadStripes)
	}
	seen := map[blob.Place]bool{}
	for _, p := range o.Places {
		if int(p) >= l.N || seen[p] {
			return nil, fmt.Errorf("place %d of %d, or twice", p, l.N)
		}
		seen[p] = true
	}
	if n := len(o.Places) * (l.K1 + l.K2) * l.Seg; n == 0 || n > maxStripeUpload {
		return nil, fmt.Errorf("%d places of %d bytes a stripe: 1 to %d bytes in all", len(o.Places), (l.K1+l.K2)*l.Seg, maxStripeUpload)
	}
	return &Upload{s: s, manifest: m, layout: l, places: o.Places}, nil
}

// maxWholeUpload bounds the bytes of an upload that comes with its offer: they may be sent for
// nothing, and must not be held up by a stream's window.
const maxWholeUpload = 64 << 10

// fitsWhole says why fragments for so many places are too much to come with their offer.
func fitsWhole(l blob.Layout, places int) error {
	stripe := int64(places)*int64((l.K1+l.K2)*l.Seg) + 2*int64(l.N)*int64(len(blob.Hash{})) // with its root list
	if n := int64(l.Stripes) * stripe; n > maxWholeUpload {
		return fmt.Errorf("%d bytes with their offer: at most %d", n, maxWholeUpload)
	}
	return nil
}

// FitsWhole says whether fragments for so many places may go along with their offer.
func FitsWhole(l blob.Layout, places int) bool { return fitsWhole(l, places) == nil }

// Want tells the client which stripes to send. It is called once, before Next.
func (u *Upload) Want(lacks func(stripe uint32) bool) error {
	u.wanted = blob.NewSet[uint32](u.layout.Stripes)
	for i := range uint32(u.layout.Stripes) {
		if lacks(i) {
			u.wanted.Add(i)
			u.left++
		}
	}
	if err := u.s.send(kindWanted, lackingStripes{Stripes: u.wanted}); err != nil {
		return err
	}
	return u.s.flush()
}

// Next is the next stripe that was wanted; io.EOF after the last.
func (u *Upload) Next() (IncomingStripe, error) {
	for u.whole && int(u.next) < u.layout.Stripes && !u.wanted.Has(u.next) {
		if _, err := u.stripe(); err != nil { // here already
			return IncomingStripe{}, err
		}
	}
	if u.left == 0 {
		var end nothing
		if err := u.s.expect(kindStored, &end, idleLimit); err != nil {
			return IncomingStripe{}, cutShort(err)
		}
		if err := u.taken(); err != nil {
			return IncomingStripe{}, err
		}
		return IncomingStripe{}, io.EOF
	}
	if err := u.pace(); err != nil {
		return IncomingStripe{}, err
	}
	for !u.wanted.Has(u.next) {
		u.next++
	}
	in, err := u.stripe()
	if err == nil {
		u.left--
	}
	return in, err
}

// stripe reads the next stripe.
func (u *Upload) stripe() (IncomingStripe, error) {
	var f stripeFrame
	if err := u.s.expect(kindStripe, &f, stripeLimit); err != nil {
		return IncomingStripe{}, cutShort(err)
	}
	if f.Stripe != u.next {
		return IncomingStripe{}, Refuse(CodeBadRequest, "stripe %d where %d was due", f.Stripe, u.next)
	}
	u.next++
	in := IncomingStripe{Stripe: f.Stripe, Path: f.Path}
	var err error
	if in.List, err = blob.ParseRootList(f.List, u.layout.N); err != nil {
		return in, badRequest(err)
	}
	row, col := u.layout.FragmentBytes(int(f.Stripe), blob.Row), u.layout.FragmentBytes(int(f.Stripe), blob.Column)
	for range u.places {
		r, err := u.s.payload(row)
		if err != nil {
			return in, cutShort(err)
		}
		c, err := u.s.payload(col)
		if err != nil {
			return in, cutShort(err)
		}
		in.Rows, in.Cols = append(in.Rows, r), append(in.Cols, c)
	}
	return in, nil
}

// cutShort keeps the end of a stream where something was due from looking like the end
// of the upload.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// pace refuses to go on with an upload that never ends.
func (u *Upload) pace() error {
	took := u.s.now().Sub(u.began)
	if least := int64((took - slowStart).Seconds() * slowestPace); u.s.received-u.before < least {
		return Refuse(CodeBusy, "%d bytes in %s: an upload brings at least %d a second", u.s.received-u.before, took.Round(time.Second), slowestPace)
	}
	return nil
}

// Link is a stream of FragmentProtocol for one upload, at the side that sends it.
type Link struct {
	s *session
}

// Fragments opens a stream for an upload to p. addrs are hints.
func (h *Host) Fragments(ctx context.Context, p peer.ID, addrs []string) (*Link, error) {
	s, err := h.open(ctx, p, addrs, FragmentProtocol)
	if err != nil {
		return nil, err
	}
	return &Link{s: s}, nil
}

// BulkFragments is Fragments for an upload of many bytes.
func (h *Host) BulkFragments(ctx context.Context, p peer.ID, addrs []string) (*Link, error) {
	s, err := h.openBulk(ctx, p, addrs, FragmentProtocol)
	if err != nil {
		return nil, err
	}
	return &Link{s: s}, nil
}

// Close ends the stream; with an error it is reset, so that nothing half-said is read on.
func (l *Link) Close(err error) { l.s.close(err) }

// Interrupt makes a call that is under way on another goroutine fail.
func (l *Link) Interrupt() { l.s.stream.Reset() }

func (l *Link) ask(k kind, v any) error {
	if err := l.s.send(k, v); err != nil {
		return err
	}
	return l.s.flush()
}

// Outgoing is an upload as the client sees it.
type Outgoing struct {
	link    *Link
	places  []blob.Place
	stripes blob.Set[uint32]  // wanted
	whole   bool              // all was sent with the offer
	outcome chan uploadResult // one, from the goroutine that listens while stripes go out
}

type uploadResult struct {
	Confirmation
	err error
}

// Offer starts an upload of the blob's fragments for places. The link must be
// closed afterwards, whatever happens.
func (l *Link) Offer(m blob.Manifest, places []blob.Place) (*Outgoing, error) {
	if err := l.ask(kindOffer, Offer{Manifest: m.Encode(), Places: places}); err != nil {
		return nil, err
	}
	return l.accepted(m, places)
}

// OutgoingStripe is a stripe of an upload: Row and Column give the fragments of a place.
type OutgoingStripe struct {
	List        blob.RootList
	Path        []blob.Hash
	Row, Column func(blob.Place) []byte
}

// OfferWhole is Offer with all stripes sent along, which must fit (FitsWhole): the node drops
// those that it has. Nothing is wanted any more when it returns.
func (l *Link) OfferWhole(m blob.Manifest, places []blob.Place, stripes []OutgoingStripe) (*Outgoing, error) {
	err := l.s.send(kindWholeOffer, Offer{Manifest: m.Encode(), Places: places})
	for i, s := range stripes {
		if err == nil {
			err = l.stripe(uint32(i), s, places)
		}
	}
	if err == nil {
		err = l.ask(kindStored, nothing{})
	}
	if err != nil {
		return nil, err
	}
	o, err := l.accepted(m, places)
	if err == nil {
		o.whole, o.stripes = true, blob.NewSet[uint32](len(stripes))
	}
	return o, err
}

// nothing is the body of a frame that says all by its kind.
type nothing struct {
	_ struct{} `cbor:",toarray"`
}

// stripe sends a stripe's fragments for places.
func (l *Link) stripe(number uint32, s OutgoingStripe, places []blob.Place) error {
	payload := make([][]byte, 0, 2*len(places))
	for _, p := range places {
		payload = append(payload, s.Row(p), s.Column(p))
	}
	return l.s.send(kindStripe, stripeFrame{Stripe: number, List: s.List.Bytes(), Path: s.Path}, payload...)
}

// accepted reads which stripes of an offer the node wants.
func (l *Link) accepted(m blob.Manifest, places []blob.Place) (*Outgoing, error) {
	layout, err := m.Layout()
	if err != nil {
		return nil, err
	}
	var w lackingStripes
	if err := l.s.expect(kindWanted, &w, confirmLimit); err != nil {
		return nil, err
	}
	if len(w.Stripes) != blob.SetBytes(layout.Stripes) {
		return nil, fmt.Errorf("list of %d wanted bytes for %d stripes", len(w.Stripes), layout.Stripes)
	}
	o := &Outgoing{link: l, places: places, stripes: w.Stripes, outcome: make(chan uploadResult, 1)}
	// A node that refuses half-way must be heard before its reset arrives.
	go func() {
		var got uploadResult
		got.err = l.s.expect(kindConfirmation, &got.Confirmation, confirmLimit)
		o.outcome <- got
	}()
	return o, nil
}

// Wants says whether the node lacks a stripe.
func (o *Outgoing) Wants(stripe uint32) bool { return o.stripes.Has(stripe) }

// Send sends a stripe that is wanted; stripes go in order. row and column give the
// fragments of a place.
func (o *Outgoing) Send(stripe uint32, list blob.RootList, path []blob.Hash, row, column func(blob.Place) []byte) error {
	select {
	case got := <-o.outcome:
		return o.early(got)
	default:
	}
	if err := o.link.stripe(stripe, OutgoingStripe{List: list, Path: path, Row: row, Column: column}, o.places); err != nil {
		return errors.Join(o.early(<-o.outcome), err)
	}
	return o.extend()
}

// extend gives the listening side more time: the node answers only after the last stripe.
func (o *Outgoing) extend() error {
	return o.link.s.stream.SetReadDeadline(time.Now().Add(confirmLimit))
}

func (o *Outgoing) early(got uploadResult) error {
	if got.err != nil {
		return got.err
	}
	return errors.New("confirmed before the upload was complete")
}

// Finish says that all was sent and waits for the confirmation.
func (o *Outgoing) Finish() (Confirmation, error) {
	if err := o.extend(); err != nil {
		return Confirmation{}, err
	}
	if !o.whole {
		if err := o.link.ask(kindStored, nothing{}); err != nil {
			return Confirmation{}, errors.Join(o.early(<-o.outcome), err)
		}
	}
	got := <-o.outcome
	return got.Confirmation, got.err
}
