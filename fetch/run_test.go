package fetch

import (
	"testing"
	"testing/synctest"
	"time"
)

// A member is late in a run once it keeps half of all idle, however slow
// all of them are.
func TestARunIsStalledByThoseThatKeepTheOthersIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 300 * time.Millisecond
		r := newRun()
		stalls := func() bool { return r.stalls(time.Now(), patience) }
		for m := range 5 {
			r.asked(m, 2)
		}
		time.Sleep(time.Hour)
		if stalls() {
			t.Error("a run in which all have something to do stalls")
		}
		r.answered(0, 2)
		r.answered(1, 2)
		time.Sleep(time.Hour)
		if stalls() {
			t.Error("a run in which two of five are idle stalls")
		}
		r.answered(2, 1)
		r.answered(2, 1)
		if stalls() {
			t.Error("a run stalls at once")
		}
		time.Sleep(patience)
		if !stalls() {
			t.Error("a run in which two of five keep the others idle does not stall")
		}
		r.asked(0, 1)
		r.answered(0, 1)
		if stalls() {
			t.Error("what was asked in the meantime is forgotten")
		}
		var none *run
		none.asked(0, 1) // of questions that are no run
		none.answered(0, 1)
	})
}
