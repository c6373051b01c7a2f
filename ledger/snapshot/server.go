package snapshot

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// What strangers can make a node do: a walk over its state each makeEvery while they ask, or
// less often where the state is large, and two snapshots on its disk.
const (
	makeEvery = time.Minute
	fresh     = 10 * time.Minute // as long as that, a snapshot is offered without being asked for by height
	keepFor   = 5 * time.Minute  // that a snapshot is not asked for; then it is deleted
	maxFiles  = 2
	// writeRate is the bytes a second, of a snapshot's size, by which the next one comes later:
	// a large state is not written each minute.
	writeRate = 1 << 20
	// grid is the blocks between heights that nodes choose: asked in the same minute, they
	// choose alike.
	grid = 10
	lag  = 2 // blocks that must follow the state's: they carry its root and the next committees
)

// Bounds on the turns that are worked out without a snapshot.
const (
	turnsBack = 2000 // blocks
	turnEvery = 500 * time.Millisecond
	turnsKept = 16 // answers, of up to 192 KiB
)

// Source is the state that snapshots are made of; ledger.Machine is one.
type Source interface {
	Height() unit.Height
	Salt() [32]byte
	Buckets() int
	// HoldAt is the keys of a height, which stay readable until release is called.
	HoldAt(height unit.Height) (at state.Lister, release func(), err error)
	Nodes(height unit.Height, level int) ([]blob.Hash, error)
}

// Turns gives the committees of the two blocks after a height, as the agreement has them.
type Turns func(height unit.Height) ([][]byte, error)

// Server gives snapshots of a ledger's state. It makes one only when it is asked to.
type Server struct {
	dir     string // for files without names
	machine Source
	base    func() int64 // first block that the node has
	turns   Turns
	log     *slog.Logger
	closed  chan struct{}
	making  sync.WaitGroup

	turning  sync.Mutex // guards the fields below
	turned   map[unit.Height][]byte
	turnedAt time.Time

	mu     sync.Mutex // guards the fields below
	files  []*served  // oldest first
	coming unit.Height
	began  time.Time     // when the last one was begun
	pause  time.Duration // from then on until the next may be
	timed  bool          // prune is called again after a while
}

type served struct {
	*file
	made time.Time
	used time.Time
	uses int // answers under way
}

// NewServer gives snapshots of a machine's state, with files in a directory.
func NewServer(dir string, m Source, base func() int64, turns Turns, log *slog.Logger) *Server {
	return &Server{dir: dir, machine: m, base: base, turns: turns, log: log, closed: make(chan struct{})}
}

// Close ends a snapshot that is being made, and deletes all.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	s.making.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		f.f.Close()
	}
	s.files = nil
}

// Answer answers AskSnapshot and AskState.
func (s *Server) Answer(ask p2p.Ask, body []byte) ([]byte, error) {
	if ask == p2p.AskSnapshot {
		var q offerQuestion
		if err := decodeQuestion(body, &q); err != nil {
			return nil, err
		}
		o, err := s.offer(q.Want)
		if err != nil {
			return nil, err
		}
		return canon.Encode(o), nil
	}
	var q stateQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	f, done := s.use(q.Height)
	if f == nil && q.Kind == askTurns {
		return s.turnsOf(q.Height)
	}
	if f == nil {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "no snapshot of height %d here", q.Height)
	}
	defer done()
	switch q.Kind {
	case askTop:
		return encodeHashes(f.top), nil
	case askTurns:
		return canon.Encode(turnsAnswer{Committees: f.turns}), nil
	case askItems:
		return encoded(f.items(q))
	case askLeaves:
		list, err := f.bucket(q.Node)
		return encoded(cutPart(encodeLeaves(leavesOf(list)), q.From), err)
	case askBucket:
		return encoded(f.bucketItems(q))
	case askValue:
		return encoded(f.value(q))
	}
	return nil, p2p.Refuse(p2p.CodeBadRequest, "unknown part of a state: %d", q.Kind)
}

// turnsOf answers askTurns where no snapshot is kept: a node that joins asks the whole
// committee, and few of it have made the same snapshot. To work the turns out takes up to
// 100,000 steps: it is done for few heights, one at a time, and kept.
func (s *Server) turnsOf(height unit.Height) ([]byte, error) {
	tip := s.machine.Height()
	if height == 0 || height > tip.Minus(lag) || height < tip.Minus(turnsBack) {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "no turns of height %d here", height)
	}
	s.turning.Lock()
	defer s.turning.Unlock()
	if out := s.turned[height]; out != nil {
		return out, nil
	}
	if time.Since(s.turnedAt) < turnEvery {
		return nil, p2p.Refuse(p2p.CodeBusy, "the turns of another height were worked out just now: try again in a second")
	}
	s.turnedAt = time.Now()
	list, err := s.turns(height)
	if err != nil {
		return nil, err
	}
	out := canon.Encode(turnsAnswer{Committees: list})
	if s.turned == nil || len(s.turned) >= turnsKept {
		s.turned = map[unit.Height][]byte{}
	}
	s.turned[height] = out
	return out, nil
}

func encoded[T any](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return canon.Encode(v), nil
}

// use finds a snapshot, which stays until done is called.
func (s *Server) use(height unit.Height) (f *file, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.files {
		if x.height == height {
			x.uses++
			x.used = time.Now()
			return x.file, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				x.uses--
			}
		}
	}
	return nil, nil
}

// offer names a snapshot, and begins to make one where none serves.
func (s *Server) offer(want unit.Height) (Offer, error) {
	tip := s.machine.Height()
	s.mu.Lock()
	defer s.mu.Unlock()
	o := Offer{Base: unit.Height(max(1, s.base()))}
	var newest *served
	for _, f := range s.files {
		if f.height+1 < o.Base {
			continue // the blocks after it are gone
		}
		if newest = f; f.height == want {
			break
		}
	}
	if newest != nil && (newest.height == want || want == 0 && time.Since(newest.made) < fresh) {
		o.Height, o.Ready = newest.height, true
		return o, nil
	}
	if s.coming != 0 {
		o.Height = s.coming
		return o, nil
	}
	height := want
	if height == 0 || height > tip.Minus(lag) || s.kept(height) != nil {
		height = tip.Minus(lag) / grid * grid
		if height == 0 || s.kept(height) != nil {
			height = tip.Minus(lag)
		}
	}
	switch wait := s.pause - time.Since(s.began); {
	case height == 0:
		return o, p2p.Refuse(p2p.CodeNotHeld, "the chain has %d blocks: too few for a snapshot", tip)
	case wait > 0 && newest != nil:
		o.Height, o.Ready = newest.height, true
		return o, nil
	case wait > 0:
		return o, p2p.Refuse(p2p.CodeBusy, "the next snapshot is made in %s", wait.Round(time.Second))
	}
	select {
	case <-s.closed:
		return o, p2p.Refuse(p2p.CodeBusy, "%v", errClosed)
	default:
	}
	s.coming, s.began, s.pause, o.Height = height, time.Now(), makeEvery, height
	s.making.Go(func() { s.make(height) })
	return o, nil
}

// kept says whether the state of a height is still there.
func (s *Server) kept(height unit.Height) error {
	_, release, err := s.machine.HoldAt(height)
	if err == nil {
		release()
	}
	return err
}

// make makes the snapshot of a height.
func (s *Server) make(height unit.Height) {
	began := time.Now()
	f, err := makeFile(s.dir, s.machine, height, s.closed)
	if err == nil {
		if f.turns, err = s.turns(height); err != nil {
			f.f.Close()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming = 0
	if err != nil {
		if !errors.Is(err, errClosed) && !errors.Is(err, state.ErrHeight) {
			s.log.Warn("no snapshot of the ledger could be made for a node that joins", "height", height, "err", err)
		}
		return
	}
	s.pause = max(makeEvery, time.Duration(f.bytes)*time.Second/writeRate)
	s.log.Info("made a snapshot of the ledger for a node that joins", "height", height, "bytes", f.bytes, "seconds", time.Since(began).Seconds())
	now := time.Now()
	s.files = append(s.files, &served{file: f, made: now, used: now})
	s.prune()
	if !s.timed {
		s.timed = true
		time.AfterFunc(keepFor, s.look)
	}
}

// look deletes what is not asked for any more, and comes again while something is left.
func (s *Server) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune()
	if s.timed = len(s.files) > 0; s.timed {
		time.AfterFunc(keepFor/4, s.look)
	}
}

// prune deletes what is not asked for any more, and the oldest above maxFiles. It needs mu
// held.
func (s *Server) prune() {
	var left []*served
	for i, f := range s.files {
		// The newest stays until the next may be made: else a node that joins finds none.
		last := i == len(s.files)-1 && time.Since(s.began) < s.pause
		old := time.Since(f.used) >= keepFor && !last || len(s.files)-i > maxFiles
		if old && f.uses == 0 {
			f.f.Close()
			continue
		}
		left = append(left, f)
	}
	s.files = left
}
