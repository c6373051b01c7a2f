package p2p

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// clerk answers every question for witnesses, some of them not at once or not at all.
type clerk struct {
	*shelf
	slow   time.Duration
	refuse map[blob.Place]error
}

func (c clerk) Witness(ctx context.Context, _ blob.ID, stripe uint32, p blob.Place) ([]byte, error) {
	if p == 0 && c.slow > 0 {
		select {
		case <-time.After(c.slow):
		case <-ctx.Done():
		}
	}
	return []byte{byte(stripe), byte(p)}, c.refuse[p]
}

// ask asks for the witness of a place.
func ask(ctx context.Context, l *FragmentLine, p blob.Place) error {
	return l.Witnesses(ctx, blob.ID{}, []blob.Place{p}, 3, 4, func(got Piece) error {
		if got.Place != p || len(got.Witness) != 2 || got.Witness[1] != byte(p) || got.Witness[0] != 3 {
			return errors.New("the answer to another question")
		}
		return nil
	})
}

// Questions that many put at the same time are answered within one round trip, each its own.
func TestQuestionsOnALineDoNotWaitForAnswers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.server.ServeFragments(clerk{shelf: r.keeper})
		n, _ := simulated.Load(t)
		const away = 50 * time.Millisecond
		n.(*p2ptest.Network).Stretch(t, away, 0)
		l, received := r.line(t)
		if err := ask(within(t), l, 1); err != nil { // the stream stands
			t.Fatal(err)
		}
		began := time.Now()
		var asking sync.WaitGroup
		for p := range blob.Place(200) {
			asking.Go(func() {
				if err := ask(within(t), l, p); err != nil {
					t.Errorf("place %d: %v", p, err)
				}
			})
		}
		asking.Wait()
		if took := time.Since(began); took > 2*away+away/10 {
			t.Errorf("200 questions took %s, %s there and back", took, 2*away)
		}
		if l.Load() != 0 || received.Load() < 200*8 || l.Heard().Before(began) {
			t.Errorf("%d questions wait, %d bytes came, the last at %s", l.Load(), received.Load(), l.Heard())
		}
	})
}

// An asker that gives up costs the others nothing; a peer that does not answer in time
// costs its line.
func TestAnAskerMayGiveUpALineStays(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.server.ServeFragments(clerk{shelf: r.keeper, slow: 10 * time.Second})
		l, _ := r.line(t)
		short, cancel := context.WithTimeout(within(t), time.Second)
		defer cancel()
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- ask(short, l, 0) }()
		time.Sleep(time.Millisecond)
		go func() { second <- ask(within(t), l, 1) }()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-second; err != nil || l.Over() {
			t.Errorf("the question behind: %v", err)
		}
		long, cancel := context.WithTimeout(within(t), 2*discardWait)
		defer cancel()
		go func() { first <- ask(long, l, 0) }()
		time.Sleep(time.Millisecond)
		go func() { second <- ask(within(t), l, 1) }()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-second; !errors.Is(err, ErrLineEnded) || !l.Over() {
			t.Errorf("the question behind one that nothing answers: %v", err)
		}
		l.End()
		if err := ask(within(t), l, 1); !errors.Is(err, ErrLineEnded) {
			t.Errorf("a line that has ended: %v", err)
		}
	})
}

// A peer that holds an answer back for a moment keeps the line; another refusal ends it,
// and those behind may ask again elsewhere.
func TestARefusalIsOfItsQuestionAlone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.server.ServeFragments(clerk{shelf: r.keeper, refuse: map[blob.Place]error{1: Refuse(CodeWait, "a challenge is running"), 2: Refuse(CodeBusy, "full")}})
		l, _ := r.line(t)
		answers := make([]error, 6)
		var asking sync.WaitGroup
		for i, p := range []blob.Place{3, 1, 4, 2, 5, 6} {
			asking.Go(func() { answers[i] = ask(within(t), l, p) })
			time.Sleep(10 * time.Microsecond) // in this order
		}
		asking.Wait()
		if answers[0] != nil || !IsRefusal(answers[1], CodeWait) || answers[2] != nil || !IsRefusal(answers[3], CodeBusy) {
			t.Errorf("got %v", answers)
		}
		for _, err := range answers[4:] {
			if !errors.Is(err, ErrLineEnded) {
				t.Errorf("behind a refusal that ends the stream: %v", err)
			}
		}
	})
}
