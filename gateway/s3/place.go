package s3

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/quilt"
)

// placed is a body on the network that the index does not point to yet. Its blob is held
// until leave.
type placed struct {
	s       *Server
	stored  Stored
	blob    int64 // its size
	extents []extent
}

// arrive puts the blob's lease into the index, in the change that makes extents point to it.
func (p *placed) arrive(c *change) error {
	if len(p.extents) == 0 {
		return nil
	}
	id := p.stored.ID
	own := p.stored.Made
	returned, ok, err := read[intent](c, returnKey(id))
	if err != nil {
		return err
	}
	own = own || ok && p.stored.Start >= returned.Epoch || p.s.holds.isInherited(id)
	l, known, err := read[lease](c, leaseKey(id))
	if err != nil {
		return err
	}
	if !known {
		l = lease{Size: p.blob}
	}
	l.Own, l.End = l.Own || own, max(l.End, p.stored.End)
	c.put(leaseKey(id), l)
	c.drop(intentKey(id))
	c.drop(returnKey(id))
	return c.use(p.extents)
}

// leave ends the hold. Where no change has made the index point to the blob, its lease is to
// be given back.
func (p *placed) leave() {
	if len(p.extents) > 0 {
		p.s.leave(p.stored.ID)
	}
}

func (s *Server) leave(id blob.ID) {
	last, inherited := s.holds.leave(id)
	if !last {
		return
	}
	err := s.index.change(s.ctx, func(c *change) error { return s.abandon(c, id, inherited) })
	if err != nil && s.ctx.Err() == nil {
		s.log.Error("note a lease to be given back", "blob", id, "err", err)
	}
}

// abandon turns the intent to store a blob that did not arrive into a lease to be given back,
// after a while: a client that comes again with the same bytes finds them paid. A lease that
// was inherited is the door's however old it is.
func (s *Server) abandon(c *change, id blob.ID, inherited bool) error {
	i, there, err := read[intent](c, intentKey(id))
	if err != nil || !there {
		return err
	}
	c.drop(intentKey(id))
	if _, used, err := c.Get(leaseKey(id)); err != nil || used {
		return err
	}
	if inherited {
		i.Epoch = 0
	}
	i.After = s.now().Add(s.o.Grace).UnixMilli()
	c.put(returnKey(id), i)
	return nil
}

// keep stores a source as a blob that is held. The store goes on when a client has hung up:
// it is paid, and the client will come again. When the door closes keep does not wait for it:
// the next process finds its intent.
func (s *Server) keep(src client.Source) (Stored, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.StoreLimit)
	defer cancel()
	clock, err := s.clock(ctx)
	if err != nil {
		return Stored{}, err
	}
	type result struct {
		out  Stored
		held *blob.ID
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.out, r.err = s.storage.Store(ctx, src, Order{Epochs: s.o.Epochs, Renewed: s.o.Renewed, Identified: func(id blob.ID) error {
			if r.held != nil {
				return nil // another attempt
			}
			if err := s.holds.take(ctx, id); err != nil {
				return err
			}
			r.held = &id
			return s.intend(ctx, id, clock)
		}})
		done <- r
	}()
	var r result
	select {
	case r = <-done:
	case <-s.ctx.Done():
		return Stored{}, s.ctx.Err()
	}
	if r.err == nil && r.held == nil {
		r.err = fmt.Errorf("store: the blob %s was not announced", r.out.ID)
	}
	if r.err != nil && r.held != nil {
		s.leave(*r.held)
	}
	return r.out, r.err
}

// intend notes that a blob may be paid from now on.
func (s *Server) intend(ctx context.Context, id blob.ID, clock Clock) error {
	return s.index.change(ctx, func(c *change) error {
		if _, there, err := c.Get(intentKey(id)); err != nil || there {
			return err
		}
		c.put(intentKey(id), intent{Epoch: clock.Epoch})
		return nil
	})
}

// place brings a body onto the network: a small one in a quilt with others that come at the
// same time, another as a blob.
func (s *Server) place(ctx context.Context, body Body) (*placed, error) {
	size := body.Size()
	switch {
	case size == 0:
		return &placed{s: s}, nil
	case size <= s.o.Small:
		return s.group.join(ctx, body)
	}
	stored, err := s.keep(body)
	if err != nil {
		return nil, err
	}
	return &placed{s, stored, size, []extent{{Blob: stored.ID, Length: size}}}, nil
}

// Bounds of a quilt of small bodies.
const (
	groupFiles = 1000
	groupBytes = 32 << 20
)

// group gathers small bodies that come within a moment, and stores them as one quilt with
// one certificate.
type group struct {
	s       *Server
	mu      sync.Mutex
	waiting []*member   // guarded by mu
	bytes   int64       // guarded by mu
	timer   *time.Timer // guarded by mu
}

// member is a body that waits for its quilt.
type member struct {
	body   Body
	placed *placed
	err    error
	done   chan struct{}
}

// join returns when the body is certified. It does not return earlier when ctx ends: the
// body is being read.
func (g *group) join(_ context.Context, body Body) (*placed, error) {
	m := &member{body: body, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting, g.bytes = append(g.waiting, m), g.bytes+body.Size()
	switch {
	case len(g.waiting) >= groupFiles || g.bytes >= groupBytes:
		g.flush()
	case len(g.waiting) == 1:
		g.timer = time.AfterFunc(g.s.o.Gather, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.flush()
		})
	}
	g.mu.Unlock()
	<-m.done
	return m.placed, m.err
}

// flush stores what waits. The caller holds mu.
func (g *group) flush() {
	members := g.waiting
	g.waiting, g.bytes = nil, 0
	g.timer.Stop()
	if len(members) > 0 {
		g.s.goes.Go(func() { g.store(members) })
	}
}

func (g *group) store(members []*member) {
	err := g.put(members)
	for _, m := range members {
		m.err = err
		close(m.done)
	}
}

func (g *group) put(members []*member) error {
	if len(members) == 1 {
		m := members[0]
		stored, err := g.s.keep(m.body)
		if err == nil {
			m.placed = &placed{g.s, stored, m.body.Size(), []extent{{Blob: stored.ID, Length: m.body.Size()}}}
		}
		return err
	}
	files := make([]quilt.File, len(members))
	for i, m := range members {
		files[i] = quilt.File{Identifier: fmt.Sprintf("%04d", i), Size: m.body.Size(), Open: m.body.Open}
	}
	q, err := quilt.New(files)
	if err != nil {
		return err
	}
	stored, err := g.s.keep(q)
	if err != nil {
		return err
	}
	g.s.holds.more(stored.ID, len(members)-1)
	for i, e := range q.Index().Entries { // in the order of the identifiers, which is that of members
		members[i].placed = &placed{g.s, stored, q.Size(), []extent{{Blob: stored.ID, Offset: e.Offset, Length: e.Length}}}
	}
	return nil
}
