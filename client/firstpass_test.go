package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/walrus-network/walrus/blob"
)

// counted is a source that counts the bytes that were read of it.
type counted struct {
	b    []byte
	read int
}

func (c *counted) Size() int64 { return int64(len(c.b)) }

func (c *counted) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(io.TeeReader(bytes.NewReader(c.b[offset:]), c)), nil
}

func (c *counted) Write(p []byte) (int, error) { c.read += len(p); return len(p), nil }

// passing4 is a client of a network of four shards, where a stripe has 98,304 bytes, and a blob
// of some stripes and a part of one.
func passing4(t *testing.T, stripes int) (*Client, []byte) {
	t.Helper()
	shape, err := blob.NewShape(4)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, stripes*98_304+1_000)
	rand.NewChaCha8([32]byte{3}).Read(data)
	c := &Client{Shape: shape, encoding: make(chan struct{}, 1)}
	return c, data
}

func idOf(t *testing.T, c *Client, data []byte) blob.ID {
	t.Helper()
	want, err := Identify(t.Context(), c.Shape, &counted{b: data}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return want.ID
}

// After the last byte at most a stripe is left to read and encode; and what is read is read once.
func TestStripesAreEncodedAsTheirBytesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, data := passing4(t, 5)
		src := &counted{b: data}
		p := c.beginPass(t.Context(), src)
		for there := 0; there < len(data); there += 10_000 {
			p.grow(int64(there))
			synctest.Wait()
			if want := there / 98_304 * 98_304; src.read != want {
				t.Fatalf("%d bytes are there, and %d were read, want %d", there, src.read, want)
			}
			if len(c.encoding) != 0 {
				t.Fatal("a pass has the place for encoding while it waits for bytes")
			}
		}
		p.grow(src.Size())
		a := p.end()
		if a == nil || a.ID() != idOf(t, c, data) || src.read != len(data) {
			t.Errorf("%d of %d bytes were read: %+v", src.read, len(data), a)
		}
	})
}

// Pass 2 of a store that began with its spool gives the stripes of any other, all of them or some,
// and hashes none again as far as root lists are kept.
func TestWhatWasHashedAsItCameIsNotHashedAgain(t *testing.T) {
	c, data := passing4(t, 6)
	p := c.beginPass(t.Context(), &counted{b: data})
	p.grow(int64(len(data)))
	e := p.end().p
	if len(e.lists) != 7 {
		t.Fatalf("%d lists are kept", len(e.lists))
	}
	other := prepared4(t, 0, &counted{b: data})
	for _, kept := range []int{7, 3, 0} {
		e.lists = e.lists[:kept]
		for _, from := range []uint32{0, 2, 6, 7} {
			rows := func(p *encodedBlob) (out [][]byte) {
				if err := p.stripes(t.Context(), func(s uint32) bool { return s >= from }, func(s *sharedStripe) error {
					out = append(out, s.Tree().List().Bytes())
					for i := range p.Layout.N {
						out = append(out, bytes.Clone(s.Row(blob.Place(i))), bytes.Clone(s.Column(blob.Place(i))))
					}
					s.Release()
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				return out
			}
			if got, want := rows(e), rows(other); len(got) != len(want) || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d lists, from stripe %d: other bytes", kept, from)
			}
		}
	}
}

// Passes beyond the first wait for the place, and all end.
func TestPassesShareOnePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, data := passing4(t, 3)
		c.encoding <- struct{}{}
		var passes []*firstPass
		var sources []*counted
		for range 20 {
			src := &counted{b: data}
			p := c.beginPass(t.Context(), src)
			p.grow(src.Size())
			passes, sources = append(passes, p), append(sources, src)
		}
		synctest.Wait()
		for _, src := range sources {
			if src.read != 0 {
				t.Fatal("a pass encodes without the place")
			}
		}
		passes[0].drop() // as where its client hangs up
		<-c.encoding
		for _, p := range passes[1:] {
			if a := p.end(); a == nil || a.ID() != idOf(t, c, data) {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func TestASpoolBeginsTheStoreOfWhatItTakes(t *testing.T) {
	c, data := passing4(t, 40)
	dir := t.TempDir()
	src, a, remove, err := c.SpoolAhead(t.Context(), bytes.NewReader(data), dir, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := src.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, data) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if a == nil || a.ID() != idOf(t, c, data) {
		t.Errorf("%+v", a)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}

	broken, hungUp := errors.New("broken"), errors.New("hung up")
	ended, end := context.WithCancelCause(t.Context())
	end(hungUp)
	for name, of := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		size int
		err  error
	}{
		"fewer bytes":      {t.Context(), bytes.NewReader(data), len(data) + 1, nil},
		"more bytes":       {t.Context(), bytes.NewReader(data), len(data) - 1, nil},
		"one stripe":       {t.Context(), bytes.NewReader(data[:98_304]), 98_304, nil},
		"nothing":          {t.Context(), bytes.NewReader(nil), 0, nil},
		"the reader fails": {t.Context(), io.MultiReader(bytes.NewReader(data[:500_000]), iotest.ErrReader(broken)), len(data), broken},
		"a client is gone": {ended, bytes.NewReader(data), len(data), nil},
	} {
		_, a, remove, err := c.SpoolAhead(of.ctx, of.r, dir, int64(of.size))
		if !errors.Is(err, of.err) || a != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		if err == nil {
			remove()
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v lie there", left)
	}
}
