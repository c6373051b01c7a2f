package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// ErrHeight is returned for a height that is not kept: only the last one and the two before it are.
var ErrHeight = errors.New("height is not kept")

// ErrCorrupt is returned when what the disk holds does not hash to the root it had.
var ErrCorrupt = errors.New("ledger state is corrupt: restore it from a snapshot or from peers")

// kept is the number of versions before the last one that can always be read and
// proven, also after opening again. More are kept in memory while they are small.
const (
	kept        = 2
	memoryKept  = 256
	memoryBytes = 16 << 20 // about, of all versions that are kept beyond those
)

// The disk holds, under one letter each: values, the first page of each bucket's trie,
// the pages below these, the log of commits, the marker.
const (
	letterValue  = 's'
	letterBucket = 'b'
	letterPage   = 'p'
	letterLog    = 'l'
	letterMarker = 'm'
)

// marker says which commit the keys on the disk have reached.
type marker struct {
	_       struct{} `cbor:",toarray"`
	Height  unit.Height
	Root    blob.Hash
	Salt    [32]byte
	Buckets uint32
}

// delta leads from one version back to the one before.
type delta struct {
	height unit.Height      // the version it undoes
	prior  []Change         // what the changed keys were before, sorted
	nodes  nodes            // what the changed nodes of the tree were before
	pages  map[place][]byte // what the changed pages were before; nil: there was none
	bytes  int              // about what it takes of memory
}

func newDelta(height unit.Height, prior []Change, n nodes, pages map[place][]byte) *delta {
	const entry = 64 // of a map or a slice
	d := &delta{height: height, prior: prior, nodes: n, pages: pages, bytes: len(n.at) * (4 + 32)}
	for _, c := range prior {
		d.bytes += len(c.Key) + len(c.Value) + entry
	}
	for at, raw := range pages {
		d.bytes += len(at) + len(raw) + entry
	}
	return d
}

func (d *delta) find(key []byte) (Change, bool) {
	i, ok := sort.Find(len(d.prior), func(i int) int { return bytes.Compare(key, d.prior[i].Key) })
	if !ok {
		return Change{}, false
	}
	return d.prior[i], true
}

// State is the ledger's keys at the last committed height and a few before. Reads
// are safe beside a commit; commits come one at a time.
type State struct {
	kv     KV
	salt   [32]byte
	recent *valueCache

	mu     sync.RWMutex // guards the fields below
	empty  bool
	height unit.Height
	tree   tree
	deltas []*delta            // newest first; the newest may be of a commit under way, height+1
	holds  map[unit.Height]int // readers of each height that is still read
	broken error               // a commit failed half-way: only opening again mends it
}

// Open reads the state from kv, finishing a commit that was cut off. An empty kv
// gives an empty state at height 0.
func Open(kv KV, salt [32]byte, buckets int) (*State, error) {
	if err := CheckBuckets(buckets); err != nil {
		return nil, err
	}
	s := &State{kv: kv, salt: salt, recent: newRecent(), empty: true, tree: newTree(buckets), holds: map[unit.Height]int{}}
	m, ok, err := s.redo()
	if err != nil {
		return nil, fmt.Errorf("open the ledger state: %w", err)
	}
	if ok {
		if m.Salt != salt || m.Buckets != uint32(buckets) {
			return nil, errors.New("open the ledger state: it belongs to another chain; use its own directory")
		}
		s.empty, s.height = false, m.Height
	}
	if err := s.load(m); err != nil {
		return nil, fmt.Errorf("open the ledger state: %w", err)
	}
	return s, nil
}

// load fills the tree and the deltas.
func (s *State) load(m marker) error {
	if err := s.loadBuckets(); err != nil {
		return err
	}
	s.tree.fill()
	if s.empty {
		m.Root = newTreeRoot(s.tree.buckets())
	}
	if s.tree.root() != m.Root {
		return fmt.Errorf("height %d: root %s, want %s: %w", m.Height, s.tree.root(), m.Root, ErrCorrupt)
	}
	for h := s.height; h > 0 && h+kept > s.height; h-- {
		rec, ok, err := s.readLog(h)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		get := func(i uint32) blob.Hash { return s.nodeAt(h, i) }
		read := func(at place) ([]byte, error) { return s.pageAt(h, at) }
		leaves, pages, err := s.rebuild(get, read, rec.Prior, s.hashed(rec.Prior))
		if err != nil {
			return err
		}
		undo := map[place][]byte{}
		for _, p := range pages {
			undo[p.at] = p.now
		}
		s.deltas = append(s.deltas, newDelta(h, rec.Prior, climb(get, leaves), undo))
	}
	return nil
}

// loadBuckets works out the root of every bucket from its first page. Pages below are
// checked when they are read.
func (s *State) loadBuckets() error {
	type first struct{ bucket, from, to int } // bytes of read
	const batch = 1 << 14
	var read []byte
	pending := make([]first, 0, batch)
	flush := func() error {
		err := parallel(len(pending), func(i int) error {
			f := pending[i]
			p, err := decodePage(read[f.from:f.to])
			s.tree[s.tree.buckets()+f.bucket] = p.hash(0)
			return err
		})
		pending, read = pending[:0], read[:0]
		return err
	}
	err := s.kv.Each([]byte{letterBucket}, func(k, v []byte) error {
		if len(k) != bucketKeyLen || int(binary.BigEndian.Uint32(k[1:])) >= s.tree.buckets() {
			return ErrCorrupt
		}
		pending = append(pending, first{int(binary.BigEndian.Uint32(k[1:])), len(read), len(read) + len(v)})
		read = append(read, v...)
		if len(pending) == batch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// hashed is the hash of the key of each change.
func (s *State) hashed(changes []Change) []blob.Hash {
	out := make([]blob.Hash, len(changes))
	for i, c := range changes {
		out[i] = hashKey(s.salt, c.Key)
	}
	return out
}

// Empty says that nothing was ever committed.
func (s *State) Empty() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.empty
}

// Height is the last committed height.
func (s *State) Height() unit.Height {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.height
}

// Root is the root at the last committed height.
func (s *State) Root() blob.Hash {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tree.root()
}

// Salt and Buckets are what a proof is checked with, beside the root.
func (s *State) Salt() [32]byte { return s.salt }

// Buckets is the number of leaves of the tree.
func (s *State) Buckets() int { return s.tree.buckets() }

// RootAt is the root at a height that is kept.
func (s *State) RootAt(height unit.Height) (blob.Hash, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.has(height); err != nil {
		return blob.Hash{}, err
	}
	return s.nodeAt(height, 1), nil
}

// At is the state at a height. It answers ErrHeight once the height is no longer
// kept: after two more commits at the soonest, and not while it is held.
func (s *State) At(height unit.Height) (Lister, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.has(height); err != nil {
		return nil, err
	}
	return version{s, height}, nil
}

// Hold keeps a height readable until release is called.
func (s *State) Hold(height unit.Height) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.has(height); err != nil {
		return nil, err
	}
	s.holds[height]++
	var once sync.Once
	return func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.holds[height]--; s.holds[height] == 0 {
				delete(s.holds, height)
			}
			s.forget()
		})
	}, nil
}

// HoldAt is the keys of a height that is kept: they stay readable until release is called.
func (s *State) HoldAt(height unit.Height) (at Lister, release func(), err error) {
	if release, err = s.Hold(height); err != nil {
		return nil, nil, err
	}
	if at, err = s.At(height); err != nil {
		release()
		return nil, nil, err
	}
	return at, release, nil
}

// has needs mu held.
func (s *State) has(height unit.Height) error {
	oldest := s.height
	if n := len(s.deltas); n > 0 {
		oldest = s.deltas[n-1].height - 1
	}
	if height > s.height || height < oldest {
		return fmt.Errorf("height %d of %d: %w", height, s.height, ErrHeight)
	}
	return nil
}

// forget drops the oldest deltas that no reader needs. It needs mu held for writing.
func (s *State) forget() {
	oldest := s.height.Minus(kept)
	for h := range s.holds {
		oldest = min(oldest, h)
	}
	size := 0
	for _, d := range s.deltas {
		size += d.bytes
	}
	for n := len(s.deltas); n > 0 && s.deltas[n-1].height <= oldest && (n > memoryKept || size > memoryBytes); n-- {
		size -= s.deltas[n-1].bytes
		s.deltas = s.deltas[:n-1]
	}
}

// since is the deltas that lead back to a height, newest first. It needs mu held.
func (s *State) since(height unit.Height) []*delta {
	k := 0
	for k < len(s.deltas) && s.deltas[k].height > height {
		k++
	}
	return s.deltas[:k]
}

// nodeAt is a node of the tree at a height. It needs mu held.
func (s *State) nodeAt(height unit.Height, i uint32) blob.Hash {
	for _, d := range slices.Backward(s.since(height)) {
		if h, ok := d.nodes.find(i); ok {
			return h
		}
	}
	return s.tree[i]
}

// get is a value at a height: the oldest delta that knows the key has the last
// word. It needs mu held.
func (s *State) get(height unit.Height, key []byte) ([]byte, bool, error) {
	for _, d := range slices.Backward(s.since(height)) {
		if c, ok := d.find(key); ok {
			return bytes.Clone(c.Value), !c.Delete, nil
		}
	}
	return s.present(key)
}

// present is a value that no commit under way changes. It needs mu held.
func (s *State) present(key []byte) ([]byte, bool, error) {
	if v, ok, known := s.recent.get(key); known {
		return v, ok, nil
	}
	v, ok, err := s.kv.Get(valueKey(key))
	if err == nil {
		s.recent.put(key, v, ok)
	}
	return v, ok, err
}

// pageAt is a page at a height. It needs mu held.
func (s *State) pageAt(height unit.Height, at place) ([]byte, error) {
	for _, d := range slices.Backward(s.since(height)) {
		if raw, ok := d.pages[at]; ok {
			return raw, nil
		}
	}
	return s.page(at)
}

// page is a page that no commit under way changes.
func (s *State) page(at place) ([]byte, error) {
	raw, _, err := s.kv.Get([]byte(at))
	return raw, err
}

func valueKey(key []byte) []byte { return append([]byte{letterValue}, key...) }

const bucketKeyLen = 5

func bucketKey(b int) []byte { return binary.BigEndian.AppendUint32([]byte{letterBucket}, uint32(b)) }
