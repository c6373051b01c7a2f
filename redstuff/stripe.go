package redstuff

import (
	"sync"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
)

// Stripe is one encoded stripe: the stored symbols of all rows and columns, and their
// commitments. It belongs to the function that it is handed to, for as long as that one
// likes; its methods may be called from many goroutines.
type Stripe struct {
	code  *Code
	index int
	seg   int
	frame *frame

	parity []blob.Roots // of each place: the Merkle roots of its parity leaves; nil: nothing was hashed
	tree   *blob.StripeTree
}

// frame is the memory of a stripe, which is used again for the next.
type frame struct {
	// rows holds the N rows of k2 stored symbols, one after the other. The first
	// k1*k2 symbols are the blob's bytes, in their order.
	rows []byte
	// wing holds the f parity columns of k1 stored symbols, one after the other. The
	// remaining 2f x f corner of the matrix is hashed and no place stores it.
	wing []byte
	// leaves are the hashes of all N*N symbols, row by row.
	leaves []blob.Hash
}

// newStripe takes a frame for stripe i of l. What is in it is left from the last use.
func (c *Code) newStripe(l blob.Layout, i int) *Stripe {
	f, _ := c.frames.Get().(*frame)
	if f == nil {
		f = &frame{leaves: make([]blob.Hash, c.shape.N*c.shape.N)}
	}
	seg := l.StripeSeg(i)
	f.rows = sized(f.rows, c.shape.N*c.shape.K2*seg)
	f.wing = sized(f.wing, c.shape.F*c.shape.K1*seg)
	return &Stripe{code: c, index: i, seg: seg, frame: f}
}

func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// Index is which stripe of the blob it is.
func (s *Stripe) Index() int { return s.index }

// Seg is the length in bytes of its symbols.
func (s *Stripe) Seg() int { return s.seg }

// Row is the k2 stored symbols of row p: a view, valid until Release.
func (s *Stripe) Row(p blob.Place) []byte {
	width := s.code.shape.K2 * s.seg
	return s.frame.rows[int(p)*width : (int(p)+1)*width : (int(p)+1)*width]
}

// Column is the k1 stored symbols of column p: a copy for a source column, a view
// like Row for a parity column.
func (s *Stripe) Column(p blob.Place) []byte {
	if int(p) < s.code.shape.K2 {
		return s.appendColumn(make([]byte, 0, s.code.shape.K1*s.seg), p)
	}
	return s.parityColumn(int(p) - s.code.shape.K2)
}

// appendColumn appends the k1 stored symbols of column p to dst.
func (s *Stripe) appendColumn(dst []byte, p blob.Place) []byte {
	if j := int(p) - s.code.shape.K2; j >= 0 {
		return append(dst, s.parityColumn(j)...)
	}
	for i := range s.code.shape.K1 {
		dst = append(dst, s.symbol(i, int(p))...)
	}
	return dst
}

// AppendFragment appends the stored symbols of the fragment of place p along axis to dst.
func (s *Stripe) AppendFragment(dst []byte, axis blob.Axis, p blob.Place) []byte {
	if axis == blob.Row {
		return append(dst, s.Row(p)...)
	}
	return s.appendColumn(dst, p)
}

// Tree is its root list, shares and stripe root.
func (s *Stripe) Tree() *blob.StripeTree { return s.tree }

// Parity is the Merkle roots over the parity leaves of place p's row and column:
// what a witness holds beside the roots. A stripe whose root list was known has none.
func (s *Stripe) Parity(p blob.Place) blob.Roots { return s.parity[p] }

// Bytes is the memory it holds until Release.
func (s *Stripe) Bytes() int {
	return cap(s.frame.rows) + cap(s.frame.wing) + 32*len(s.frame.leaves) + s.code.shape.N*(s.code.shape.ShareBytes()+4*64)
}

// stripeBytes is the Bytes of the largest stripe of l, known before it is encoded.
func (c *Code) stripeBytes(l blob.Layout) int {
	n, symbols := c.shape.N, c.shape.N*c.shape.K2+c.shape.F*c.shape.K1
	return symbols*l.Seg + 32*n*n + n*(c.shape.ShareBytes()+4*64)
}

// Release gives the symbols' memory to the next stripe; views of it are void then.
// Tree and Parity stay. It is called at most once; a stripe that is dropped without
// it costs only garbage.
func (s *Stripe) Release() {
	s.code.frames.Put(s.frame)
	s.frame = nil
}

// symbol is the stored symbol in row i and source column j.
func (s *Stripe) symbol(i, j int) []byte {
	from := (i*s.code.shape.K2 + j) * s.seg
	return s.frame.rows[from : from+s.seg : from+s.seg]
}

func (s *Stripe) parityColumn(j int) []byte {
	height := s.code.shape.K1 * s.seg
	return s.frame.wing[j*height : (j+1)*height : (j+1)*height]
}

// source is the k1*k2 symbols of the blob's own bytes.
func (s *Stripe) source() []byte {
	return s.frame.rows[:s.code.shape.K1*s.code.shape.K2*s.seg]
}

// columnRun is about how many bytes of a row one column job takes at once: enough
// to feed the arithmetic, few enough that what it made is still in the cache when
// it is hashed.
const columnRun = 16 << 10

// encode extends and hashes the stripe with up to workers goroutines. Columns go
// first, a few neighbours at a time, then rows; a symbol is hashed by the job that
// made it (or, of the source, by the one that read it), while it is in the cache. known, if not
// nil, is the root list: then nothing is hashed, and symbols that no place stores are not made.
func (s *Stripe) encode(workers int, known blob.RootList) error {
	shape := s.code.shape
	run, hash, rows := max(1, columnRun/s.seg), known == nil, shape.N
	err := parallel(workers, (shape.K2+run-1)/run, func(w *worker, job int) error {
		return s.encodeColumns(w, job*run, min((job+1)*run, shape.K2), hash)
	})
	if err != nil {
		return err
	}
	if !hash {
		rows = shape.K1
	}
	err = parallel(workers, rows, func(w *worker, row int) error { return s.encodeRow(w, row, hash) })
	if err != nil {
		return err
	}
	if !hash {
		s.tree = s.code.EncodeList(known)
		return nil
	}
	return s.commit(workers)
}

// worker is what one goroutine of encode uses again for each job.
type worker struct {
	shards [][]byte
	buf    []byte
	leaves []blob.Hash
}

var idle = sync.Pool{New: func() any { return new(worker) }}

// encodeColumns extends the source columns from to to-1, and hashes their N symbols if it shall.
func (s *Stripe) encodeColumns(w *worker, from, to int, hash bool) error {
	shape, seg := s.code.shape, s.seg
	w.shards = w.shards[:0]
	for i := range shape.N {
		row := s.Row(blob.Place(i))
		w.shards = append(w.shards, row[from*seg:to*seg])
	}
	if err := s.code.lines[blob.Column].extend(w.shards, seg); err != nil || !hash {
		return err
	}
	for i, shard := range w.shards {
		for j := from; j < to; j++ {
			s.frame.leaves[i*shape.N+j] = blob.Leaf(shard[(j-from)*seg : (j-from+1)*seg])
		}
	}
	return nil
}

// encodeRow extends row i, and hashes its parity symbols if it shall. Those of a source row are
// kept, as parts of the parity columns.
func (s *Stripe) encodeRow(w *worker, i int, hash bool) error {
	shape, seg := s.code.shape, s.seg
	w.shards = w.shards[:0]
	for j := range shape.K2 {
		w.shards = append(w.shards, s.symbol(i, j))
	}
	w.buf = sized(w.buf, shape.F*seg)
	for j := range shape.F {
		if i < shape.K1 {
			w.shards = append(w.shards, s.parityColumn(j)[i*seg:(i+1)*seg])
		} else {
			w.shards = append(w.shards, w.buf[j*seg:(j+1)*seg])
		}
	}
	if err := s.code.lines[blob.Row].extend(w.shards, seg); err != nil || !hash {
		return err
	}
	for j, symbol := range w.shards[shape.K2:] {
		s.frame.leaves[i*shape.N+shape.K2+j] = blob.Leaf(symbol)
	}
	return nil
}

// commit makes the roots of all places and the stripe's trees from the leaves.
func (s *Stripe) commit(workers int) error {
	shape := s.code.shape
	list := make(blob.RootList, shape.N)
	s.parity = make([]blob.Roots, shape.N)
	err := parallel(workers, shape.N, func(w *worker, p int) error {
		row := s.frame.leaves[p*shape.N : (p+1)*shape.N]
		list[p].Row, s.parity[p].Row = fragmentRoot(row, shape.K2)
		w.leaves = w.leaves[:0]
		for i := range shape.N {
			w.leaves = append(w.leaves, s.frame.leaves[i*shape.N+p])
		}
		list[p].Column, s.parity[p].Column = fragmentRoot(w.leaves, shape.K1)
		return nil
	})
	if err != nil {
		return err
	}
	s.tree = s.code.EncodeList(list)
	return nil
}

func fragmentRoot(leaves []blob.Hash, k int) (root, parity blob.Hash) {
	parity = blob.Root(leaves[k:])
	return blob.Node(blob.Root(leaves[:k]), parity), parity
}

// parallel does jobs 0..n-1 in up to limit goroutines and waits for them. After a
// first error no further job is begun.
func parallel(limit, n int, do func(w *worker, job int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	loop := func() {
		w := idle.Get().(*worker)
		defer func() {
			clear(w.shards[:cap(w.shards)]) // they would keep a stripe's memory
			idle.Put(w)
		}()
		for job := next.Add(1) - 1; job < int64(n) && failed.Load() == nil; job = next.Add(1) - 1 {
			if err := do(w, int(job)); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		}
	}
	var wg sync.WaitGroup
	for range min(limit, n) - 1 {
		wg.Go(loop)
	}
	loop()
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
