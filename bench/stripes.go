package bench

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// provenStripe is an encoded stripe and its proven roots, as a reader has them.
type provenStripe struct {
	*redstuff.Stripe
	proven blob.ProvenStripe
	path   int64 // bytes of the path from its root to the whole blob's, as written
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
	input := r.input()
	var took time.Duration
	for first := 0; first < r.layout.Stripes; first += r.workers {
		var batch []provenStripe
		var jobs []func() error
		for i := first; i < min(first+r.workers, r.layout.Stripes); i++ {
			s, err := r.encodeStripe(ctx, input, i)
			if err != nil {
				return 0, err
			}
			job, err := prepare(s)
			if err != nil {
				return 0, err
			}
			batch, jobs = append(batch, s), append(jobs, job)
		}
		start := time.Now()
		err := together(jobs)
		took += time.Since(start)
		if err != nil {
			return 0, err
		}
		for _, s := range batch {
			s.Release()
		}
	}
	return took, nil
}

// encodeStripe encodes stripe i of the blob as a blob of its own, so that no encoder
// works on the next one while this one's decoding is timed.
func (r *codecRun) encodeStripe(ctx context.Context, input io.Reader, i int) (provenStripe, error) {
	size := r.layout.StripeBytes(i)
	l, err := r.layout.Shape.Layout(size)
	if err != nil {
		return provenStripe{}, err
	}
	var s *redstuff.Stripe
	c, _, err := r.code.Commit(ctx, l, io.LimitReader(input, size), r.workers, func(encoded *redstuff.Stripe) error {
		s = encoded
		return nil
	})
	if err != nil {
		return provenStripe{}, err
	}
	proven, err := s.Tree().Prove(c, 0, nil)
	return provenStripe{Stripe: s, proven: proven, path: int64(34 * blob.PathLen(i, r.layout.Stripes))}, err
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
	rows := make([]blob.VerifiedFragment, code.Shape().K1)
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
	witness := s.Tree().Witness(place, s.Parity(place), nil).Encode()
	moved = int64(len(witness)) + s.path
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
			if _, err := roots.VerifyFull(axis, fragment, code); err != nil {
				return fmt.Errorf("repair: %w", err)
			}
		}
		return nil
	}, moved, lost, nil
}
