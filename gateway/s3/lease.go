package s3

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// sweepers is how many leases are changed at once.
const sweepers = 8

// clockFor is how long the ledger's epoch is taken to be what it was.
const clockFor = 2 * time.Second

// clock is the ledger's clock of moments ago.
func (s *Server) clock(ctx context.Context) (Clock, error) {
	s.mu.Lock()
	c, at := s.seen, s.seenAt
	s.mu.Unlock()
	if !at.IsZero() && time.Since(at) < clockFor {
		return c, nil
	}
	c, err := s.storage.Clock(ctx)
	if err != nil {
		return c, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.seenAt = c, time.Now()
	return c, nil
}

// clockAround is the clock as it was up to some minutes ago: no reader waits for the ledger
// because of a header.
func (s *Server) clockAround(ctx context.Context) (Clock, error) {
	const old = time.Minute
	s.mu.Lock()
	c, at, asks := s.seen, s.seenAt, s.asking
	if !at.IsZero() && time.Since(at) > old && !asks && s.ctx.Err() == nil {
		s.asking = true
		s.goes.Go(func() {
			_, _ = s.clock(s.ctx) // the next reader tries again
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asking = false
		})
	}
	s.mu.Unlock()
	if !at.IsZero() {
		return c, nil
	}
	return s.clock(ctx)
}

// resume makes of each intent of the process before a lease to be given back: the client
// was not answered.
func (s *Server) resume(ctx context.Context) error {
	var ids []blob.ID
	err := s.index.db.EachKey([]byte(prefixIntent), func(key []byte) error {
		id, err := idOf(key)
		ids = append(ids, id)
		return err
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		err = s.index.change(ctx, func(c *change) error { return s.abandon(c, id, false) })
	}
	return err
}

// GiveBack gives back the leases to which no key points any more.
func (s *Server) GiveBack(ctx context.Context) error {
	type due struct {
		id     blob.ID
		intent intent
	}
	var list []due
	err := s.index.db.Each([]byte(prefixReturn), func(key, value []byte) error {
		id, err := idOf(key)
		if err != nil {
			return err
		}
		var i intent
		if err := decode(value, &i); err != nil {
			return err
		}
		if s.now().UnixMilli() >= i.After {
			list = append(list, due{id, i})
		}
		return nil
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(sweepers)
	for _, d := range list {
		g.Go(func() error { return s.giveBack(ctx, d.id, d.intent) })
	}
	return g.Wait()
}

func (s *Server) giveBack(ctx context.Context, id blob.ID, i intent) error {
	done, ok := s.holds.begin(id)
	if !ok {
		return nil // a body of the same bytes is on its way
	}
	defer done()
	if _, there, err := s.index.db.Get(returnKey(id)); err != nil || !there {
		return err
	}
	_, used, err := s.index.db.Get(leaseKey(id))
	if err != nil {
		return err
	}
	if used { // as in a snapshot that was made while the same bytes were stored once more
		return s.index.change(ctx, func(c *change) error {
			c.drop(returnKey(id))
			return nil
		})
	}
	l, err := s.storage.Lease(ctx, id)
	if err == nil && l.Start >= i.Epoch { // else the wallet had the lease before the store that was given up
		err = s.storage.Delete(ctx, id)
	}
	if err != nil && !errors.Is(err, ErrNoLease) {
		s.log.Warn("give back a lease", "blob", id, "err", err)
		return err
	}
	return s.index.change(ctx, func(c *change) error {
		c.drop(returnKey(id))
		return nil
	})
}

// gone is the end of a lease that ended before it was renewed: the blob's bytes are lost,
// until they are stored once more.
const gone unit.Epoch = 0

// Renew extends the leases that end soon: within a third of the epochs that objects are
// stored for, and at least in the next epoch.
func (s *Server) Renew(ctx context.Context) error {
	clock, err := s.clock(ctx)
	if err != nil {
		return err
	}
	soon := clock.Epoch.Plus(max(2, s.o.Epochs/3+1))
	ids := map[blob.ID]unit.Epoch{} // the ends that the index knows
	err = s.index.db.Each([]byte(prefixLease), func(key, value []byte) error {
		id, err := idOf(key)
		if err != nil {
			return err
		}
		var l lease
		if err := decode(value, &l); err != nil {
			return err
		}
		if l.End < soon && l.End != gone {
			ids[id] = l.End
		}
		return nil
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(sweepers)
	var lost atomic.Int64
	for id, end := range ids {
		g.Go(func() error {
			err := s.renew(ctx, id, clock)
			if errors.Is(err, ErrNoLease) && end <= clock.Epoch { // else another program gave it up
				lost.Add(1)
				return s.lose(ctx, id)
			}
			if err != nil {
				s.log.Error("a lease could not be renewed: objects are lost when it ends", "blob", id, "err", err)
			}
			return err
		})
	}
	err = g.Wait()
	if lost.Load() > 0 {
		err = errors.Join(err, s.tellLost())
	}
	return err
}

// lose notes that a lease has ended.
func (s *Server) lose(ctx context.Context, id blob.ID) error {
	return s.index.change(ctx, func(c *change) error {
		l, there, err := read[lease](c, leaseKey(id))
		if err != nil || !there {
			return err
		}
		l.End = gone
		c.put(leaseKey(id), l)
		c.hush(leaseKey(id)) // a restored index has it from the ledger
		return nil
	})
}

// isLost says whether a blob's lease has ended before it was renewed.
func (s *Server) isLost(id blob.ID) bool {
	l, there, err := read[lease](s.index.db, leaseKey(id))
	return err == nil && there && l.End == gone
}

// tellLost says which objects were lost with leases that have ended.
func (s *Server) tellLost() error {
	const named = 20
	var names []string
	objects := 0
	err := s.index.db.Each([]byte(prefixObject), func(k, v []byte) error {
		var o object
		if err := decode(v, &o); err != nil {
			return err
		}
		if !slices.ContainsFunc(o.Content.Extents, func(e extent) bool { return s.isLost(e.Blob) }) {
			return nil
		}
		if objects++; objects <= named {
			names = append(names, strings.Replace(string(k[1:]), "\x00", "/", 1))
		}
		return nil
	})
	s.log.Error("OBJECTS ARE LOST: leases ended before they were renewed, as while no gateway ran for longer than their epochs and allowances. Upload them again, or delete their keys", "objects", objects, "first", names)
	return err
}

func (s *Server) renew(ctx context.Context, id blob.ID, clock Clock) error {
	if err := s.holds.take(ctx, id); err != nil {
		return err
	}
	defer s.leave(id)
	l, err := s.storage.Lease(ctx, id) // which its allowance may have renewed
	if err != nil {
		return err
	}
	end, until := l.End, clock.Epoch.Plus(max(3, s.o.Epochs))
	if end < until {
		if end, err = s.storage.Extend(ctx, id, uint64(until-end)); err != nil {
			return err
		}
	}
	return s.index.change(ctx, func(c *change) error {
		l, there, err := read[lease](c, leaseKey(id))
		if err != nil || !there {
			return err
		}
		l.End = max(l.End, end)
		c.put(leaseKey(id), l)
		c.hush(leaseKey(id)) // a restored index has it from the ledger
		return nil
	})
}

// sweep calls do again and again until ctx ends, and waits longer after a failure. What failed
// was logged.
func sweep(ctx context.Context, every, after time.Duration, do func(context.Context) error) {
	wait := every
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = every
		if do(ctx) != nil {
			wait = after
		}
	}
}

// tend renews leases, and ends uploads and objects whose time is over.
func (s *Server) tend(ctx context.Context) error {
	_ = s.Expire(ctx) // which has logged its failure, and is called again
	if err := s.AbortUploads(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("abort old uploads", "err", err)
	}
	return s.Renew(ctx)
}
