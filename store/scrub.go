package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// ScrubResult is what a pass over the store found.
type ScrubResult struct {
	Addresses int64 // of which the bytes were read and hashed
	Bytes     int64
	Witnesses int64 // that were read
	Rotten    int64 // addresses and witnesses among them that were not what they were
	Ghosts    int64 // bytes and witnesses without an entry, removed
}

// scrubStep is how many addresses are looked at between two looks at ctx.
const scrubStep = 64

// Scrub reads all that is held and checks it, as fast as it can; what has rotted is
// missing afterwards. Damage to the keys themselves is an error (kv.ErrCorrupt): the
// store must be opened again, or filled anew. Run does the same at ScrubRate.
func (s *Store) Scrub(ctx context.Context) (ScrubResult, error) { return s.scrub(ctx, 0) }

// scrub reads at most rate bytes a second; zero: no bound.
func (s *Store) scrub(ctx context.Context, rate int64) (res ScrubResult, err error) {
	pace := pace{rate: rate, began: time.Now()}
	steps := []func(r kv.Reader, k []byte, res *ScrubResult) (int, error){s.scrubBytes, s.scrubWitness}
	for i, tag := range []byte{tagBytes, tagWitness} {
		next := []byte{tag}
		for next != nil {
			var read int
			next, read, err = s.scrubSome(tag, next, steps[i], &res)
			if err == nil {
				err = pace.wait(ctx, read)
			}
			if err != nil {
				return res, fmt.Errorf("scrub: %w", err)
			}
		}
	}
	if err := s.clearRot(ctx); err != nil {
		return res, fmt.Errorf("scrub: %w", err)
	}
	if err := s.db.Verify(); err != nil {
		return res, fmt.Errorf("scrub: %w", err)
	}
	return res, nil
}

// scrubSome looks at some keys from start on and returns where to go on; nil at the
// end. A view is held for that long only: it keeps space from being given back.
func (s *Store) scrubSome(tag byte, start []byte, step func(kv.Reader, []byte, *ScrubResult) (int, error), res *ScrubResult) (next []byte, read int, err error) {
	var keys [][]byte
	err = s.db.View(func(r kv.Reader) error {
		err := r.KeysFrom([]byte{tag}, start, func(k []byte) error {
			if len(keys) == scrubStep {
				next = append([]byte(nil), k...)
				return errStop
			}
			keys = append(keys, append([]byte(nil), k...))
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			return err
		}
		for _, k := range keys {
			n, err := step(r, k, res)
			if err != nil {
				return err
			}
			read += n
		}
		return nil
	})
	return next, read, err
}

func (s *Store) scrubBytes(r kv.Reader, k []byte, res *ScrubResult) (int, error) {
	a, ok := parseAddress(k)
	if !ok {
		return 0, fmt.Errorf("bytes under %x: %w", k, kv.ErrCorrupt)
	}
	entered, err := r.Has(addressKey(tagAddress, a))
	if err != nil {
		return 0, err
	}
	if !entered {
		res.Ghosts++
		return 0, s.bury(k)
	}
	data, _, err := r.Get(k)
	if err != nil && !errors.Is(err, kv.ErrLost) {
		return 0, err
	}
	res.Addresses++
	res.Bytes += int64(len(data))
	if err == nil && blob.AddressOf(data) == a {
		return len(data), nil
	}
	res.Rotten++
	held, _, perr := positions(r, backsOf(a))
	if perr != nil {
		return 0, perr
	}
	if len(held) > 0 {
		s.found(a, held[0], err)
	}
	return len(data), nil
}

func (s *Store) scrubWitness(r kv.Reader, k []byte, res *ScrubResult) (int, error) {
	sl, ok := parseSlot(k[1:])
	if !ok {
		return 0, fmt.Errorf("witness under %x: %w", k, kv.ErrCorrupt)
	}
	row, err := readEntry(r, sl.at(blob.Row))
	if err != nil {
		return 0, err
	}
	column, err := readEntry(r, sl.at(blob.Column))
	if err != nil {
		return 0, err
	}
	if !row.held && !column.held {
		res.Ghosts++
		return 0, s.bury(k)
	}
	res.Witnesses++
	w, err := readWitness(r, sl)
	if errors.Is(err, ErrMissing) {
		res.Rotten++
		s.foundWitness(sl)
		return 0, nil
	}
	return len(w.Share) + hashLen*(4+len(w.Path)+len(w.SharePath)+len(w.StripePath)), err
}

// bury removes a value that has no entry, unless it got one meanwhile. It does not
// wait for a collection: what stays is found by the next pass.
func (s *Store) bury(k []byte) error {
	s.change.Lock()
	defer s.change.Unlock()
	entered := false
	err := s.db.View(func(r kv.Reader) (err error) {
		if a, ok := parseAddress(k); ok && k[0] == tagBytes {
			entered, err = r.Has(addressKey(tagAddress, a))
			return err
		}
		sl, _ := parseSlot(k[1:])
		for _, axis := range []blob.Axis{blob.Row, blob.Column} {
			e, err := readEntry(r, sl.at(axis))
			if err != nil {
				return err
			}
			entered = entered || e.held
		}
		return nil
	})
	if err != nil || entered {
		return err
	}
	b := s.db.TryDeletes()
	if b == nil {
		return nil
	}
	s.log.Warn("removing a value that has no entry", "key", fmt.Sprintf("%x", k))
	b.Delete(k)
	return b.Commit(true)
}

// pace bounds how fast bytes are read.
type pace struct {
	rate  int64 // bytes a second; zero: no bound
	began time.Time
	read  int64
}

func (p *pace) wait(ctx context.Context, read int) error {
	p.read += int64(read)
	if p.rate <= 0 {
		return ctx.Err()
	}
	due := p.began.Add(time.Duration(float64(p.read) / float64(p.rate) * float64(time.Second)))
	return pause(ctx, time.Until(due))
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
