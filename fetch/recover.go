package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
)

// Loss is the fragments of a blob that a node lost: of the places named, along each
// axis, in the stripes [From, To).
type Loss struct {
	From, To      uint32
	Columns, Rows []blob.Place
}

// Repair rebuilds lost fragments and calls keep with those of one stripe and axis, in
// the order of the loss, the columns of all stripes first: a column needs the fewest
// others. keep may be called at the same time for several stripes. An axis that cannot
// be rebuilt does not stop the other one.
//
// All that is needed is asked for at once, so that a repair takes one round trip where
// every member answers: k1 witnesses, from which the stripes' root lists follow, and
// single symbols of the crossing fragments of both axes, about as many bytes as were
// lost. If too few symbols can be reached and whole is set, Repair takes k1 whole rows of
// each stripe instead, which moves more: while a stripe can be read, it can be repaired.
//
// Errors: that of keep; a BadEncodingError, with its proof, where the blob contradicts
// its commitments; otherwise as for Read.
func (f *Fetcher) Repair(ctx context.Context, d *Directory, c blob.Commitment, loss Loss, whole bool, keep func(StripeList, []blob.FullFragment) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	columns := newRecovery(ctx, &asking, f, d, c, blob.Column, loss, loss.Columns)
	rows := newRecovery(ctx, &asking, f, d, c, blob.Row, loss, loss.Rows)
	lists, err := f.lists(ctx, d, c, loss.From, loss.To)
	if err != nil {
		return err
	}
	return errors.Join(columns.finish(ctx, lists, whole, keep), rows.finish(ctx, lists, whole, keep))
}

// lists fetches and proves the root lists of stripes [from, to), against which lost
// fragments are checked. It moves k1 shares a stripe. Errors: as for Read.
func (f *Fetcher) lists(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32) ([]StripeList, error) {
	witnesses, err := gather(ctx, f, d, c.ID, from, to, sourceFirst(d.Shape.N), d.Shape.K1, witnessesOf(c))
	if err != nil {
		return nil, err
	}
	out := make([]StripeList, len(witnesses))
	err = inParallel(len(out), func(i int) error {
		proven, err := proveList(c, from+uint32(i), witnesses[i])
		out[i] = proven
		return err
	})
	return out, err
}

// recovery rebuilds the lost places of a run of stripes along one axis.
type recovery struct {
	f        *Fetcher
	d        *Directory
	c        blob.Commitment
	axis     blob.Axis
	lost     []blob.Place
	from, to uint32 // the run of stripes
	lists    []StripeList
	done     []bool // for each stripe: keep has its fragments

	asked  chan struct{} // closed when the fields below are set
	claims []map[blob.Place]claim
	err    error
}

// newRecovery asks for what rebuilds the lost places.
func newRecovery(ctx context.Context, asking *sync.WaitGroup, f *Fetcher, d *Directory, c blob.Commitment, axis blob.Axis, loss Loss, lost []blob.Place) *recovery {
	r := &recovery{f: f, d: d, c: c, axis: axis, lost: lost, from: loss.From, to: loss.To, asked: make(chan struct{})}
	asking.Go(func() {
		defer close(r.asked)
		if len(lost) > 0 {
			r.claims, r.err = gather(ctx, f, d, c.ID, r.from, r.to, r.others(), r.needed(), r.claimedSymbols())
		}
	})
	return r
}

// finish rebuilds the lost places and hands them to keep.
func (r *recovery) finish(ctx context.Context, lists []StripeList, whole bool, keep func(StripeList, []blob.FullFragment) error) error {
	if len(r.lost) == 0 {
		return nil
	}
	<-r.asked
	r.lists, r.done = lists, make([]bool, len(lists))
	err := r.err
	if err == nil {
		err = r.fromSymbols(ctx, keep)
	}
	if errors.Is(err, ErrUnavailable) && whole {
		err = r.fromRows(ctx, keep)
	}
	return err
}

// others lists the places that are not lost, which are asked.
func (r *recovery) others() []blob.Place {
	gone := map[blob.Place]bool{}
	for _, p := range r.lost {
		gone[p] = true
	}
	var out []blob.Place
	for _, p := range sourceFirst(r.d.Shape.N) {
		if !gone[p] {
			out = append(out, p)
		}
	}
	return out
}

// needed is the number of symbols that rebuild a fragment: k1 for a column, k2 for a row.
func (r *recovery) needed() int { return r.d.Shape.Symbols(r.axis) }

// indices lists the lost places as positions in a crossing fragment.
func (r *recovery) indices() []int {
	at := make([]int, len(r.lost))
	for i, p := range r.lost {
		at[i] = int(p)
	}
	return at
}

// fromSymbols rebuilds from symbols without proofs. A stripe whose rebuilt fragment
// misses its root is rebuilt from proven symbols, and then the liar is looked for.
func (r *recovery) fromSymbols(ctx context.Context, keep func(StripeList, []blob.FullFragment) error) error {
	return inParallel(len(r.lists), func(i int) error {
		rebuilt, err := r.rebuild(i, r.claims[i])
		if errors.Is(err, blob.ErrMismatch) {
			if rebuilt, err = r.proven(ctx, i); err == nil {
				err = r.examine(ctx, i, r.claims[i], rebuilt)
			}
		}
		if err != nil {
			return err
		}
		r.claims[i], r.done[i] = nil, true
		return keep(r.lists[i], rebuilt)
	})
}

// claim is a peer's answer without proof.
type claim struct {
	data []byte // one symbol for each lost place, in their order
	from peer.ID
}

// claimedSymbols asks for the symbols in which a crossing fragment meets the lost
// fragments, without proofs.
func (r *recovery) claimedSymbols() query[claim] {
	return func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, claim) error) error {
		return l.Symbols(ctx, r.c.ID, r.axis.Cross(), places, r.indices(), from, to, r.c.Layout.Seg, false, func(p blob.Place, got p2p.Symbols) error {
			if !got.Held() {
				return nil
			}
			if len(got.Data) != len(r.lost)*r.c.Layout.StripeSeg(int(got.Stripe)) {
				return fmt.Errorf("%d bytes of symbols: %w", len(got.Data), blob.ErrMismatch)
			}
			return emit(got.Stripe, p, claim{got.Data, l.Peer()})
		})
	}
}

// rebuild computes the lost fragments of stripe i of the run and checks all N leaves
// of each.
func (r *recovery) rebuild(i int, answers map[blob.Place]claim) ([]blob.FullFragment, error) {
	code, seg := redstuff.For(r.d.Shape), r.c.Layout.StripeSeg(int(r.from)+i)
	out := make([]blob.FullFragment, len(r.lost))
	for n, p := range r.lost {
		var at []int
		var symbols [][]byte
		for from, a := range answers {
			at, symbols = append(at, int(from)), append(symbols, a.data[n*seg:(n+1)*seg])
		}
		data, err := code.Recover(r.axis, at, symbols, seg)
		if err != nil {
			return nil, err
		}
		if out[n], err = r.lists[i].At(p).VerifyFull(r.axis, data, code); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// proven rebuilds stripe i of the run from proven symbols, after claimed symbols did
// not lead to the committed roots. gather blames a member that sends a wrong one.
func (r *recovery) proven(ctx context.Context, i int) ([]blob.FullFragment, error) {
	stripe := r.from + uint32(i)
	answers, err := gather(ctx, r.f, r.d, r.c.ID, stripe, stripe+1, r.others(), r.needed(), provenSymbols(r.c, r.axis.Cross(), r.indices()))
	if err != nil {
		return nil, err
	}
	out := make([]blob.FullFragment, len(r.lost))
	for n, p := range r.lost {
		// One order for both: the proof of bad encoding shows the very symbols that missed.
		var symbols []blob.Symbol
		var openings []blob.Opening
		for _, from := range slices.Sorted(maps.Keys(answers[0])) {
			symbols = append(symbols, answers[0][from][n].Symbol)
			openings = append(openings, answers[0][from][n].opening)
		}
		out[n], err = redstuff.For(r.d.Shape).RecoverProven(r.lists[i].At(p), r.axis, symbols)
		if errors.Is(err, redstuff.ErrInconsistent) {
			return nil, accuse(redstuff.ProveBadFragment(r.lists[i].evidence(), r.axis, p, openings))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fromRows rebuilds from k1 whole rows of each stripe.
func (r *recovery) fromRows(ctx context.Context, keep func(StripeList, []blob.FullFragment) error) error {
	rows, err := gather(ctx, r.f, r.d, r.c.ID, r.from, r.to, r.others(), r.d.Shape.K1, fragmentsOf(r.c, blob.Row))
	if err != nil {
		return err
	}
	code := redstuff.For(r.d.Shape)
	return inParallel(len(r.lists), func(i int) error {
		if r.done[i] {
			return nil
		}
		var have []blob.VerifiedFragment
		for _, p := range slices.Sorted(maps.Keys(rows[i])) {
			have = append(have, rows[i][p].VerifiedFragment)
		}
		have = have[:r.d.Shape.K1]
		var out []blob.FullFragment
		for _, p := range r.lost {
			data, err := code.RebuildFragment(r.lists[i].ProvenStripe, p, r.axis, have)
			if err != nil {
				return err
			}
			kept, err := r.lists[i].At(p).VerifyFull(r.axis, data, code)
			if errors.Is(err, blob.ErrMismatch) {
				return accuse(r.contradiction(i, have, p))
			}
			if err != nil {
				return err
			}
			out = append(out, kept)
		}
		return keep(r.lists[i], out)
	})
}
