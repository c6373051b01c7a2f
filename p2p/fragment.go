package p2p

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// FragmentProtocol moves fragments: all of a blob for one node on one stream, and
// fragments, symbols and witnesses back on one stream. Requests are answered in their
// order, and the asker may send the next one before the answer to the last has come.
const FragmentProtocol protocol.ID = "/walrus/fragment/1"

const (
	kindOffer        kind = 1 // store: client -> node
	kindWanted       kind = 2
	kindStripe       kind = 3
	kindStored       kind = 4
	kindConfirmation kind = 5

	kindGetFragments kind = 6 // read: any peer -> node
	kindFragment     kind = 7
	kindGetSymbols   kind = 8
	kindSymbols      kind = 9
	kindGetWitnesses kind = 10
	kindWitness      kind = 11

	kindWholeOffer kind = 12 // store: an offer that all stripes follow at once, and kindStored

	kindGetSmall kind = 13 // read: a manifest, and rows that are short
	kindSmall    kind = 14

	// confirmLimit is how long a client waits between its last stripe and the
	// confirmation, which needs a block that holds the registration.
	confirmLimit = 60 * time.Second

	maxRequests     = 1 << 16          // requests on one stream
	maxStripeUpload = 256 << 20        // bytes of one stripe for all places of one node
	maxAnswers      = 1 << 16          // answers to one request
	maxAnswerBytes  = 512 << 20        // of all answers to one request
	maxServed       = 96               // requests answered at once
	maxPeerServed   = 8                // of them from one peer
	maxNetServed    = 32               // and from one network of addresses
	maxTogether     = 64               // requests of one stream answered in one write
	togetherBytes   = 16 << 10         // of answers that wait for those behind them
	servePatience   = 2 * time.Second  // an asker takes nothing of its answer; then a newcomer may have the place
	serveWait       = 10 * time.Second // for a place
)

// ErrNotHeld is returned by a Keeper for what it does not hold.
var ErrNotHeld = errors.New("not held")

// Offer announces an upload: a blob, and the places of it that the node keeps.
type Offer struct {
	_        struct{} `cbor:",toarray"`
	Manifest []byte
	Places   []blob.Place
}

// lackingStripes is the node's answer: the stripes that it still lacks.
type lackingStripes struct {
	_       struct{} `cbor:",toarray"`
	Stripes blob.Set[uint32]
}

// stripeFrame precedes a stripe's payload: for each place of the offer, its row, then its column.
type stripeFrame struct {
	_      struct{} `cbor:",toarray"`
	Stripe uint32
	List   []byte      // the whole root list, 64 bytes a place
	Path   []blob.Hash // of the stripe's root among the blob's
}

// Confirmation is a node's signature that it holds all its fragments of a blob.
type Confirmation struct {
	_         struct{} `cbor:",toarray"`
	Epoch     unit.Epoch
	Signature [96]byte // BLS
}

// getFragments asks for whole fragments of consecutive stripes.
type getFragments struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Axis   blob.Axis
	Places []blob.Place
	From   uint32
	To     uint32 // exclusive
}

// fragmentFrame precedes a fragment's payload; the witness leads it to the blob ID.
type fragmentFrame struct {
	_       struct{} `cbor:",toarray"`
	Stripe  uint32
	Place   blob.Place
	Witness []byte // empty: not held
	Bytes   uint32 // of the payload
}

// getSymbols asks for symbols of one place's fragments of consecutive stripes.
type getSymbols struct {
	_       struct{} `cbor:",toarray"`
	Blob    blob.ID
	Axis    blob.Axis
	Place   blob.Place
	Indices []uint16 // 0..N-1, source or parity, ascending
	From    uint32
	To      uint32 // exclusive
	Proven  bool   // with a proof each
}

// symbolsFrame precedes the symbols of a stripe, in the order asked. Proven ones
// come inside their openings, with the witness that leads those to the blob ID.
type symbolsFrame struct {
	_        struct{} `cbor:",toarray"`
	Stripe   uint32
	Bytes    uint32 // of the payload; 0 and no openings: not held
	Witness  []byte
	Openings [][]byte
}

// Symbols is an answer to a request for symbols of one place's fragment of a stripe.
type Symbols struct {
	Stripe   uint32
	Data     []byte   // the symbols in the order asked, if they were asked for without proof
	Witness  []byte   // with proof: of the place
	Openings [][]byte // with proof: one for each symbol
}

// Held says whether the peer holds the fragment.
func (s Symbols) Held() bool { return len(s.Data) > 0 || len(s.Openings) > 0 }

type getWitnesses struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Places []blob.Place
	From   uint32
	To     uint32 // exclusive
}

// Keeper is what answers the fragment protocol.
type Keeper interface {
	// Receive takes an upload and returns when all of it is durable and the
	// registration was seen.
	Receive(ctx context.Context, from peer.ID, in *Upload) (Confirmation, error)
	// Fragment returns a stored fragment and its witness, or ErrNotHeld.
	Fragment(ctx context.Context, at blob.Position) (data []byte, witness []byte, err error)
	// Symbols returns the symbols at the indices, in order, proven or plain, or ErrNotHeld.
	Symbols(ctx context.Context, at blob.Position, indices []int, proven bool) (Symbols, error)
	// Witness returns the witness of a place, or ErrNotHeld.
	Witness(ctx context.Context, id blob.ID, stripe uint32, p blob.Place) ([]byte, error)
}

// ServeFragments answers the fragment protocol with k.
func (h *Host) ServeFragments(k Keeper) {
	ups := newUploads()
	h.serve(FragmentProtocol, func(ctx context.Context, s *session) error {
		limit := firstLimit
		for left := maxRequests; left > 0; left-- {
			s.small = true
			what, body, err := s.receive(limit)
			s.small = false
			if errors.Is(err, ErrProtocol) {
				s.refuse(badRequest(err))
				return err
			}
			if err != nil {
				return nil // the asker is done
			}
			limit = 2 * idleLimit
			err = h.serveFragmentRequest(ctx, s, k, what, body, ups, &left)
			if IsRefusal(err, CodeWait) && !isOffer(what) {
				err = s.refuse(err) // other questions may wait on the stream, and this one comes again
			}
			if err != nil {
				if s.refuse(err) == nil && !errors.Is(err, errHungUp) {
					s.linger()
				}
				return err
			}
			s.rest()
		}
		return nil
	})
}

// serveFragmentRequest answers a request, and small ones that are here behind it. It takes
// the latter from left.
func (h *Host) serveFragmentRequest(ctx context.Context, s *session, k Keeper, what kind, body []byte, ups *uploads, left *int) error {
	if isOffer(what) {
		if err := ups.serve(ctx, s, k, body, what == kindWholeOffer); err != nil {
			return err
		}
		return s.flush()
	}
	return h.atDesk(ctx, s, func() error {
		for answered := 1; ; answered++ {
			if err := answerRead(ctx, s, k, what, body); err != nil {
				return err
			}
			// Small answers to requests that are here already go out together.
			next, here := s.here()
			if !here || !isRead(next) || answered >= maxTogether || s.unsent() >= togetherBytes || *left <= 1 {
				return s.flush()
			}
			var err error
			if what, body, err = s.receive(firstLimit); err != nil {
				return err
			}
			*left--
		}
	})
}

func isOffer(k kind) bool { return k == kindOffer || k == kindWholeOffer }

// isRead says whether a request asks for stored bytes.
func isRead(k kind) bool {
	return k == kindGetFragments || k == kindGetSymbols || k == kindGetWitnesses || k == kindGetSmall
}

func answerRead(ctx context.Context, s *session, k Keeper, what kind, body []byte) error {
	switch what {
	case kindGetFragments:
		return serveGetFragments(ctx, s, k, body)
	case kindGetSymbols:
		return serveGetSymbols(ctx, s, k, body)
	case kindGetWitnesses:
		return serveGetWitnesses(ctx, s, k, body)
	case kindGetSmall:
		return serveGetSmall(ctx, s, k, body)
	}
	return Refuse(CodeBadRequest, "unknown request %d", what)
}

func badRequest(err error) error { return Refuse(CodeBadRequest, "%v", err) }

// checkRange bounds how much one request may ask for.
func checkRange(from, to uint32, each int) error {
	if to <= from || each < 1 || uint64(to-from)*uint64(each) > maxAnswers {
		return Refuse(CodeBadRequest, "stripes %d to %d, %d of each: ask for 1 to %d answers", from, to, each, maxAnswers)
	}
	return nil
}

func serveGetFragments(ctx context.Context, s *session, k Keeper, body []byte) error {
	var q getFragments
	if err := canon.Decode(body, &q); err != nil {
		return badRequest(err)
	}
	return sendFragments(ctx, s, k, q)
}

func sendFragments(ctx context.Context, s *session, k Keeper, q getFragments) error {
	budget := answerBudget(maxAnswerBytes)
	return eachPlace(q.From, q.To, q.Places, func(stripe uint32, p blob.Place) error {
		data, witness, err := k.Fragment(ctx, blob.Position{Blob: q.Blob, Stripe: stripe, Place: p, Axis: q.Axis})
		if err != nil && !errors.Is(err, ErrNotHeld) {
			return err
		}
		if err := budget.spend(len(data) + len(witness)); err != nil {
			return err
		}
		return s.send(kindFragment, fragmentFrame{Stripe: stripe, Place: p, Witness: witness, Bytes: uint32(len(data))}, data)
	})
}

// answerBudget is what is left of the bytes that one request may have for an answer.
type answerBudget int64

func (b *answerBudget) spend(n int) error {
	if *b -= answerBudget(n); *b < 0 {
		return Refuse(CodeBadRequest, "the answer has more than %d bytes: ask for less at once", maxAnswerBytes)
	}
	return nil
}

// eachPlace answers a bounded request stripe by stripe, place by place. Each fragment is
// asked for once: no small question has an answer of a gigabyte.
func eachPlace(from, to uint32, places []blob.Place, answer func(uint32, blob.Place) error) error {
	if err := checkRange(from, to, len(places)); err != nil {
		return err
	}
	var seen [blob.MaxShards]bool
	for _, p := range places {
		if int(p) >= len(seen) || seen[p] {
			return Refuse(CodeBadRequest, "place %d: ask for places of the blob, each once", p)
		}
		seen[p] = true
	}
	for stripe := from; stripe < to; stripe++ {
		for _, p := range places {
			if err := answer(stripe, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func serveGetSymbols(ctx context.Context, s *session, k Keeper, body []byte) error {
	var q getSymbols
	if err := canon.Decode(body, &q); err != nil {
		return badRequest(err)
	}
	if err := checkRange(q.From, q.To, len(q.Indices)); err != nil {
		return err
	}
	at := make([]int, len(q.Indices))
	for i, j := range q.Indices {
		// In order and each once, so that no small question has an answer of a gigabyte.
		if j >= blob.MaxShards || i > 0 && j <= q.Indices[i-1] {
			return Refuse(CodeBadRequest, "symbol %d: ask for symbols in order, each once", j)
		}
		at[i] = int(j)
	}
	if err := provable(ctx, k, q, at); err != nil {
		return err
	}
	budget := answerBudget(maxAnswerBytes)
	for stripe := q.From; stripe < q.To; stripe++ {
		got, err := k.Symbols(ctx, blob.Position{Blob: q.Blob, Stripe: stripe, Place: q.Place, Axis: q.Axis}, at, q.Proven)
		if err != nil && !errors.Is(err, ErrNotHeld) {
			return err
		}
		size := len(got.Data) + len(got.Witness)
		for _, o := range got.Openings {
			size += len(o)
		}
		if err := budget.spend(size); err != nil {
			return err
		}
		f := symbolsFrame{Stripe: stripe, Bytes: uint32(len(got.Data)), Witness: got.Witness, Openings: got.Openings}
		if err := s.send(kindSymbols, f, got.Data); err != nil {
			return err
		}
	}
	return nil
}

// surelyProvable is how many proven symbols fit into a frame whatever their length.
const surelyProvable = 8

// provable refuses a request for more proven symbols than a frame holds, before the work
// of proving them all: the first one tells how long they are.
func provable(ctx context.Context, k Keeper, q getSymbols, at []int) error {
	if !q.Proven || len(at) <= surelyProvable || q.From >= q.To {
		return nil
	}
	one, err := k.Symbols(ctx, blob.Position{Blob: q.Blob, Stripe: q.From, Place: q.Place, Axis: q.Axis}, at[:1], true)
	if err != nil || len(one.Openings) != 1 {
		return nil // the request itself tells
	}
	const around = 16 // bytes of CBOR beside an opening
	if most := (maxFrame - len(one.Witness) - 64) / (len(one.Openings[0]) + around); len(at) > most {
		return Refuse(CodeBadRequest, "%d symbols with proofs: an answer holds at most %d of %d bytes each: ask for fewer at once", len(at), most, len(one.Openings[0]))
	}
	return nil
}

func serveGetWitnesses(ctx context.Context, s *session, k Keeper, body []byte) error {
	var q getWitnesses
	if err := canon.Decode(body, &q); err != nil {
		return badRequest(err)
	}
	return eachPlace(q.From, q.To, q.Places, func(stripe uint32, p blob.Place) error {
		witness, err := k.Witness(ctx, q.Blob, stripe, p)
		if err != nil && !errors.Is(err, ErrNotHeld) {
			return err
		}
		return s.send(kindWitness, fragmentFrame{Stripe: stripe, Place: p, Witness: witness})
	})
}
