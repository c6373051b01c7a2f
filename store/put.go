package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// Piece is a fragment to be kept, with the witness of its place in its stripe. The witness
// must have been proven, since the fragment was checked with it. Both fragments of a place
// have the same witness, which is kept once. Its parity roots are filled in by Put, each
// from the fragment of its axis: a caller leaves them empty.
type Piece struct {
	Fragment blob.FullFragment
	Witness  blob.Witness
}

// A group of puts is committed together: a put that comes while a commit is under way
// waits for the next one, up to these bounds, so that one fsync serves them all.
const (
	groupBytes  = 8 << 20
	groupPieces = 512
)

type putItem struct {
	at      blob.Position
	address blob.Address
	data    []byte
	witness blob.Witness
}

type put struct {
	id     blob.ID
	pieces []putItem
	bytes  int
	err    error
}

type group struct {
	puts   []*put
	bytes  int
	pieces int
	done   chan struct{} // closed when every put has its answer
}

// Put keeps fragments of the blob id, which must have been staged or is kept. What it
// keeps is on the disk when it returns; a piece that is there already costs nothing.
// The pieces' bytes must not change any more. Errors: ErrUnknown, ErrFull,
// ErrStagedFull, ErrFailing; when ctx ends first the pieces may be kept or not.
func (s *Store) Put(ctx context.Context, id blob.ID, pieces ...Piece) error {
	if err := s.put(ctx, id, pieces); err != nil {
		return fmt.Errorf("put %d fragments of %s: %w", len(pieces), id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id blob.ID, pieces []Piece) error {
	next := &put{id: id}
	for _, piece := range pieces {
		p, err := prepare(id, piece)
		if err != nil {
			return err
		}
		if len(next.pieces) == groupPieces || next.bytes+len(p.data) > groupBytes && next.bytes > 0 {
			if err := s.submit(ctx, next); err != nil {
				return err
			}
			next = &put{id: id}
		}
		next.pieces = append(next.pieces, p)
		next.bytes += len(p.data)
	}
	return s.submit(ctx, next)
}

func prepare(id blob.ID, piece Piece) (putItem, error) {
	f := piece.Fragment
	at := f.Position()
	if at.Blob != id {
		return putItem{}, fmt.Errorf("%v is of another blob", at)
	}
	if len(f.Bytes()) == 0 {
		return putItem{}, fmt.Errorf("%v: an empty fragment", at)
	}
	w := piece.Witness
	if at.Axis == blob.Row {
		w.Parity.Row = f.Parity()
	} else {
		w.Parity.Column = f.Parity()
	}
	return putItem{at: at, address: blob.AddressOf(f.Bytes()), data: f.Bytes(), witness: w}, nil
}

// submit joins the next group. The put that opens a group commits it, as soon as
// the commit before it is through: a lone put waits for no other.
func (s *Store) submit(ctx context.Context, p *put) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	g := s.pending
	opened := g == nil || g.bytes+p.bytes > groupBytes || g.pieces+len(p.pieces) > groupPieces
	if opened {
		g = &group{done: make(chan struct{})}
		s.pending = g
	}
	g.puts = append(g.puts, p)
	g.bytes += p.bytes
	g.pieces += len(p.pieces)
	s.mu.Unlock()
	if opened {
		s.commit(g) // without ctx: others wait for it
		return p.err
	}
	select {
	case <-g.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) commit(g *group) {
	defer close(g.done)
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	if s.pending == g {
		s.pending = nil // closed: the next put opens a new one
	}
	s.mu.Unlock()
	err := s.update(s.db.Batch(), func(c *change) error {
		for _, p := range g.puts {
			p.err = s.admit(c, p)
		}
		return nil
	})
	for _, p := range g.puts {
		if err != nil && p.err == nil {
			p.err = err
		}
	}
}

// admit checks that a put may be made, then makes it: what is refused leaves no trace
// in the change.
func (s *Store) admit(c *change, p *put) error {
	st, err := c.blob(p.id)
	if err != nil {
		return err
	}
	if !st.held {
		return ErrUnknown
	}
	need, err := c.need(p)
	if err != nil {
		return err
	}
	if err := s.fits(c.totals, need); err != nil {
		return err
	}
	if st.rec.staged() && c.totals.StagedBytes+need > s.stagedLimit() {
		return fmt.Errorf("%d bytes staged, %d more, limit %d: %w", c.totals.StagedBytes, need, s.stagedLimit(), ErrStagedFull)
	}
	for _, piece := range p.pieces {
		grown, err := c.add(piece, s.rot.bytes(piece.address))
		if err != nil {
			return err
		}
		if st.rec.staged() {
			st.rec.Bytes += grown
			st.dirty = true
			c.totals.StagedBytes += grown
		}
	}
	return nil
}

// need is by how much a put can make the store grow, in bytes.
func (c *change) need(p *put) (need uint64, err error) {
	attested := map[slot]bool{}
	for _, piece := range p.pieces {
		e, err := c.entry(piece.at)
		if err != nil {
			return 0, err
		}
		if e.held {
			continue
		}
		need += uint64(len(piece.data))
		sl := slotOf(piece.at)
		other, err := c.entry(sl.at(piece.at.Axis.Cross()))
		if err != nil {
			return 0, err
		}
		if !other.held && !attested[sl] {
			need += uint64(len(piece.witness.Encode()))
		}
		attested[sl] = true
	}
	return need, nil
}

func (s *Store) fits(t totals, need uint64) error {
	if s.opt.Capacity > 0 && t.Bytes+t.Proofs+need > uint64(s.opt.Capacity) {
		return fmt.Errorf("%d of %d bytes used, %d more: %w", t.Bytes+t.Proofs, s.opt.Capacity, need, ErrFull)
	}
	return nil
}

func (s *Store) stagedLimit() uint64 {
	if s.opt.StagedCapacity <= 0 {
		return 1 << 63
	}
	return uint64(s.opt.StagedCapacity)
}

// full makes a full file system a full store.
func full(err error) error {
	if errors.Is(err, kv.ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
