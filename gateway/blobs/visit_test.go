package blobs

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What has come of a piece is passed on before all of it has; what fails afterwards is told, with
// as many bytes as were written.
func TestBytesArePassedOnAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reader{o: ReaderOptions{Patience: time.Hour, Limit: time.Hour}, direct: make(chan struct{}, 1)}
		broken := errors.New("broken")
		for _, direct := range []bool{true, false} {
			for _, end := range []error{nil, broken} {
				if !direct {
					r.direct <- struct{}{} // another reader has the place
				}
				f := &flight{piece: piece{length: 12}, run: &run{r: r}, done: make(chan struct{})}
				v := &visit{r: r}
				var out bytes.Buffer
				type result struct {
					n   int64
					err error
				}
				ended := make(chan result, 1)
				go func() {
					n, err := v.passFlight(context.Background(), f, part{piece: f.piece, from: 2, to: 11}, &out)
					ended <- result{n, err}
				}()
				for _, step := range []struct{ part, want string }{{"w", ""}, {"al", "l"}, {"rus", "lrus"}} {
					f.grow([]byte(step.part))
					synctest.Wait()
					if out.String() != step.want {
						t.Fatalf("%q came, and %q was passed on, want %q", step.part, out.String(), step.want)
					}
				}
				want := "lrus"
				if f.err = end; end == nil {
					f.grow([]byte("walrus"))
					want = "lruswalru"
				}
				close(f.done)
				if got := <-ended; got.n != int64(len(want)) || !errors.Is(got.err, end) || out.String() != want || !v.begun {
					t.Errorf("%d bytes, %v: %q, want %q", got.n, got.err, out.String(), want)
				}
				if !direct {
					<-r.direct
				}
			}
		}
	})
}

// A flight that has failed gives its error to a read that is behind, and no bytes.
func TestAFlightThatFailedPassesNothingOn(t *testing.T) {
	broken := errors.New("broken")
	r := &Reader{o: ReaderOptions{Patience: time.Hour, Limit: time.Hour}, direct: make(chan struct{}, 1)}
	f := &flight{piece: piece{length: 12}, run: &run{r: r}, done: make(chan struct{}), err: broken}
	f.grow([]byte("walrus"))
	close(f.done)
	var out bytes.Buffer
	if n, err := (&visit{r: r}).passFlight(t.Context(), f, part{piece: f.piece, to: 12}, &out); n != 0 || err != broken || out.Len() > 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
