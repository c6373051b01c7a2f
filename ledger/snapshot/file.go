package snapshot

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

const (
	extentBytes  = 4 << 10   // of a subtree's keys that are written together: all subtrees' fill 16 MiB
	roomEvery    = 32 << 20  // bytes written between two looks for room on the disk
	reserveFree  = 512 << 20 // bytes of the file system that a snapshot leaves free
	largeSubtree = 1 << 20   // bytes: a subtree of more is kept in memory while it is asked for
	answerReads  = 4 << 20   // bytes that are read for one answer, beyond which it has no further node
)

// file is a state at one height, its keys in the order of the tree's subtrees. The state
// itself lies in the order of keys, where a subtree's are anywhere.
type file struct {
	salt    [32]byte
	buckets int
	level   int // of the cut
	height  unit.Height
	top     []blob.Hash
	f       *os.File   // without a name: it is gone when the process is
	extents [][]extent // by subtree
	bytes   int64
	turns   [][]byte // see Turns

	mu    sync.Mutex // guards the fields below, and makes readers of large subtrees wait for each other
	large int        // index of the subtree that is kept; -1: none
	kept  []keyed
}

type extent struct {
	at   int64
	size int32
}

// keyed is an item with the leaf that it makes.
type keyed struct {
	state.Leaf
	item state.Item
}

// makeFile walks the state at a height once.
func makeFile(dir string, m Source, height unit.Height, stop <-chan struct{}) (_ *file, err error) {
	out := &file{salt: m.Salt(), buckets: m.Buckets(), level: state.TopLevel(m.Buckets()), height: height, large: -1}
	at, release, err := m.HoldAt(height)
	if err != nil {
		return nil, err
	}
	defer release()
	if out.top, err = m.Nodes(height, out.level); err != nil {
		return nil, err
	}
	if out.f, err = os.CreateTemp(dir, "snapshot-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			out.f.Close()
		}
	}()
	if err = os.Remove(out.f.Name()); err != nil {
		return nil, err
	}
	w := fileWriter{file: out, dir: dir, w: bufio.NewWriterSize(out.f, 1<<20), open: make([][]byte, len(out.top))}
	out.extents = make([][]extent, len(out.top))
	err = at.Each(nil, func(k, v []byte) error {
		select {
		case <-stop:
			return errClosed
		default:
			return w.put(k, v)
		}
	})
	if err == nil {
		err = w.finish()
	}
	return out, err
}

var errClosed = errors.New("the node stops")

type fileWriter struct {
	*file
	dir  string
	w    *bufio.Writer
	open [][]byte // by subtree, what is not written yet
}

func (w *fileWriter) put(k, v []byte) error {
	i := state.LeafOf(w.salt, state.Item{Key: k}).Node(w.buckets, w.level) - uint32(len(w.top))
	b := w.open[i]
	b = binary.AppendUvarint(b, uint64(len(k)))
	b = binary.AppendUvarint(append(b, k...), uint64(len(v)))
	w.open[i] = append(b, v...)
	if len(w.open[i]) >= extentBytes {
		return w.flush(i)
	}
	return nil
}

func (w *fileWriter) flush(i uint32) error {
	b := w.open[i]
	if len(b) == 0 {
		return nil
	}
	if w.bytes/roomEvery != (w.bytes+int64(len(b)))/roomEvery || w.bytes == 0 {
		free, err := kv.FreeBytes(w.dir)
		if err == nil && free < reserveFree {
			err = fmt.Errorf("a snapshot of height %d: %w", w.height, kv.ErrFull)
		}
		if err != nil {
			return err
		}
	}
	w.extents[i] = append(w.extents[i], extent{w.bytes, int32(len(b))})
	w.bytes += int64(len(b))
	w.open[i] = b[:0]
	_, err := w.w.Write(b)
	return err
}

func (w *fileWriter) finish() error {
	for i := range w.open {
		if err := w.flush(uint32(i)); err != nil {
			return err
		}
	}
	w.open = nil
	return w.w.Flush()
}

// subtree is the keys of one subtree of the cut, in the order of their leaves.
func (f *file) subtree(i int) ([]keyed, error) {
	size := 0
	for _, e := range f.extents[i] {
		size += int(e.size)
	}
	if size > largeSubtree {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.large == i {
			return f.kept, nil
		}
	}
	raw := make([]byte, size)
	at := 0
	for _, e := range f.extents[i] {
		if _, err := f.f.ReadAt(raw[at:at+int(e.size)], e.at); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		at += int(e.size)
	}
	var out []keyed
	for len(raw) > 0 {
		k := cutBytes(&raw)
		x := state.Item{Key: k, Value: cutBytes(&raw)}
		out = append(out, keyed{state.LeafOf(f.salt, x), x})
	}
	slices.SortFunc(out, func(a, b keyed) int { return a.Compare(b.Leaf, f.buckets) })
	if size > largeSubtree {
		f.large, f.kept = i, out
	}
	return out, nil
}

// cutBytes reads what put wrote.
func cutBytes(raw *[]byte) []byte {
	n, used := binary.Uvarint(*raw)
	out := (*raw)[used : used+int(n)]
	*raw = (*raw)[used+int(n):]
	return out
}

// of is the subtree that a node, at the level of the cut or below, lies in.
func (f *file) of(node uint32) int {
	return int(node>>(state.LevelOf(node)-f.level)) - len(f.top)
}

// under is the keys under a node, at the level of the cut or below.
func (f *file) under(node uint32) ([]keyed, error) {
	list, err := f.subtree(f.of(node))
	if err != nil {
		return nil, err
	}
	return f.part(list, node), nil
}

// part is the keys of a subtree that are under a node.
func (f *file) part(list []keyed, node uint32) []keyed {
	level := state.LevelOf(node)
	if level == f.level {
		return list
	}
	from, _ := slices.BinarySearchFunc(list, node, func(k keyed, n uint32) int { return int(k.Node(f.buckets, level)) - int(n) })
	to := from
	for to < len(list) && list[to].Node(f.buckets, level) == node {
		to++
	}
	return list[from:to]
}

// travel is an item as it is sent.
func (k keyed) travel() state.Item {
	if len(k.item.Value) > longValue {
		return state.Item{Key: k.item.Key, Hash: k.Value[:]}
	}
	return k.item
}

func sizeOf(i state.Item) int { return len(i.Key) + len(i.Value) + len(i.Hash) + itemFrame }

// checkNode refuses a node that is not at the level of the cut or of the buckets.
func (f *file) checkNode(node uint32) error {
	if l := state.LevelOf(node); node == 0 || l != f.level && l != state.LevelOf(uint32(f.buckets)) {
		return p2p.Refuse(p2p.CodeBadRequest, "node %d is neither a subtree of the cut nor a bucket", node)
	}
	return nil
}

// items answers askItems.
func (f *file) items(q stateQuestion) (a itemsAnswer, err error) {
	if err := f.checkNode(q.Node); err != nil {
		return a, err
	}
	if q.Count == 0 || q.Count > maxRun || state.LevelOf(q.Node+q.Count-1) != state.LevelOf(q.Node) {
		return a, p2p.Refuse(p2p.CodeBadRequest, "%d nodes from %d", q.Count, q.Node)
	}
	total, read, in := 0, int64(0), -1
	var whole []keyed // the keys of the subtree in
	for node := q.Node; node < q.Node+q.Count; node++ {
		if i := f.of(node); i != in {
			if read > answerReads {
				return a, nil
			}
			if whole, err = f.subtree(i); err != nil {
				return a, err
			}
			in = i
			for _, e := range f.extents[i] {
				read += int64(e.size)
			}
		}
		list := f.part(whole, node)
		out, size := make([]state.Item, len(list)), 1
		for i, k := range list {
			out[i] = k.travel()
			size += sizeOf(out[i])
		}
		if total += size; total > answerBytes {
			if len(a.Nodes) == 0 && state.LevelOf(node) < state.LevelOf(uint32(f.buckets)) {
				a.Buckets = encodeHashes(state.BucketsBelow(f.buckets, node, leavesOf(list)))
			}
			return a, nil
		}
		a.Nodes = append(a.Nodes, out)
	}
	return a, nil
}

func leavesOf(list []keyed) []state.Leaf {
	out := make([]state.Leaf, len(list))
	for i, k := range list {
		out[i] = k.Leaf
	}
	return out
}

// bucket is the keys of a bucket.
func (f *file) bucket(node uint32) ([]keyed, error) {
	if state.LevelOf(node) != state.LevelOf(uint32(f.buckets)) {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "node %d is no bucket", node)
	}
	return f.under(node)
}

// bucketItems answers askBucket.
func (f *file) bucketItems(q stateQuestion) (a itemsAnswer, err error) {
	list, err := f.bucket(q.Node)
	if err != nil {
		return a, err
	}
	if q.From >= uint64(len(list)) {
		return a, p2p.Refuse(p2p.CodeBadRequest, "bucket %d has %d keys, not more than %d", q.Node, len(list), q.From)
	}
	total := 0
	var out []state.Item
	for _, k := range list[q.From:] {
		x := k.travel()
		if total += sizeOf(x); total > answerBytes && len(out) > 0 {
			break
		}
		out = append(out, x)
	}
	return itemsAnswer{Nodes: [][]state.Item{out}}, nil
}

// value answers askValue.
func (f *file) value(q stateQuestion) (partAnswer, error) {
	list, err := f.subtree(int(state.LeafOf(f.salt, state.Item{Key: q.Key}).Node(f.buckets, f.level)) - len(f.top))
	if err != nil {
		return partAnswer{}, err
	}
	for _, k := range list {
		if bytes.Equal(k.item.Key, q.Key) {
			return cutPart(k.item.Value, q.From), nil
		}
	}
	return partAnswer{}, p2p.Refuse(p2p.CodeNotHeld, "no such key at height %d", f.height)
}
