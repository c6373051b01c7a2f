package fetch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	leak.Main(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

// holders is seven hosts, each with one place of a blob of some stripes.
type holders struct {
	*Fetcher
	d       *Directory
	c       blob.Commitment
	data    []byte
	stripes []*redstuff.Stripe
	shelves []*shelf // by place
}

// shelf is the fragments of one place.
type shelf struct {
	p2p.Keeper // nil: an upload is not expected
	h          *holders
	empty      bool          // it holds nothing
	lies       bool          // it changes a byte of each symbol
	pause      time.Duration // before each fragment: they come one after the other
	host       *p2p.Host
}

func (s *shelf) fragment(at blob.Position) []byte {
	stripe := s.h.stripes[at.Stripe]
	data := stripe.AppendFragment(nil, at.Axis, at.Place)
	for i := 0; s.lies && i < len(data); i += stripe.Seg() {
		data[i] ^= 1
	}
	return data
}

func (s *shelf) Fragment(ctx context.Context, at blob.Position) (data, witness []byte, err error) {
	if witness, err = s.Witness(ctx, at.Blob, at.Stripe, at.Place); err != nil {
		return nil, nil, err
	}
	time.Sleep(s.pause)
	return s.fragment(at), witness, nil
}

func (s *shelf) Symbols(ctx context.Context, at blob.Position, indices []int, proven bool) (out p2p.Symbols, err error) {
	witness, err := s.Witness(ctx, at.Blob, at.Stripe, at.Place)
	if err != nil {
		return out, err
	}
	time.Sleep(s.pause)
	code, seg := redstuff.For(s.h.d.Shape), s.h.c.Layout.StripeSeg(int(at.Stripe))
	if !proven {
		out.Data, err = code.SymbolsAt(at.Axis, s.fragment(at), seg, indices)
		return out, err
	}
	out.Witness = witness
	openings, err := code.Open(at.Axis, at.Place, s.fragment(at), seg, indices)
	for _, o := range openings {
		out.Openings = append(out.Openings, o.Encode())
	}
	return out, err
}

func (s *shelf) Witness(_ context.Context, id blob.ID, stripe uint32, p blob.Place) ([]byte, error) {
	if s.empty || id != s.h.c.ID || s.h.shelves[p] != s {
		return nil, p2p.ErrNotHeld
	}
	tree := s.h.stripes[stripe].Tree()
	return tree.Witness(p, s.h.stripes[stripe].Parity(p), s.h.path(int(stripe))).Encode(), nil
}

// path leads a stripe's root to the blob's.
func (h *holders) path(stripe int) []blob.Hash {
	roots := make([]blob.Hash, len(h.stripes))
	for i, s := range h.stripes {
		roots[i] = s.Tree().Root()
	}
	return blob.NewTree(roots).Path(stripe)
}

func newHost(t *testing.T, seed byte, listen ...string) *p2p.Host {
	t.Helper()
	h, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{seed}).Ed25519(), Listen: listen, Hello: p2p.Hello{Chain: "net", Version: "test"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func newHolders(t *testing.T) *holders {
	t.Helper()
	const size, seg = 50_000, 512 // 7 stripes, the last of them not full
	return newHoldersOf(t, size, seg, func(seed byte, holds bool) *p2p.Host {
		if holds {
			return newHost(t, seed, "/ip4/127.0.0.1/tcp/0")
		}
		return newHost(t, seed)
	})
}

// newHoldersOf makes holders of a blob, on hosts that open gives.
func newHoldersOf(t *testing.T, size int64, seg int, open func(seed byte, holds bool) *p2p.Host) *holders {
	t.Helper()
	const n = 7
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	h := &holders{d: &Directory{Shape: shape}, data: make([]byte, size)}
	rand.NewChaCha8([32]byte{5}).Read(h.data)
	layout, err := shape.LayoutWith(size, seg)
	if err != nil {
		t.Fatal(err)
	}
	h.c, _, err = redstuff.For(shape).Commit(t.Context(), layout, bytes.NewReader(h.data), 1, func(s *redstuff.Stripe) error {
		h.stripes = append(h.stripes, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.shelves = make([]*shelf, n)
	for shard := range n {
		s := &shelf{h: h, host: open(byte(1+shard), true)}
		s.host.ServeFragments(s)
		h.shelves[h.c.ID.PlaceOf(blob.Shard(shard), n)] = s
		h.d.Members = append(h.d.Members, Member{Peer: s.host.ID(), Addrs: s.host.Addrs(), Shards: 1})
		h.d.Holder, h.d.From = append(h.d.Holder, shard), append(h.d.From, -1)
	}
	h.Fetcher = New(open(99, false))
	t.Cleanup(h.Close)
	return h
}

func (h *holders) avoided() (out []blob.Place) {
	for p, s := range h.shelves {
		if h.Avoids(s.host.ID()) {
			out = append(out, blob.Place(p))
		}
	}
	return out
}

func TestAnyK1PlacesGiveTheBlob(t *testing.T) {
	h := newHolders(t)
	for _, held := range [][]blob.Place{{0, 1, 2, 3, 4, 5, 6}, {0, 1, 2}, {4, 5, 6}, {0, 3, 6}} {
		for p, s := range h.shelves {
			s.empty = !slices.Contains(held, blob.Place(p))
		}
		var got bytes.Buffer
		if err := h.Read(t.Context(), h.d, h.c, &got); err != nil || !bytes.Equal(got.Bytes(), h.data) {
			t.Errorf("places %v: %d bytes, %v", held, got.Len(), err)
		}
	}
	h.shelves[6].empty = true // two are left
	var got bytes.Buffer
	if err := h.Read(t.Context(), h.d, h.c, &got); !errors.Is(err, ErrUnavailable) || !bytes.HasPrefix(h.data, got.Bytes()) {
		t.Errorf("k1-1 places: %d bytes, a beginning of the blob: %t, %v", got.Len(), bytes.HasPrefix(h.data, got.Bytes()), err)
	}
	for p, s := range h.shelves { // no place of a source row
		s.empty = !slices.Contains([]blob.Place{5, 6}, blob.Place(p))
	}
	got.Reset()
	if err := h.Read(t.Context(), h.d, h.c, &got); !errors.Is(err, ErrUnavailable) || got.Len() > 0 {
		t.Errorf("two coded places: %d bytes, %v", got.Len(), err)
	}
	if list := h.avoided(); len(list) > 0 {
		t.Errorf("places %v are avoided for what they do not hold", list)
	}
}

func TestARangeIsTheBytesUnderIt(t *testing.T) {
	h := newHolders(t)
	size := int64(len(h.data))
	for _, r := range [][2]int64{{0, 0}, {0, 1}, {7679, 2}, {100, 3000}, {0, size}, {7000, 20_000}, {size - 1, 1}, {size, 0}} {
		var got bytes.Buffer
		if err := h.ReadRange(t.Context(), h.d, h.c, r[0], r[1], &got); err != nil || !bytes.Equal(got.Bytes(), h.data[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes from %d: %d bytes, %v", r[1], r[0], got.Len(), err)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {size + 1, 0}, {size - 1, 2}, {1, 1<<63 - 1}} {
		var got bytes.Buffer
		if err := h.ReadRange(t.Context(), h.d, h.c, r[0], r[1], &got); !errors.Is(err, ErrRange) || got.Len() > 0 {
			t.Errorf("%d bytes from %d: %d bytes, %v", r[1], r[0], got.Len(), err)
		}
	}
}

// A member that changes a byte is found out by every way of asking, and only it.
func TestAMemberThatLiesIsReadAroundAndAvoided(t *testing.T) {
	for name, ask := range map[string]func(*holders) error{
		"read": func(h *holders) error {
			var got bytes.Buffer
			err := h.Read(t.Context(), h.d, h.c, &got)
			if err == nil && !bytes.Equal(got.Bytes(), h.data) {
				return errors.New("wrong bytes")
			}
			return err
		},
		"range": func(h *holders) error {
			var got bytes.Buffer
			err := h.ReadRange(t.Context(), h.d, h.c, 0, 100, &got)
			if err == nil && !bytes.Equal(got.Bytes(), h.data[:100]) {
				return errors.New("wrong bytes")
			}
			return err
		},
		"audit": func(h *holders) error {
			got, err := h.Audit(t.Context(), h.d, h.c, 40, nil)
			if err == nil && (got.Held != 6 || !errors.Is(got.Err(), ErrUnproven)) {
				return errors.New("not all but one are proven")
			}
			return err
		},
	} {
		h := newHolders(t)
		h.shelves[0].lies = true
		if err := ask(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if list := h.avoided(); len(list) != 1 || list[0] != 0 {
			t.Errorf("%s: places %v are avoided", name, list)
		}
	}
}

// A lost place's fragments are rebuilt as they were: from symbols, though a member lies,
// and from whole rows where too few symbols can be reached.
func TestLostFragmentsAreRebuilt(t *testing.T) {
	const lost = 2
	for name, c := range map[string]struct {
		empty []blob.Place
		lies  bool
		whole bool
		fails map[blob.Axis]error
	}{
		"from symbols":                       {empty: []blob.Place{lost}},
		"from symbols, one of them false":    {empty: []blob.Place{lost}, lies: true},
		"a row lacks columns":                {empty: []blob.Place{lost, 5, 6}, fails: map[blob.Axis]error{blob.Row: ErrUnavailable}},
		"a row from whole rows":              {empty: []blob.Place{lost, 5, 6}, whole: true},
		"fewer than k1 places are there now": {empty: []blob.Place{lost, 3, 4, 5, 6}, whole: true, fails: map[blob.Axis]error{blob.Row: ErrUnavailable, blob.Column: ErrUnavailable}},
	} {
		h := newHolders(t)
		for _, p := range c.empty {
			h.shelves[p].empty = true
		}
		h.shelves[0].lies = c.lies
		type part struct {
			axis   blob.Axis
			stripe int
		}
		var mu sync.Mutex
		got := map[part][]byte{}
		err := h.Repair(t.Context(), h.d, h.c, Loss{To: uint32(len(h.stripes)), Columns: []blob.Place{lost}, Rows: []blob.Place{lost}}, c.whole, func(list StripeList, fragments []blob.FullFragment) error {
			mu.Lock()
			defer mu.Unlock()
			for _, x := range fragments {
				at := part{x.Position().Axis, list.Stripe()}
				if got[at] != nil || x.Position().Place != lost || int(x.Position().Stripe) != list.Stripe() {
					t.Errorf("%s: a fragment that was not asked for, or is there: %v", name, x.Position())
				}
				got[at] = x.Bytes()
			}
			return nil
		})
		if want := c.fails[blob.Row]; !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		for _, axis := range []blob.Axis{blob.Column, blob.Row} {
			for i, stripe := range h.stripes {
				if is := got[part{axis, i}]; (is == nil) != (c.fails[axis] != nil) || is != nil && !bytes.Equal(is, stripe.AppendFragment(nil, axis, lost)) {
					t.Errorf("%s: axis %v of stripe %d is another", name, axis, i)
				}
			}
		}
		if list := h.avoided(); (len(list) == 1 && list[0] == 0) != c.lies || len(list) > 1 {
			t.Errorf("%s: places %v are avoided", name, list)
		}
	}
}
