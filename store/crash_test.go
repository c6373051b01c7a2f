package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
)

const childEnv = "WALRUS_STORE_TEST_CHILD"

// crashBlob is one of the blobs that child and parent both can make.
func crashBlob(t testing.TB, i int) *encoded {
	data := randomBytes(uint64(i), 24_000)
	if i%5 == 0 {
		data = make([]byte, 24_000+i) // share their bytes
	}
	return encode(t, 4, 1024, data)
}

// childTB lets the child use the tests' encoder.
type childTB struct{ testing.TB }

func (childTB) Helper()           {}
func (childTB) Fatal(args ...any) { fmt.Println("fail", fmt.Sprint(args...)); os.Exit(1) }
func childMust(err error) {
	if err != nil {
		childTB{}.Fatal(err)
	}
}

// runChild keeps, drops and collects from several goroutines without end, and says
// what was acknowledged. The parent kills it.
func runChild(dir string) {
	first, _ := strconv.Atoi(os.Getenv(childEnv + "_FIRST"))
	s, err := Open(Options{Dir: dir})
	childMust(err)
	var mu sync.Mutex
	say := func(args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(args...)
	}
	var wg sync.WaitGroup
	const writers = 4
	for w := range writers {
		wg.Go(func() {
			for i := first + w; ; i += writers {
				e := crashBlob(childTB{}, i)
				say("keeping", i)
				childMust(s.Keep(ctx, e.m))
				for _, p := range e.pieces(childTB{}, 0, 1) {
					childMust(s.Put(ctx, e.c.ID, p))
					at := p.Fragment.Position()
					say("put", i, at.Stripe, at.Place, uint8(at.Axis))
				}
				if i%3 != 0 {
					say("dropping", i)
					childMust(s.Drop(ctx, e.c.ID))
					say("dropped", i)
				}
			}
		})
	}
	wg.Go(func() {
		for {
			childMust(s.Collect(ctx))
			say("collected", 0)
		}
	})
	wg.Wait()
}

type crashState struct {
	put      map[blob.Position]int
	dropped  map[int]bool // said to be; others may be half way
	dropping map[int]bool
	next     int
}

func TestWhatWasAcknowledgedSurvivesKilling(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	dir := t.TempDir()
	st := crashState{put: map[blob.Position]int{}, dropped: map[int]bool{}, dropping: map[int]bool{}}
	blobs := map[int]*encoded{}
	for round := range 3 {
		st.kill(t, dir, blobs)
		s, err := Open(Options{Dir: dir})
		must(t, err)
		st.check(t, s, blobs)
		if round == 2 {
			res, err := s.Scrub(ctx)
			must(t, err)
			if res.Rotten != 0 {
				t.Errorf("scrub: %+v", res)
			}
			must(t, s.Collect(ctx))
			st.check(t, s, blobs)
			for i := range st.dropping {
				must(t, s.Drop(ctx, blobs[i].c.ID)) // finishes what was cut off
			}
			sound(t, s)
		}
		must(t, s.Close())
	}
	t.Logf("%d fragments acknowledged, %d blobs dropped", len(st.put), len(st.dropped))
	if len(st.put) == 0 || len(st.dropped) == 0 {
		t.Error("nothing was raced")
	}
}

func (st *crashState) kill(t *testing.T, dir string, blobs map[int]*encoded) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_FIRST="+strconv.Itoa(st.next))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines, collected := 0, 0
	for in := bufio.NewScanner(out); in.Scan(); {
		f := strings.Fields(in.Text())
		n := make([]int, len(f))
		for i := 1; i < len(f); i++ {
			n[i], _ = strconv.Atoi(f[i])
		}
		switch f[0] {
		case "fail":
			t.Error(in.Text())
		case "keeping":
			blobs[n[1]] = crashBlob(t, n[1])
			st.next = max(st.next, n[1]+1)
		case "put":
			at := blob.Position{Blob: blobs[n[1]].c.ID, Stripe: uint32(n[2]), Place: blob.Place(n[3]), Axis: blob.Axis(n[4])}
			st.put[at] = n[1]
		case "dropping":
			st.dropping[n[1]] = true
		case "dropped":
			st.dropped[n[1]] = true
		case "collected":
			collected++
		}
		if lines++; lines > 400 && collected > 0 || f[0] == "fail" {
			cmd.Process.Kill() // what was said before still counts
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

func (st *crashState) check(t *testing.T, s *Store, blobs map[int]*encoded) {
	t.Helper()
	for at, i := range st.put {
		v, err := s.Fragment(at)
		switch {
		case st.dropped[i] && err == nil:
			t.Errorf("%v was dropped and is back", at)
		case !st.dropping[i] && err != nil:
			t.Errorf("%v was acknowledged: %v", at, err)
		case err == nil && string(v.Bytes()) != string(blobs[i].piece(t, int(at.Stripe), at.Place, at.Axis).Fragment.Bytes()):
			t.Errorf("%v reads otherwise", at)
		}
	}
	if got, want := s.totals(), recount(t, s); got != want {
		t.Errorf("after a crash: totals %+v, counted %+v", got, want)
	}
}
