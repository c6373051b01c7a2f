package s3

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/seal"
)

// The index is on the network as a chain: a whole snapshot, and links that each have what
// changed after the one before. A link has at most a quarter of the bytes of the one before
// it, else what it would have is joined to that one; a chain is at most a third larger than
// the index so, and a byte that changes is stored a few times and not again and again.
const (
	maxChain  = 6         // links, the whole snapshot included
	linkShare = 4         // a link has at most the bytes of the one before, divided by it
	minLink   = 256 << 10 // bytes of records up to which a snapshot is made anew rather than followed by another
)

// snapshots makes them until ctx ends.
func (s *Server) snapshots(ctx context.Context) {
	t := time.NewTicker(s.o.Snapshot)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := s.TakeSnapshot(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("a snapshot of the index was not stored", "err", err)
			}
		}
	}
}

// position is where in a chain the next snapshot stands: the links from there on are replaced
// by it. sums is the bytes of the records that changed after each link.
func position(chain []link, sums []int64) int {
	for at := len(chain); at > 0; at-- {
		before := chain[at-1]
		if at < maxChain && before.Raw >= minLink && sums[at-1] <= before.Raw/linkShare {
			return at
		}
	}
	return 0
}

// TakeSnapshot stores on the network what of the index has changed since the last snapshot,
// and returns the newest. What it replaces is given back. The zero ID stands for an index that
// has never had anything in it.
func (s *Server) TakeSnapshot(ctx context.Context) (blob.ID, error) {
	s.snapping.Lock()
	defer s.snapping.Unlock()
	h, err := readHead(s.index.db)
	if err != nil {
		return blob.ID{}, err
	}
	n := len(h.Chain)
	whole := n > 0 && h.Chain[0].Raw == 0 // it is of a program before
	if n > 0 && !whole && !s.index.marked.Swap(false) {
		return h.Chain[n-1].Blob, nil
	}
	next, err := s.takeSnapshot(ctx, h, whole)
	if err != nil {
		s.index.marked.Store(true)
	}
	return next, err
}

func (s *Server) takeSnapshot(ctx context.Context, h head, whole bool) (blob.ID, error) {
	sums, err := changed(s.index.db, h.Chain)
	if err != nil {
		return blob.ID{}, err
	}
	at := 0
	switch n := len(h.Chain); {
	case n == 0:
		empty, err := isEmpty(s.index.db)
		if err != nil || empty {
			return blob.ID{}, err
		}
	case !whole && sums[n-1] == 0:
		return h.Chain[n-1].Blob, nil
	case !whole:
		at = position(h.Chain, sums)
	}
	// What changes from now on is the next snapshot's, even if this one has it too.
	ended := h.Generation
	err = s.index.change(ctx, func(c *change) error {
		h.Generation++
		c.put([]byte(keyHead), h)
		s.index.generation = h.Generation
		return nil
	})
	if err != nil {
		return blob.ID{}, err
	}
	d := draft{sequence: h.Sequence + 1, at: s.now().UnixMilli(), chain: h.Chain[:at], replaced: h.Chain[at:]}
	body, err := s.spoolSnapshot(ctx, &d)
	if err != nil {
		return blob.ID{}, err
	}
	defer body.Close()
	stored, err := s.keep(body)
	if err != nil {
		return blob.ID{}, err
	}
	p := &placed{s, stored, body.Size(), []extent{{Blob: stored.ID, Length: body.Size()}}}
	defer p.leave()
	h.Sequence, h.At = d.sequence, d.at
	h.Chain = append(append([]link{}, d.chain...), link{Blob: stored.ID, Raw: max(d.raw, 1), Generation: ended})
	err = s.index.change(s.ctx, func(c *change) error {
		if err := p.arrive(c); err != nil {
			return err
		}
		c.hush(leaseKey(stored.ID))
		for _, l := range d.replaced {
			if err := c.release([]extent{{Blob: l.Blob, Length: 1}}); err != nil {
				return err
			}
			c.hush(leaseKey(l.Blob))
		}
		c.put([]byte(keyHead), h)
		if _, old, err := c.Get([]byte(keyOldHead)); err != nil || !old {
			return err
		}
		c.drop([]byte(keyOldHead))
		return nil
	})
	if err != nil {
		return blob.ID{}, err
	}
	s.log.Info("the index is on the network", "snapshot", stored.ID, "sequence", h.Sequence, "bytes", body.Size(), "links", len(h.Chain))
	if at == 0 {
		err = s.index.unmark(ctx, ended)
	}
	return stored.ID, err
}

// spoolSnapshot writes a snapshot into the spool: packed first, because its length must be
// known to pad it, then sealed.
func (s *Server) spoolSnapshot(ctx context.Context, d *draft) (Body, error) {
	packed, err := s.spooled(ctx, func(w io.Writer) error { return d.write(s.index.db, w) })
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	return s.spooled(ctx, func(w io.Writer) error {
		r, err := packed.Open(0)
		if err != nil {
			return err
		}
		return errors.Join(seal.Seal(w, r, packed.Size(), []seal.Recipient{s.o.Sealer}), r.Close())
	})
}

// spooled is what write writes.
func (s *Server) spooled(ctx context.Context, write func(io.Writer) error) (Body, error) {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(write(w))
	}()
	b, err := s.storage.Spool(ctx, r, -1)
	r.Close()
	<-done
	return b, err
}

// isEmpty says whether the index has no record that a snapshot would show.
func isEmpty(db *kv.DB) (empty bool, err error) {
	for _, prefix := range shown {
		err := db.EachKey([]byte(prefix), func([]byte) error { return errStop })
		if errors.Is(err, errStop) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
