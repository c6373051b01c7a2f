package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// collectStep is how many dropped bytes make Run think of a collection.
	collectStep = 64 << 20
	// A collection is worth it when the disk use is above live bytes by a quarter.
	garbageShare = 4
	lookEvery    = 5 * time.Minute
	scrubEvery   = time.Hour // at least, from the end of one pass to the next
)

// Run looks after the store until ctx ends: gives space back when there is enough
// garbage, reads everything again at ScrubRate, clears rot away. It returns early
// only when the disk fails. Put needs no Run.
func (s *Store) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	all.Go(func() { s.scrubAlways(ctx) })
	all.Go(func() { s.lookAfter(ctx, stop) })
	all.Wait()
	if err := s.Failing(); err != nil {
		return fmt.Errorf("store %s: %w", s.opt.Dir, err)
	}
	return nil
}

func (s *Store) scrubAlways(ctx context.Context) {
	for s.opt.ScrubRate > 0 {
		res, err := s.scrub(ctx, s.opt.ScrubRate)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("scrub", "err", err)
		case res.Rotten > 0:
			s.log.Warn("scrub found rot", "rotten", res.Rotten, "addresses", res.Addresses, "bytes", res.Bytes)
		}
		if pause(ctx, scrubEvery) != nil {
			return
		}
	}
}

func (s *Store) lookAfter(ctx context.Context, stop context.CancelCauseFunc) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		s.tidy(ctx)
		if err := s.Failing(); err != nil {
			stop(err)
		}
		select {
		case <-look.C:
		case <-s.kick:
		case <-ctx.Done():
			return
		}
	}
}

// tidy clears rot and collects garbage where that is worth it.
func (s *Store) tidy(ctx context.Context) {
	if err := s.clearRot(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("clear rot", "err", err)
	}
	worth, err := s.worthCollecting()
	if err == nil && worth {
		err = s.Collect(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("give space back", "err", err)
	}
}

func (s *Store) worthCollecting() (bool, error) {
	if s.freed.Load() == 0 {
		return false, nil
	}
	used, err := s.db.DiskUsage()
	if err != nil {
		return false, err
	}
	t := s.totals()
	live := int64(t.Bytes + t.Proofs)
	return used-live > max(collectStep, live/garbageShare), nil
}

// Collect gives the space of what was dropped back to the disk: little more than
// what is live stays in use. Puts go on meanwhile; drops wait.
func (s *Store) Collect(ctx context.Context) error {
	s.collect.Lock()
	defer s.collect.Unlock()
	was := s.freed.Load()
	freed, err := s.db.Collect(ctx)
	if err != nil {
		if errors.Is(err, ctx.Err()) {
			return err
		}
		return full(err)
	}
	s.freed.Add(-was)
	if freed > collectStep {
		s.log.Info("gave space back", "bytes", freed)
	}
	return nil
}
