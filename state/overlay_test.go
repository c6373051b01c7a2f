package state

import (
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/unit"
)

func TestAnOverlayReadsLikeWhatItWillBecome(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	s := open(t, NewMemory())
	now := model{}
	for h := range unit.Height(20) {
		base, err := s.At(s.Height())
		if err != nil {
			t.Fatal(err)
		}
		block := NewOverlay(base)
		for range 5 {
			tx := NewOverlay(block)
			trial := now.clone()
			for _, c := range trial.mutate(r) {
				if c.Delete {
					tx.Delete(c.Key)
				} else {
					tx.Set(c.Key, c.Value)
				}
			}
			trial.matches(t, tx)
			if r.Intn(2) == 0 {
				tx.Merge(block)
				now = trial
			}
			now.matches(t, block)
		}
		commit(t, s, h, block.Changes())
		now.check(t, s, h)
	}
}

func (m model) matches(t *testing.T, l Lister) {
	t.Helper()
	n, last := 0, ""
	err := l.Each([]byte("b/"), func(k, v []byte) error {
		if want, ok := m[string(k)]; !ok || want != string(v) || string(k) <= last {
			return fmt.Errorf("%s = %s after %s, want %s", k, v, last, want)
		}
		n, last = n+1, string(k)
		return nil
	})
	want := 0
	for k, v := range m {
		if strings.HasPrefix(k, "b/") {
			want++
		}
		if got, ok, err := l.Get([]byte(k)); err != nil || !ok || string(got) != v {
			t.Fatalf("%s = %s %v %v, want %s", k, got, ok, err, v)
		}
	}
	if err != nil || n != want {
		t.Fatalf("%d keys, want %d: %v", n, want, err)
	}
}

func TestAWalkMayChangeTheOverlayAndEndEarly(t *testing.T) {
	o := NewOverlay(version{of: open(t, NewMemory())})
	for i := range 10 {
		o.Set(fmt.Appendf(nil, "k%d", i), nil)
	}
	stop := errors.New("stop")
	seen := 0
	err := o.Each([]byte("k"), func(k, _ []byte) error {
		o.Delete(k)
		o.Set(append(k, 'x'), nil)
		if seen++; seen == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 5 {
		t.Fatalf("%d keys: %v", seen, err)
	}
	if _, ok, _ := o.Get([]byte("k0")); ok {
		t.Fatal("a deleted key is there")
	}
}

func TestAPrefixOfManyPagesIsWalkedInOrder(t *testing.T) {
	s := open(t, NewMemory())
	var c []Change
	const n = 3*page + 5
	c = append(c, Change{Key: []byte("p")})
	for i := range n {
		c = append(c, Change{Key: fmt.Appendf(nil, "p%06d", i)})
	}
	commit(t, s, 1, append(c, Change{Key: []byte("q")}))
	at, err := s.At(1)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	err = at.Each([]byte("p"), func(k, _ []byte) error {
		if string(k) != string(c[i].Key) {
			return fmt.Errorf("%s, want %s", k, c[i].Key)
		}
		i++
		return nil
	})
	if err != nil || i != n+1 {
		t.Fatalf("%d of %d: %v", i, n+1, err)
	}
}
