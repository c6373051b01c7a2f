package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// changing is a source whose bytes are others from the second reading on.
type changing struct {
	first, then []byte
	opened      *int
}

func (c changing) Size() int64 { return int64(len(c.first)) }

func (c changing) Open(offset int64) (io.ReadCloser, error) {
	*c.opened++
	b := c.first
	if *c.opened > 1 {
		b = c.then
	}
	return io.NopCloser(bytes.NewReader(b[offset:])), nil
}

func prepared4(t *testing.T, budget int, src Source) *encodedBlob {
	t.Helper()
	keep := new(keeping)
	keep.give(budget)
	shape, err := blob.NewShape(4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare(context.Background(), shape, src, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What does not fit into memory is encoded again: the same stripes, each once, also
// when all of it is asked for a second time.
func TestWhatIsNotKeptIsEncodedAgainAlike(t *testing.T) {
	data := bytes.Repeat([]byte("walrus"), 100_000) // 7 stripes of 98,304 bytes
	for _, budget := range []int{0, 300_000, 1 << 30} {
		n := 0
		p := prepared4(t, budget, changing{data, data, &n})
		for _, skip := range []uint32{99, 0, 5} {
			next := uint32(0)
			err := p.stripes(context.Background(), func(s uint32) bool { return s != skip }, func(s *sharedStripe) error {
				if next == skip {
					next++
				}
				if s.number != next {
					t.Fatalf("stripe %d where %d was due", s.number, next)
				}
				next++
				got, err := blob.Climb(s.Tree().Root(), int(s.number), p.Layout.Stripes, p.tree.Path(int(s.number)))
				if err != nil || got != p.Root {
					t.Fatalf("stripe %d is another: %v", s.number, err)
				}
				s.users.Store(1)
				s.done()
				return nil
			})
			if err != nil || int(next) < p.Layout.Stripes-1 {
				t.Fatalf("budget %d: %d stripes, %v", budget, next, err)
			}
		}
	}
}

// All stores of a client share what they may keep, and give it back however they end.
func TestWhatIsKeptIsGivenBack(t *testing.T) {
	data := bytes.Repeat([]byte("walrus"), 100_000)
	n, n2 := 0, 0
	all := func(uint32) bool { return true }
	release := func(s *sharedStripe) error { s.users.Store(1); s.done(); return nil }
	a := prepared4(t, 1<<30, changing{data, data, &n})
	b, err := prepare(context.Background(), a.Layout.Shape, changing{data, data, &n2}, a.keep, nil)
	if err != nil || len(a.kept) != 7 || len(b.kept) != 7 {
		t.Fatalf("%d and %d stripes are kept, %v", len(a.kept), len(b.kept), err)
	}
	if err := a.stripes(context.Background(), all, func(s *sharedStripe) error { release(s); return errors.New("given") }); err == nil {
		t.Error("an error is lost")
	}
	if err := b.stripes(context.Background(), all, release); err != nil {
		t.Error(err)
	}
	if left := a.keep.left.Load(); left != 1<<30 || len(a.kept)+len(b.kept) != 0 {
		t.Errorf("%d bytes are not given back", 1<<30-left)
	}
	a.keep.left.Store(0)
	c, err := prepare(context.Background(), a.Layout.Shape, changing{data, data, &n2}, a.keep, nil)
	if err != nil || len(c.kept) != 0 {
		t.Errorf("%d stripes are kept for which there is no room, %v", len(c.kept), err)
	}
}

// What every member has is neither read nor encoded again.
func TestUnwantedStripesAreNotReadAgain(t *testing.T) {
	data := make([]byte, 600_000)
	n := 0
	p := prepared4(t, 0, changing{data, nil, &n})
	err := p.stripes(context.Background(), func(uint32) bool { return false }, func(*sharedStripe) error { return errors.New("given") })
	if err != nil || n != 1 {
		t.Errorf("opened %d times, %v", n, err)
	}
}

func TestAnInputThatChangesIsRefused(t *testing.T) {
	data := make([]byte, 600_000)
	other := bytes.Clone(data)
	other[500_000] = 1
	n := 0
	p := prepared4(t, 0, changing{data, other, &n})
	given := uint32(0)
	err := p.stripes(context.Background(), func(uint32) bool { return true }, func(s *sharedStripe) error { given++; return nil })
	if !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	if given > 5 {
		t.Errorf("%d stripes were given, the sixth had changed", given)
	}
}
