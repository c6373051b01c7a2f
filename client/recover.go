package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
)

// Lists fetches and proves the root lists of stripes [from, to): what a lost
// fragment is checked against. It moves k1 shares a stripe.
func (f *Fetcher) Lists(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32) ([]StripeList, error) {
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

// Recover rebuilds the fragments along axis of lost places, for each of the
// consecutive stripes whose lists are given. It asks for single symbols of the
// crossing fragments: what was lost is what moves. Where too few of those can be
// reached and whole is set it takes k1 whole rows instead, which moves more: while
// a stripe can be read it can be repaired. Result i has one fragment per lost
// place, for stripe i.
func (f *Fetcher) Recover(ctx context.Context, d *Directory, lists []StripeList, axis blob.Axis, lost []blob.Place, whole bool) ([][]blob.Possession, error) {
	r := recovery{f: f, d: d, c: lists[0].Commitment(), lists: lists, axis: axis, lost: lost,
		from: uint32(lists[0].Stripe()), to: uint32(lists[0].Stripe() + len(lists))}
	out, err := r.fromSymbols(ctx)
	if errors.Is(err, ErrUnavailable) && whole {
		return r.fromRows(ctx)
	}
	return out, err
}

type recovery struct {
	f        *Fetcher
	d        *Directory
	c        blob.Commitment
	lists    []StripeList
	axis     blob.Axis
	lost     []blob.Place
	from, to uint32
}

// others is the places that may be asked: not the lost ones.
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

// needed is how many symbols rebuild a fragment: k1 for a column, k2 for a row.
func (r *recovery) needed() int { return r.d.Shape.Symbols(r.axis) }

func (r *recovery) indices() []int {
	at := make([]int, len(r.lost))
	for i, p := range r.lost {
		at[i] = int(p)
	}
	return at
}

func (r *recovery) fromSymbols(ctx context.Context) ([][]blob.Possession, error) {
	answers, err := gather(ctx, r.f, r.d, r.c.ID, r.from, r.to, r.others(), r.needed(), r.plainSymbols())
	if err != nil {
		return nil, err
	}
	out := make([][]blob.Possession, len(r.lists))
	err = inParallel(len(out), func(i int) error {
		var err error
		if out[i], err = r.rebuild(i, answers[i]); errors.Is(err, blob.ErrMismatch) {
			out[i], err = r.proven(ctx, i)
		}
		return err
	})
	return out, err
}

// plainSymbols asks for the symbols in which a crossing fragment meets the lost ones.
func (r *recovery) plainSymbols() question[[]byte] {
	return func(l *p2p.Link, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, []byte) error) error {
		for _, p := range places {
			err := l.Symbols(r.c.ID, r.axis.Cross(), p, r.indices(), from, to, r.c.Layout.Seg, false, func(got p2p.Symbols) error {
				if !got.Held() {
					return nil
				}
				if len(got.Data) != len(r.lost)*r.c.Layout.StripeSeg(int(got.Stripe)) {
					return fmt.Errorf("%d bytes of symbols: %w", len(got.Data), blob.ErrMismatch)
				}
				return emit(got.Stripe, p, got.Data)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// rebuild computes the lost fragments of stripe i of the run and checks all N leaves of each.
func (r *recovery) rebuild(i int, answers map[blob.Place][]byte) ([]blob.Possession, error) {
	code, seg := redstuff.For(r.d.Shape), r.c.Layout.StripeSeg(int(r.from)+i)
	out := make([]blob.Possession, len(r.lost))
	for n, p := range r.lost {
		var at []int
		var symbols [][]byte
		for from, data := range answers {
			at, symbols = append(at, int(from)), append(symbols, data[n*seg:(n+1)*seg])
		}
		data, err := code.Recover(r.axis, at, symbols, seg)
		if err != nil {
			return nil, err
		}
		if out[n], err = r.lists[i].At(p).Possess(r.axis, data, code); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// proven rebuilds stripe i of the run from symbols that are each proven, after plain
// ones did not match: who sends a wrong one is found out and blamed by gather.
func (r *recovery) proven(ctx context.Context, i int) ([]blob.Possession, error) {
	stripe := r.from + uint32(i)
	answers, err := gather(ctx, r.f, r.d, r.c.ID, stripe, stripe+1, r.others(), r.needed(), provenSymbols(r.c, r.axis.Cross(), r.indices()))
	if err != nil {
		return nil, err
	}
	out := make([]blob.Possession, len(r.lost))
	for n, p := range r.lost {
		var symbols []blob.Symbol
		for _, a := range answers[0] {
			symbols = append(symbols, a[n])
		}
		if out[n], err = redstuff.For(r.d.Shape).RecoverProven(r.lists[i].At(p), r.axis, symbols); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// provenSymbols asks for the symbols at indices of fragments along axis, each with its proof.
func provenSymbols(c blob.Commitment, axis blob.Axis, indices []int) question[[]blob.Symbol] {
	return func(l *p2p.Link, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, []blob.Symbol) error) error {
		for _, p := range places {
			err := l.Symbols(c.ID, axis, p, indices, from, to, 0, true, func(got p2p.Symbols) error {
				if !got.Held() {
					return nil
				}
				symbols, err := openAll(c, p, axis, indices, got)
				if err != nil {
					return err
				}
				return emit(got.Stripe, p, symbols)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func openAll(c blob.Commitment, p blob.Place, axis blob.Axis, indices []int, got p2p.Symbols) ([]blob.Symbol, error) {
	_, roots, err := proveWitness(c, p2p.Piece{Stripe: got.Stripe, Place: p, Witness: got.Witness})
	if err != nil {
		return nil, err
	}
	if len(got.Openings) != len(indices) {
		return nil, fmt.Errorf("%d openings for %d symbols: %w", len(got.Openings), len(indices), blob.ErrMismatch)
	}
	out := make([]blob.Symbol, len(indices))
	for i, b := range got.Openings {
		o, err := blob.DecodeOpening(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		if o.Axis != axis || int(o.Index) != indices[i] {
			return nil, fmt.Errorf("opening of %v symbol %d, asked for %v %d: %w", o.Axis, o.Index, axis, indices[i], blob.ErrMismatch)
		}
		if out[i], err = o.Prove(roots); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fromRows rebuilds from k1 whole rows of each stripe.
func (r *recovery) fromRows(ctx context.Context) ([][]blob.Possession, error) {
	rows, err := gather(ctx, r.f, r.d, r.c.ID, r.from, r.to, r.others(), r.d.Shape.K1, fragmentsOf(r.c, blob.Row))
	if err != nil {
		return nil, err
	}
	code := redstuff.For(r.d.Shape)
	out := make([][]blob.Possession, len(r.lists))
	err = inParallel(len(out), func(i int) error {
		var have []blob.Verified
		for _, h := range rows[i] {
			have = append(have, h.fragment)
		}
		for _, p := range r.lost {
			data, err := code.RebuildFragment(r.lists[i].ProvenStripe, p, r.axis, have)
			if err != nil {
				return err
			}
			kept, err := r.lists[i].At(p).Possess(r.axis, data, code)
			if err != nil {
				return fmt.Errorf("rebuilt from whole rows: %w: %w", redstuff.ErrInconsistent, err)
			}
			out[i] = append(out[i], kept)
		}
		return nil
	})
	return out, err
}
