package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/canon"
)

// errClock is returned where the machine's clock is not the ledger's.
var errClock = errors.New("the machine's clock and the ledger's are more than a day apart: nothing is ended by lifecycles, which would end what is to stay")

// clockIsRight compares the machine's clock with the ledger's, before something is deleted by
// it: within a day of the present epoch they agree.
func (s *Server) clockIsRight(ctx context.Context) error {
	c, err := s.clock(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	if now.Before(c.Begins(c.Epoch).Add(-day)) || now.After(c.Begins(c.Epoch.Plus(1)).Add(day)) {
		return fmt.Errorf("%w: it is %s here, and epoch %d began at %s", errClock, now.UTC().Format(time.RFC3339), c.Epoch, c.Begins(c.Epoch).UTC().Format(time.RFC3339))
	}
	return nil
}

// expired says up to when a bucket's objects were looked at, and by which rules.
type expired struct {
	rules string // their record
	at    time.Time
}

// Expire deletes the objects that have ended by the lifecycle of their bucket. As rules end
// objects at midnight, a bucket is looked at once a day, and when its rules have changed.
func (s *Server) Expire(ctx context.Context) error {
	type due struct {
		bucket string
		rules  lifecycle
	}
	var list []due
	now := s.now().UTC()
	seen := map[string]expired{}
	err := s.index.db.Each([]byte(prefixLifecycle), func(k, v []byte) error {
		d := due{bucket: string(k[1:])}
		seen[d.bucket] = s.expired[d.bucket]
		if e := s.expired[d.bucket]; e.rules == string(v) && e.at.Truncate(day).Equal(now.Truncate(day)) {
			return nil
		}
		list = append(list, d)
		return decode(v, &list[len(list)-1].rules)
	})
	s.expired = seen // buckets that are gone are forgotten
	if err != nil || len(list) == 0 {
		return err
	}
	if err := s.clockIsRight(ctx); err != nil {
		s.log.Error("lifecycle", "err", err)
		return err
	}
	for _, d := range list {
		n, err := s.expireBucket(ctx, d.bucket, d.rules, now)
		if n > 0 {
			s.log.Info("objects have ended by their bucket's lifecycle", "bucket", d.bucket, "objects", n)
		}
		if err != nil {
			s.log.Warn("lifecycle", "bucket", d.bucket, "err", err)
			return err
		}
		s.expired[d.bucket] = expired{string(canon.Encode(d.rules)), now}
	}
	return nil
}

// expireBucket deletes the objects of a bucket that have ended.
func (s *Server) expireBucket(ctx context.Context, bucket string, rules lifecycle, now time.Time) (n int, err error) {
	const many = 1000 // keys that are in memory
	space := objectsOf(bucket)
	after := space
	for {
		var keys []string
		err := s.index.db.EachAfter(space, after, func(k, v []byte) error {
			var o object
			if err := decode(v, &o); err != nil {
				return err
			}
			after = append([]byte(nil), k...)
			key := string(k[len(space):])
			if at, _ := rules.ends(key, o); at.IsZero() || at.After(now) {
				return nil
			}
			if keys = append(keys, key); len(keys) == many {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			return n, err
		}
		var g errgroup.Group
		g.SetLimit(64) // that share writes to the disk
		for _, key := range keys {
			g.Go(func() error { return s.expireObject(ctx, bucket, key, now) })
		}
		if err := g.Wait(); err != nil {
			return n, err
		}
		if n += len(keys); len(keys) < many {
			return n, nil
		}
	}
}

// expireObject deletes an object if it has ended: it, or the rules, may be other ones by now.
func (s *Server) expireObject(ctx context.Context, bucket, key string, now time.Time) error {
	return s.index.change(ctx, func(c *change) error {
		rules, _, err := read[lifecycle](c, lifecycleKey(bucket))
		if err != nil {
			return err
		}
		o, there, err := read[object](c, objectKey(bucket, key))
		if err != nil || !there {
			return err
		}
		if at, _ := rules.ends(key, o); at.IsZero() || at.After(now) {
			return nil
		}
		c.drop(objectKey(bucket, key))
		return c.release(o.Content.Extents)
	})
}

// AbortUploads aborts uploads that were begun long ago: by the lifecycle of their bucket, else
// after the time of the gateway.
func (s *Server) AbortUploads(ctx context.Context) error {
	var old [][]byte
	rules := map[string]lifecycle{}
	err := s.index.db.Each([]byte(prefixUpload), func(k, value []byte) error {
		var u upload
		if err := decode(value, &u); err != nil {
			return err
		}
		bucket, key, _, ok := splitUpload(k)
		if !ok {
			return fmt.Errorf("index: %w: key %q", errRecord, k)
		}
		l, known := rules[bucket]
		if !known {
			var err error
			if l, _, err = read[lifecycle](s.index.db, lifecycleKey(bucket)); err != nil {
				return err
			}
			rules[bucket] = l
		}
		end, _ := l.aborts(key, u.Initiated)
		if end.IsZero() {
			end = time.UnixMilli(u.Initiated).Add(s.o.Unfinished)
		}
		if s.now().After(end) {
			old = append(old, append([]byte(nil), k...))
		}
		return nil
	})
	for _, k := range old {
		if bucket, key, id, ok := splitUpload(k); ok && err == nil {
			s.log.Info("abort an upload that was never completed", "bucket", bucket, "key", key)
			if err = s.dropUpload(ctx, bucket, key, id); errors.Is(err, errNoUpload) {
				err = nil
			}
		}
	}
	return err
}
