package light

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// Limits of a submission.
const (
	maxHanded    = 16               // nodes that a transaction is sent to
	handNext     = 3 * time.Second  // then, or after three blocks if that is longer, one more node is asked
	proofBlocks  = 4                // blocks after a node's claim, in which the ledger must show it
	provenWithin = 90 * time.Second // until the transaction counts as pending while blocks are made
)

// ErrHalted is returned where no block has taken a transaction in time.
var ErrHalted = errors.New("no block holds the transaction yet: the ledger may stand still because more than a third of the committee is away; nothing is lost, try again")

// Unproven is a refusal without a proof: no node took the transaction, and the ledger does
// not show it. A holder of the signed bytes can still have it done until its last block.
type Unproven struct {
	ledger.TxReceipt
	Until unit.Height // the last block that may hold it; 0: any
}

func (u Unproven) Error() string { return u.Err().Error() }
func (u Unproven) Unwrap() error { return u.Err() }

// Pending is returned where the fate of a transaction is not known yet.
type Pending struct {
	Until unit.Height // the last block that may hold it; 0: any
	Why   error
}

func (p Pending) Error() string {
	when := "it may still be done"
	if p.Until > 0 {
		when = fmt.Sprintf("it may still be done until block %d", p.Until)
	}
	return fmt.Sprintf("the transaction was sent and nothing shows yet what became of it: %s: %v", when, p.Why)
}

func (p Pending) Unwrap() error { return p.Why }

// submission is one transaction on its way, and the nodes' unproven replies. The replies
// direct the search; only the ledger's records decide.
type submission struct {
	r       *Remote
	tx      []byte
	until   unit.Height
	also    [][]byte // keys that are read with its fate
	replies chan reply
	asked   sync.WaitGroup

	to       []peer.ID // nodes not asked yet
	handed   int
	open     int                // asked nodes that have not answered
	refused  []ledger.TxReceipt // refusals of nodes
	claims   map[peer.ID]claim  // nodes that say it was done
	failures []error
	view     ledger.View // that shows its fate
}

// reply is one node's unproven answer.
type reply struct {
	from    peer.ID
	receipt ledger.TxReceipt
	err     error
	shows   *reader // of the proven state after the block; nil: none came
}

// claim is a node's unproven receipt of a done transaction.
type claim struct {
	receipt ledger.TxReceipt
	at      time.Time
}

// Submit sends a transaction to one node after the other, the same bytes to all, until the
// ledger's records show its fate: the receipt is proven. A false claim of a node costs time
// only. The error is Unproven where every node refused, and Pending where the fate is open.
func (r *Remote) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	receipt, _, err := r.SubmitAnd(ctx, tx)
	return receipt, err
}

// SubmitAnd is Submit, and gives the state that shows the receipt, in which keys were read in
// the same question. The view has no reader where the receipt is a node's word.
func (r *Remote) SubmitAnd(ctx context.Context, tx []byte, keys ...[]byte) (ledger.TxReceipt, ledger.View, error) {
	decoded, _, err := ledger.DecodeTx(tx)
	if err != nil {
		return ledger.TxReceipt{}, ledger.View{}, err
	}
	if r.options.TrustNode {
		receipt, err := r.submitTrusting(ctx, tx, decoded.Until)
		return receipt, ledger.View{}, err
	}
	given := ctx
	s := &submission{r: r, tx: tx, also: keys, until: decoded.Until, to: r.candidates(), claims: map[peer.ID]claim{}}
	s.to = s.to[:min(len(s.to), maxHanded)]
	s.replies = make(chan reply, len(s.to))
	ctx, cancel := context.WithCancel(ctx)
	receipt, err := s.run(ctx)
	cancel()
	s.asked.Wait()
	if err == nil {
		r.wrote(receipt.Height)
	}
	if v, ok := s.view.R.(*reader); ok {
		v.ctx = given
	}
	return receipt, s.view, err
}

// Proves says that receipts of Submit are shown by the ledger's records.
func (r *Remote) Proves() bool { return true }

// submitTrusting takes the first node's receipt, unproven, as the options say.
func (r *Remote) submitTrusting(ctx context.Context, tx []byte, until unit.Height) (receipt ledger.TxReceipt, err error) {
	err = r.ask(ctx, p2p.AskSubmit, tx, func(_ context.Context, _ peer.ID, b []byte) (func(), error) {
		got, err := ledger.DecodeTxReceipt(b)
		got.Log = p2p.Clean(got.Log, p2p.MaxWords)
		return func() { receipt = got }, err
	})
	if err == nil {
		r.wrote(receipt.Height)
		return receipt, nil
	}
	return receipt, Pending{Until: until, Why: err}
}

func (s *submission) run(ctx context.Context) (ledger.TxReceipt, error) {
	block := s.r.block()
	look := time.NewTicker(max(block/3, 100*time.Millisecond))
	defer look.Stop()
	next := time.NewTimer(max(handNext, 3*block))
	defer next.Stop()
	deadline := time.Now().Add(max(provenWithin, 30*block))
	s.hand(ctx)
	for {
		prove := false
		var shows *reader
		select {
		case w := <-s.replies:
			s.open--
			s.hear(w)
			prove, shows = w.err == nil, w.shows
			if w.err != nil || w.receipt.Code != 0 {
				for range max(1, s.handed) { // twice as many each time
					s.hand(ctx)
				}
			}
		case <-next.C:
			s.r.prefer("") // it may hold transactions back
			s.hand(ctx)
			next.Reset(max(handNext, 3*block))
			prove = true
		case <-look.C:
			prove = len(s.claims) > 0 || s.over()
		case <-ctx.Done():
			return ledger.TxReceipt{}, s.pending(ctx.Err())
		}
		if prove {
			if r, known, err := s.shown(ctx, shows); known || err != nil {
				return r, err
			}
		}
		s.disbelieve(ctx)
		if s.over() && !s.waitsForAnother() {
			return ledger.TxReceipt{}, s.outcome()
		}
		if time.Now().After(deadline) {
			return ledger.TxReceipt{}, s.pending(ErrHalted)
		}
	}
}

// hand sends the transaction to one more node.
func (s *submission) hand(ctx context.Context) {
	if len(s.to) == 0 {
		return
	}
	p := s.to[0]
	s.to = s.to[1:]
	s.handed++
	s.open++
	s.asked.Go(func() {
		w := s.submitTo(ctx, p)
		w.receipt.Log = p2p.Clean(w.receipt.Log, p2p.MaxWords)
		s.replies <- w
	})
}

// hear notes a node's reply.
func (s *submission) hear(w reply) {
	switch {
	case w.err != nil:
		s.failures = append(s.failures, fmt.Errorf("node %s: %w", w.from, w.err))
	case w.receipt.Code == 0:
		s.claims[w.from] = claim{w.receipt, time.Now()}
	default:
		s.refused = append(s.refused, w.receipt)
	}
}

// shown is the proven receipt, with the log of a node that gave the same code: logs are not
// proven. An error says that the records will never show the transaction.
//
// It is read from shows, where a node gave that, and else asked for.
func (s *submission) shown(ctx context.Context, shows *reader) (ledger.TxReceipt, bool, error) {
	if err := ctx.Err(); err != nil {
		return ledger.TxReceipt{}, false, nil
	}
	v := s.r.viewAt(ctx, s.shownAt())
	if shows != nil {
		shows.ctx = ctx
		v = ledger.View{R: shows}
	}
	if keys := ledger.KeysOfFate(s.tx); len(s.also)+len(keys) > 0 {
		if err := v.Prefetch(append(keys, s.also...)...); err != nil {
			s.failures = append(s.failures[:min(len(s.failures), 8)], err)
			return ledger.TxReceipt{}, false, nil
		}
	}
	r, known, err := v.Fate(s.tx)
	if errors.Is(err, ledger.ErrForgotten) {
		return ledger.TxReceipt{}, false, err
	}
	if err != nil || !known {
		if err != nil {
			s.failures = append(s.failures[:min(len(s.failures), 8)], err)
		}
		return r, false, nil
	}
	for _, said := range s.refused {
		if said.Code == r.Code && r.Log == "" {
			r.Log = said.Log
		}
	}
	s.view = v
	return r, true, nil
}

// shownAt is the height of the header that will show what a node claims, if it is true: the
// one after the block. It is 0 where nothing is claimed, or that header is there already.
func (s *submission) shownAt() (at unit.Height) {
	for _, c := range s.claims {
		at = max(at, c.receipt.Height+1)
	}
	if newest := s.r.follow.newest(); newest != nil && unit.Height(newest.Height) >= at {
		return 0
	}
	return at
}

// disbelieve drops claims that the records should long have shown, blames their nodes and
// sends the transaction on.
func (s *submission) disbelieve(ctx context.Context) {
	for p, c := range s.claims {
		newest := s.r.follow.newest()
		passed := newest != nil && unit.Height(newest.Height) > c.receipt.Height+proofBlocks
		if passed && time.Since(c.at) > proofBlocks*s.r.block() {
			delete(s.claims, p)
			err := fmt.Errorf("node %s says that block %d holds the transaction, and the ledger does not show it at %d", p, c.receipt.Height, newest.Height)
			s.r.host.Blame(p, err)
			s.failures = append(s.failures, err)
			s.hand(ctx)
		} else if time.Since(c.at) > 2*proofBlocks*s.r.block() {
			s.hand(ctx) // no newer header comes: another node may know more
		}
	}
}

// over says that every node has answered, and none claims that the transaction was done.
func (s *submission) over() bool { return s.open == 0 && len(s.to) == 0 && len(s.claims) == 0 }

// waitsForAnother says that another transaction with the same nonce or the same effect is
// on its way: the records will show which of the two was done.
func (s *submission) waitsForAnother() bool {
	code, ok := s.mostSaid()
	return ok && (code.Code == ledger.ErrNonce.Code || code.Code == ledger.ErrKnown.Code)
}

// mostSaid is the refusal that most nodes gave.
func (s *submission) mostSaid() (most ledger.TxReceipt, ok bool) {
	count := map[ledger.Code]int{}
	for _, r := range s.refused {
		count[r.Code]++
		if count[r.Code] > count[most.Code] || most.Code == 0 {
			most, ok = r, true
		}
	}
	return most, ok
}

// outcome is the error where all nodes have answered and the records show no fate.
func (s *submission) outcome() error {
	if most, ok := s.mostSaid(); ok {
		return Unproven{TxReceipt: most, Until: s.until}
	}
	var refusal *p2p.Refusal
	err := errors.Join(s.failures...)
	switch {
	case errors.As(err, &refusal) && refusal.Code == p2p.CodeWait:
		return s.pending(ErrHalted)
	case !errors.As(err, &refusal):
		return s.pending(fmt.Errorf("%w: %w", ErrNoNode, err))
	}
	return s.pending(err)
}

func (s *submission) pending(why error) error {
	if errors.Is(why, context.DeadlineExceeded) {
		why = fmt.Errorf("%w: %w", ErrHalted, why)
	}
	return Pending{Until: s.until, Why: why}
}

// block is the nominal time of a block.
func (r *Remote) block() time.Duration {
	return time.Duration(r.genesis.Params.BlockMs) * time.Millisecond
}
