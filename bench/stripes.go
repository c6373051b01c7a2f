package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// provenStripe is an encoded stripe and its proven roots, as a reader has them.
type provenStripe struct {
	*redstuff.Stripe
	proven blob.ProvenStripe
	path   []blob.Hash
}

// overStripes does work on every stripe of the blob, as many side by side as there
// are workers, and gives the time spent in work alone: encoding is not counted.
func (r *codecRun) overStripes(ctx context.Context, work func(provenStripe) error) (time.Duration, error) {
	return r.overStripesPrepared(ctx, func(s provenStripe) (func() error, error) {
		return func() error { return work(s) }, nil
	})
}

// overStripesPrepared is overStripes for work of which a part, prepare, is not counted.
func (r *codecRun) overStripesPrepared(ctx context.Context, prepare func(provenStripe) (func() error, error)) (time.Duration, error) {
	c, tree, err := r.code.Commit(ctx, r.layout, r.input(), r.workers, nil)
	if err != nil {
		return 0, err
	}
	var took time.Duration
	var batch []*redstuff.Stripe
	err = r.code.Encode(ctx, r.layout, r.input(), r.workers, func(s *redstuff.Stripe) error {
		if batch = append(batch, s); len(batch) < r.workers && s.Index() < r.layout.Stripes-1 {
			return nil
		}
		jobs := make([]func() error, len(batch))
		for i, s := range batch {
			path := tree.Path(s.Index())
			proven, err := s.Tree().Prove(c, uint32(s.Index()), path)
			if err != nil {
				return err
			}
			if jobs[i], err = prepare(provenStripe{Stripe: s, proven: proven, path: path}); err != nil {
				return err
			}
		}
		start := time.Now()
		err := together(jobs)
		took += time.Since(start)
		for _, s := range batch {
			s.Release()
		}
		batch = batch[:0]
		return err
	})
	return took, err
}

// together runs jobs side by side.
func together(jobs []func() error) error {
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	for i, job := range jobs {
		wg.Go(func() { errs[i] = job() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// decode verifies and decodes k1 rows from row from on.
func (s provenStripe) decode(code *redstuff.Code, from int, into *buffers) error {
	rows := make([]blob.Verified, code.Shape().K1)
	for i := range rows {
		p := blob.Place(from + i)
		var err error
		if rows[i], err = s.proven.At(p).VerifySource(blob.Row, s.Row(p), s.Parity(p).Row); err != nil {
			return err
		}
	}
	out := into.take()
	defer func() { into.give(out) }()
	var err error
	out, err = code.Decode(out[:0], s.proven, rows)
	return err
}

// buffers are what decoded bytes go to, used again as a reader's are.
type buffers struct {
	mu   sync.Mutex // guards free
	free [][]byte
}

func (b *buffers) take() (buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := len(b.free) - 1; last >= 0 {
		buf, b.free = b.free[last], b.free[:last]
	}
	return buf
}

func (b *buffers) give(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, buf)
}

// repair gathers what the repairer of place asks for, one symbol of every fragment
// that crosses its two and a witness, and gives the repair to be done with it.
func (s provenStripe) repair(code *redstuff.Code, place blob.Place) (do func() error, moved, lost int64, err error) {
	witness := s.Tree().Witness(place, s.Parity(place), s.path).Encode()
	moved = int64(len(witness))
	answers := make(map[blob.Axis][][]byte)
	for _, axis := range []blob.Axis{blob.Column, blob.Row} {
		for p := code.Shape().N - code.Shape().Symbols(axis); p < code.Shape().N; p++ {
			crossing := s.AppendFragment(nil, axis.Cross(), blob.Place(p))
			symbol, err := code.SymbolsAt(axis.Cross(), crossing, s.Seg(), []int{int(place)})
			if err != nil {
				return nil, 0, 0, err
			}
			answers[axis] = append(answers[axis], symbol)
			moved += int64(len(symbol))
		}
		lost += int64(len(answers[axis]) * s.Seg())
	}
	return func() error {
		w, err := blob.DecodeWitness(witness)
		if err != nil {
			return err
		}
		roots, err := w.Prove(s.proven.Commitment(), uint32(s.Index()), place)
		if err != nil {
			return err
		}
		for axis, symbols := range answers {
			at := make([]int, len(symbols))
			for i := range at {
				at[i] = code.Shape().N - len(symbols) + i
			}
			fragment, err := code.Recover(axis, at, symbols, s.Seg())
			if err != nil {
				return err
			}
			if _, err := roots.Possess(axis, fragment, code); err != nil {
				return fmt.Errorf("repair: %w", err)
			}
		}
		return nil
	}, moved, lost, nil
}
