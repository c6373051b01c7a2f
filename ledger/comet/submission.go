package comet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// Limits of a submission.
const (
	maxHanded    = 16               // nodes that are handed a transaction
	handNext     = 3 * time.Second  // after which, or after two blocks, one node more is handed it
	proofBlocks  = 4                // blocks after a node's word in which the ledger must show what it says
	provenWithin = 90 * time.Second // in which anything must come of it while blocks are made
)

// Unproven is a refusal on the word of the nodes that were asked: none of them took the
// transaction, and the ledger does not show it. A signed one may still be done by
// somebody who kept its bytes, until its last block.
type Unproven struct {
	ledger.Receipt
	Until uint64 // the last block that may hold it; 0: any
}

func (u Unproven) Error() string { return u.Err().Error() }
func (u Unproven) Unwrap() error { return u.Err() }

// Pending is returned where it is not known yet what becomes of a transaction.
type Pending struct {
	Until uint64 // the last block that may hold it; 0: any
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

// submission is one transaction on its way, and what nodes said of it. What they say
// directs the search; only the records decide.
type submission struct {
	r     *Remote
	tx    []byte
	until uint64
	words chan word
	asked sync.WaitGroup

	to       []peer.ID // nodes not handed it yet
	handed   int
	open     int                 // nodes that have not answered
	refused  []ledger.Receipt    // by nodes, unproven
	claims   map[peer.ID]claimed // nodes that say it was done, unproven
	failures []error
}

// word is what one node says.
type word struct {
	from    peer.ID
	receipt ledger.Receipt
	err     error
}

// claimed is a node's word that a block held the transaction.
type claimed struct {
	receipt ledger.Receipt
	at      time.Time
}

// Submit hands a transaction to one node after the other, the same bytes to all, until
// the ledger's records show what became of it: the receipt is proven. A node that says
// what they do not show costs time. An error is Unproven where every node refused, and
// Pending where nothing can be said.
func (r *Remote) Submit(ctx context.Context, tx []byte) (ledger.Receipt, error) {
	decoded, _, err := ledger.DecodeTx(tx)
	if err != nil {
		return ledger.Receipt{}, err
	}
	if r.options.TrustNode {
		return r.submitTrusting(ctx, tx, decoded.Until)
	}
	s := &submission{r: r, tx: tx, until: decoded.Until, to: r.candidates(), claims: map[peer.ID]claimed{}}
	s.to = s.to[:min(len(s.to), maxHanded)]
	s.words = make(chan word, len(s.to))
	ctx, cancel := context.WithCancel(ctx)
	receipt, err := s.run(ctx)
	cancel()
	s.asked.Wait()
	if err == nil {
		r.wrote(receipt.Height)
	}
	return receipt, err
}

// Proves says that what Submit gives was shown by the ledger's records.
func (r *Remote) Proves() bool { return true }

// submitTrusting takes the first answer, for who said that a node's word will do.
func (r *Remote) submitTrusting(ctx context.Context, tx []byte, until uint64) (receipt ledger.Receipt, err error) {
	err = r.ask(ctx, p2p.AskSubmit, tx, func(_ context.Context, _ peer.ID, b []byte) (err error) {
		receipt, err = ledger.DecodeReceipt(b)
		receipt.Log = p2p.Clean(receipt.Log, p2p.MaxWords)
		return err
	})
	if err == nil {
		r.wrote(receipt.Height)
		return receipt, nil
	}
	return receipt, Pending{Until: until, Why: err}
}

func (s *submission) run(ctx context.Context) (ledger.Receipt, error) {
	block := s.r.block()
	look := time.NewTicker(max(block/3, 100*time.Millisecond))
	defer look.Stop()
	next := time.NewTimer(max(handNext, 2*block))
	defer next.Stop()
	deadline := time.Now().Add(max(provenWithin, 30*block))
	s.hand(ctx)
	for {
		prove := false
		select {
		case w := <-s.words:
			s.open--
			s.hear(w)
			prove = w.err == nil
			if w.err != nil || w.receipt.Code != 0 {
				for range max(1, s.handed) { // twice as many each time
					s.hand(ctx)
				}
			}
		case <-next.C:
			s.hand(ctx)
			next.Reset(max(handNext, 2*block))
			prove = true
		case <-look.C:
			prove = len(s.claims) > 0 || s.over()
		case <-ctx.Done():
			return ledger.Receipt{}, s.pending(ctx.Err())
		}
		if prove {
			if r, known, err := s.shown(ctx); known || err != nil {
				return r, err
			}
		}
		s.disbelieve(ctx)
		if s.over() && !s.waitsForAnother() {
			return ledger.Receipt{}, s.outcome()
		}
		if time.Now().After(deadline) {
			return ledger.Receipt{}, s.pending(errHalted)
		}
	}
}

// hand gives the transaction to one node more.
func (s *submission) hand(ctx context.Context) {
	if len(s.to) == 0 {
		return
	}
	p := s.to[0]
	s.to = s.to[1:]
	s.handed++
	s.open++
	s.asked.Go(func() {
		answer, err := s.r.host.AskLedger(ctx, p, p2p.AskSubmit, s.tx)
		w := word{from: p, err: err}
		if err == nil {
			if w.receipt, w.err = ledger.DecodeReceipt(answer); w.err != nil {
				s.r.host.Blame(p, w.err)
			}
			w.receipt.Log = p2p.Clean(w.receipt.Log, p2p.MaxWords)
		}
		s.words <- w
	})
}

// hear notes what a node says.
func (s *submission) hear(w word) {
	switch {
	case w.err != nil:
		s.failures = append(s.failures, fmt.Errorf("node %s: %w", w.from, w.err))
	case w.receipt.Code == 0:
		s.claims[w.from] = claimed{w.receipt, time.Now()}
	default:
		s.refused = append(s.refused, w.receipt)
	}
}

// shown is what the records show, with the words of a node that said the same. An error is
// that they will never show it: there is nothing to wait for.
func (s *submission) shown(ctx context.Context) (ledger.Receipt, bool, error) {
	v, err := s.r.View(ctx)
	if err != nil {
		return ledger.Receipt{}, false, nil
	}
	r, known, err := v.Fate(s.tx)
	if errors.Is(err, ledger.ErrForgotten) {
		return ledger.Receipt{}, false, err
	}
	if err != nil || !known {
		if err != nil {
			s.failures = append(s.failures[:min(len(s.failures), 8)], err)
		}
		return r, false, nil
	}
	for _, said := range s.refused { // with the particulars, which are not proven
		if said.Code == r.Code && r.Log == "" {
			r.Log = said.Log
		}
	}
	return r, true, nil
}

// disbelieve drops the word of nodes that the records should long have shown, and hands
// the transaction on.
func (s *submission) disbelieve(ctx context.Context) {
	for p, c := range s.claims {
		newest := s.r.follow.newest()
		passed := newest != nil && uint64(newest.Height) > c.receipt.Height+proofBlocks
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

// over says that every node has answered, and none says that it was done.
func (s *submission) over() bool { return s.open == 0 && len(s.to) == 0 && len(s.claims) == 0 }

// waitsForAnother says that another transaction with the same nonce, or one about the
// same, is on its way: the records will show which of them was done.
func (s *submission) waitsForAnother() bool {
	code, ok := s.mostSaid()
	return ok && (code.Code == ledger.ErrNonce.Code || code.Code == ledger.ErrKnown.Code)
}

// mostSaid is the refusal that most nodes gave.
func (s *submission) mostSaid() (most ledger.Receipt, ok bool) {
	count := map[ledger.Code]int{}
	for _, r := range s.refused {
		count[r.Code]++
		if count[r.Code] > count[most.Code] || most.Code == 0 {
			most, ok = r, true
		}
	}
	return most, ok
}

// outcome is the error where all nodes have answered and the records show nothing.
func (s *submission) outcome() error {
	if most, ok := s.mostSaid(); ok {
		return Unproven{Receipt: most, Until: s.until}
	}
	var refusal *p2p.Refusal
	err := errors.Join(s.failures...)
	switch {
	case errors.As(err, &refusal) && refusal.Code == p2p.CodeWait:
		return s.pending(errHalted)
	case !errors.As(err, &refusal):
		return s.pending(fmt.Errorf("%w: %w", ErrNoNode, err))
	}
	return s.pending(err)
}

func (s *submission) pending(why error) error {
	if errors.Is(why, context.DeadlineExceeded) {
		why = fmt.Errorf("%w: %w", errHalted, why)
	}
	return Pending{Until: s.until, Why: why}
}

// block is the nominal time of a block.
func (r *Remote) block() time.Duration {
	return time.Duration(r.genesis.Params.BlockMs) * time.Millisecond
}
