package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	old := keepBytes
	keepBytes = budget
	t.Cleanup(func() { keepBytes = old })
	shape, err := blob.NewShape(4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare(context.Background(), shape, src, nil)
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
