package blobs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/walrus-network/walrus/blob"
)

// piece names bytes of a blob: a whole stripe, or what was asked for of one.
type piece struct {
	id             blob.ID
	offset, length int64 // bytes, in the blob
}

// Of a file of the cache: the piece's bytes, then a checksum for each block of them. The
// bytes were verified against the blob before they were written, so the checksums are
// against a disk that fails, not against who writes to it.
const (
	blockBytes = 64 << 10
	sumBytes   = 4
	partSuffix = ".part"
	// fileCost is what a file takes on its disk beside its bytes, about.
	fileCost = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is returned for a file that is not what was written.
var errDamaged = errors.New("the file is damaged")

// cache keeps verified pieces in files of a directory, up to a number of bytes. The piece
// that was not read for longest goes first. All methods may be called at the same time.
type cache struct {
	dir string
	max int64 // bytes; 0: nothing is kept
	log *slog.Logger

	mu    sync.Mutex // guards the fields below
	order *simplelru.LRU[piece, struct{}]
	bytes int64
	told  time.Time // of a disk that fails, last
}

// openCache takes over what an earlier process left in dir.
func openCache(dir string, max int64, log *slog.Logger) (*cache, error) {
	order, err := simplelru.NewLRU[piece, struct{}](1<<40, nil) // the bytes bound it
	if err != nil {
		return nil, err
	}
	c := &cache{dir: dir, max: max, log: log, order: order}
	if max <= 0 {
		return c, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return c, c.load()
}

// load lists the files that are there, those written last as the last to go, and removes
// those that were not finished.
func (c *cache) load() error {
	type found struct {
		piece
		at time.Time
	}
	var all []found
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p, ok := parseName(d.Name())
		info, err := d.Info()
		if !ok || err != nil || info.Size() != p.fileBytes() {
			return os.Remove(path)
		}
		all = append(all, found{p, info.ModTime()})
		return nil
	})
	if err != nil {
		return fmt.Errorf("cache %s: %w", c.dir, err)
	}
	slices.SortFunc(all, func(a, b found) int { return a.at.Compare(b.at) })
	for _, f := range all {
		c.admit(f.piece)
	}
	return nil
}

func (p piece) name() string {
	return fmt.Sprintf("%s-%d-%d", hex.EncodeToString(p.id[:]), p.offset, p.length)
}

func parseName(name string) (p piece, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return p, false
	}
	n, err := hex.Decode(p.id[:], []byte(parts[0]))
	offset, err1 := strconv.ParseInt(parts[1], 10, 64)
	length, err2 := strconv.ParseInt(parts[2], 10, 64)
	p.offset, p.length = offset, length
	return p, n == len(p.id) && err == nil && err1 == nil && err2 == nil && offset >= 0 && length > 0 && p.name() == name
}

func (p piece) fileBytes() int64 { return p.length + sumBytes*((p.length+blockBytes-1)/blockBytes) }

// path keeps the files of a directory few.
func (c *cache) path(p piece) string {
	return filepath.Join(c.dir, hex.EncodeToString(p.id[:1]), p.name())
}

// admit counts a file that is there, and removes those for which there is no room.
func (c *cache) admit(p piece) {
	c.mu.Lock()
	var gone []piece
	if !c.order.Contains(p) {
		c.bytes += p.fileBytes() + fileCost
	}
	c.order.Add(p, struct{}{})
	for c.bytes > c.max {
		old, _, ok := c.order.RemoveOldest()
		if !ok {
			break
		}
		c.bytes -= old.fileBytes() + fileCost
		gone = append(gone, old)
	}
	c.mu.Unlock()
	for _, old := range gone {
		os.Remove(c.path(old))
	}
}

// drop removes a piece.
func (c *cache) drop(p piece) {
	c.mu.Lock()
	if c.order.Remove(p) {
		c.bytes -= p.fileBytes() + fileCost
	}
	c.mu.Unlock()
	os.Remove(c.path(p))
}

// has says whether a piece is there, and that it is wanted.
func (c *cache) has(p piece) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.order.Get(p)
	return ok
}

// put writes a piece. A disk that fails costs the piece, and nothing else.
func (c *cache) put(p piece, b parts) (kept bool) {
	if c.max <= 0 || p.fileBytes()+fileCost > c.max {
		return false
	}
	if c.has(p) {
		return true
	}
	err := c.write(p, b)
	if err == nil {
		c.admit(p)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.told) > time.Minute {
		c.told = time.Now()
		c.log.Warn("the cache cannot be written; blobs are fetched each time", "dir", c.dir, "err", err)
	}
	return false
}

func (c *cache) write(p piece, b parts) (err error) {
	path := c.path(p)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "*"+partSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	buf := buffers.Get().(*[blockBytes]byte)
	defer buffers.Put(buf)
	var sums []byte
	for at := int64(0); err == nil && at < p.length; at += blockBytes {
		block := buf[:b.copyAt(buf[:min(blockBytes, p.length-at)], at)]
		sums = binary.LittleEndian.AppendUint32(sums, crc32.Checksum(block, castagnoli))
		_, err = f.Write(block)
	}
	if err == nil {
		_, err = f.Write(sums)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// writeTo writes bytes [from, to) of a piece to w, each block checked before. n is how many
// were written. fs.ErrNotExist and errDamaged mean that the rest has to be fetched.
func (c *cache) writeTo(w io.Writer, p piece, from, to int64) (n int64, err error) {
	if !c.has(p) {
		return 0, fs.ErrNotExist
	}
	f, err := os.Open(c.path(p))
	if err != nil {
		c.drop(p)
		return 0, fs.ErrNotExist
	}
	defer f.Close()
	first, last := from/blockBytes, (to-1)/blockBytes
	sums := make([]byte, sumBytes*(last-first+1))
	if _, err := f.ReadAt(sums, p.length+sumBytes*first); err != nil {
		c.drop(p)
		return 0, errDamaged
	}
	buf := buffers.Get().(*[blockBytes]byte)
	defer buffers.Put(buf)
	for i := first; i <= last; i++ {
		block := buf[:min(blockBytes, p.length-i*blockBytes)]
		_, err := f.ReadAt(block, i*blockBytes)
		if err != nil || crc32.Checksum(block, castagnoli) != binary.LittleEndian.Uint32(sums[sumBytes*(i-first):]) {
			c.drop(p)
			return n, errDamaged
		}
		lo, hi := max(from-i*blockBytes, 0), min(to-i*blockBytes, int64(len(block)))
		m, err := w.Write(block[lo:hi])
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// buffers are blocks on their way to a reader.
var buffers = sync.Pool{New: func() any { return new([blockBytes]byte) }}
