package redstuff

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestTheIDDependsOnContentAndShardsOnly(t *testing.T) {
	for _, n := range []int{4, 10, 31, 300} {
		maxSymbol := 64
		if n > 256 {
			maxSymbol = 2
		}
		c, l := layoutOf(t, n, 100_003, maxSymbol)
		content := contents(100_003, 7)
		ids := make(map[blob.ID]bool)
		for _, workers := range []int{1, 2, 3, 16} {
			for _, r := range []io.Reader{bytes.NewReader(content), iotest.HalfReader(bytes.NewReader(content)), iotest.DataErrReader(bytes.NewReader(content))} {
				commitment, tree, err := c.Commit(context.Background(), l, r, workers, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tree.Root() != commitment.Root || tree.Len() != l.Stripes {
					t.Fatal("the tree is not the commitment's")
				}
				ids[commitment.ID] = true
			}
		}
		if len(ids) != 1 {
			t.Fatalf("N=%d: %d IDs of one content", n, len(ids))
		}
		content[50_000] ^= 1
		other, _, err := c.Commit(context.Background(), l, bytes.NewReader(content), 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ids[other.ID] {
			t.Fatalf("N=%d: another content has the same ID", n)
		}
	}
}

func TestInputOfAnotherLengthGetsNoID(t *testing.T) {
	c, l := layoutOf(t, 7, 5000, 16)
	for length, want := range map[int]error{0: io.ErrUnexpectedEOF, 4999: io.ErrUnexpectedEOF, 240: io.ErrUnexpectedEOF, 5001: ErrTooLong, 9000: ErrTooLong} {
		if _, _, err := c.Commit(context.Background(), l, bytes.NewReader(make([]byte, length)), 2, nil); !errors.Is(err, want) {
			t.Errorf("%d bytes: want %v, got %v", length, want, err)
		}
	}
	broken := errors.New("disk on fire")
	if _, _, err := c.Commit(context.Background(), l, io.MultiReader(bytes.NewReader(make([]byte, 700)), iotest.ErrReader(broken)), 2, nil); !errors.Is(err, broken) {
		t.Errorf("want the reader's error, got %v", err)
	}
}

func TestStripesComeInOrderAndMayBeKept(t *testing.T) {
	c, l := layoutOf(t, 10, 100_003, 64)
	content := contents(100_003, 7)
	var kept []*Stripe
	if err := c.Encode(context.Background(), l, bytes.NewReader(content), 4, func(s *Stripe) error {
		if s.Index()%3 == 0 {
			kept = append(kept, s)
		} else {
			s.Release()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, s := range kept {
		if s.Index() != 3*i || s.Seg() != l.StripeSeg(s.Index()) || s.Bytes() < l.N*l.FragmentBytes(s.Index(), blob.Row) {
			t.Fatalf("stripe %d came as number %d, seg %d, %d bytes", s.Index(), 3*i, s.Seg(), s.Bytes())
		}
		var got []byte
		for p := range l.K1 {
			got = append(got, s.Row(blob.Place(p))...)
		}
		want := content[l.StripeOffset(s.Index()):][:l.StripeBytes(s.Index())]
		if !bytes.Equal(got[:len(want)], want) {
			t.Fatalf("kept stripe %d was overwritten", s.Index())
		}
		full := extendBoth(t, c, got, s.Seg(), blob.Column)
		for p := range l.N {
			if !bytes.Equal(s.Row(blob.Place(p)), full.line(blob.Row, p)[:l.K2*s.Seg()]) ||
				!bytes.Equal(s.Column(blob.Place(p)), full.line(blob.Column, p)[:l.K1*s.Seg()]) {
				t.Fatalf("stripe %d: fragments of place %d are not those of the code", s.Index(), p)
			}
			if !bytes.Equal(s.AppendFragment(nil, blob.Column, blob.Place(p)), s.Column(blob.Place(p))) {
				t.Fatal("a column has two spellings")
			}
		}
	}
}

// A stripe that is encoded alone is the one that Encode makes, the last and short one too.
func TestAStripeAloneIsThatOfItsBlob(t *testing.T) {
	for _, n := range []int{4, 10, 300} {
		maxSymbol := 64
		if n > 256 {
			maxSymbol = 2
		}
		c, l := layoutOf(t, n, 200_003, maxSymbol)
		content := contents(200_003, 7)
		_, tree, err := c.Commit(context.Background(), l, bytes.NewReader(content), 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{l.Stripes - 1, 0, l.Stripes / 2} {
			s, err := c.EncodeStripe(l, i, bytes.NewReader(content[l.StripeOffset(i):]), i%3)
			if err != nil {
				t.Fatal(err)
			}
			if s.Tree().Root() != tree.Leaf(i) || s.Index() != i || s.Seg() != l.StripeSeg(i) {
				t.Errorf("N=%d: stripe %d of %d is another", n, i, l.Stripes)
			}
			s.Release()
		}
		if _, err := c.EncodeStripe(l, 0, bytes.NewReader(content[:10]), 1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		for _, i := range []int{-1, l.Stripes} {
			if _, err := c.EncodeStripe(l, i, bytes.NewReader(content), 1); err == nil {
				t.Errorf("stripe %d of %d was encoded", i, l.Stripes)
			}
		}
	}
}

// Stripes whose root lists are known are those of Encode, without a symbol of them being hashed:
// they are not told from others, which is the caller's to exclude.
func TestWhatIsKnownIsNotHashedAgain(t *testing.T) {
	for _, n := range []int{4, 10, 300} {
		maxSymbol := 64
		if n > 256 {
			maxSymbol = 2
		}
		c, l := layoutOf(t, n, 400_003, maxSymbol)
		content := contents(400_003, 7)
		var whole []*Stripe
		var lists []blob.RootList
		if err := c.Encode(context.Background(), l, bytes.NewReader(content), 2, func(s *Stripe) error {
			whole, lists = append(whole, s), append(lists, s.Tree().List())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, known := range []int{0, 1, l.Stripes - 1, l.Stripes} {
			i := 0
			if err := c.EncodeKnown(context.Background(), l, bytes.NewReader(content), lists[:known], 2, func(s *Stripe) error {
				want := whole[i]
				if s.Tree().Root() != want.Tree().Root() || (s.parity == nil) != (i < known) {
					t.Fatalf("N=%d, %d known: stripe %d has another tree, or was hashed: %t", n, known, i, s.parity != nil)
				}
				for p := range l.N {
					if !bytes.Equal(s.Row(blob.Place(p)), want.Row(blob.Place(p))) || !bytes.Equal(s.Column(blob.Place(p)), want.Column(blob.Place(p))) {
						t.Fatalf("N=%d, %d known: place %d of stripe %d is another", n, known, p, i)
					}
				}
				i++
				s.Release()
				return nil
			}); err != nil || i != l.Stripes {
				t.Fatalf("%d of %d stripes, %v", i, l.Stripes, err)
			}
		}
	}
}

func TestEncodeStopsWhereItIsTold(t *testing.T) {
	c, l := layoutOf(t, 10, 100_003, 16)
	enough := errors.New("enough")
	seen := 0
	err := c.Encode(context.Background(), l, bytes.NewReader(make([]byte, l.Size)), 4, func(s *Stripe) error {
		seen++
		return enough
	})
	if !errors.Is(err, enough) || seen != 1 {
		t.Fatalf("each was called %d times, then %v", seen, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err = c.Encode(ctx, l, bytes.NewReader(make([]byte, l.Size)), 4, func(s *Stripe) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	}
	if err := c.Encode(ctx, l, bytes.NewReader(make([]byte, l.Size)), 4, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	}
}

func TestManyEncodeAtOnce(t *testing.T) {
	c, l := layoutOf(t, 10, 30_011, 64)
	content := contents(30_011, 1)
	want, _, err := c.Commit(context.Background(), l, bytes.NewReader(content), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, _, err := c.Commit(context.Background(), l, bytes.NewReader(content), 3, nil)
			if err != nil || got.ID != want.ID {
				t.Errorf("got %v, %v", got.ID, err)
			}
		})
	}
	wg.Wait()
}

// TestATinyBlobIsTinyInTheWholeNetwork: the coded root list is what keeps it so.
func TestATinyBlobIsTinyInTheWholeNetwork(t *testing.T) {
	shape, _ := blob.NewShape(100)
	l, err := shape.Layout(1000)
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	var c blob.Commitment
	c, tree, err := For(shape).Commit(context.Background(), l, bytes.NewReader(contents(1000, 1)), 1, func(s *Stripe) error {
		for p := range blob.Place(100) {
			values += len(s.Row(p)) + len(s.Column(p)) + len(s.Tree().Witness(p, s.Parity(p), nil).Encode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	values += 100 * len(blob.NewManifest(l, tree.Root()).Encode())
	t.Logf("%s: %d bytes over 100 places", c.ID, values)
	if values > 96<<10 {
		t.Fatalf("a blob of 1000 bytes weighs %d bytes", values)
	}
	if stored := l.StoredBytes(); stored < int64(values) {
		t.Fatalf("it pays for %d bytes and weighs %d", stored, values)
	}
}
