package node

import (
	"testing"
	"time"

	"github.com/walrus-network/walrus/unit"
)

// chainTime is a chain whose blocks carry the time at which the block before came.
type chainTime struct {
	height unit.Height
	now    time.Time // the true time
	vote   time.Time // when the committee voted for the last block
}

// block lets a block come after a pause: its time is that of the votes for the one
// before, which were given at once.
func (c *chainTime) block(pause time.Duration) (height unit.Height, block time.Time) {
	block = c.vote
	c.now = c.now.Add(pause)
	c.height, c.vote = c.height+1, c.now
	return c.height, block
}

func warned(w *clockWatch, c *chainTime, ahead time.Duration, pauses ...time.Duration) (last time.Duration, sure bool) {
	for _, p := range pauses {
		height, block := c.block(p)
		if off, is := w.see(height, block, c.now.Add(ahead)); is {
			last, sure = off, true
		}
	}
	return last, sure
}

func TestAWrongClockIsNoticed(t *testing.T) {
	pauses := []time.Duration{time.Second, time.Second, time.Second, time.Second, time.Second, time.Second}
	for ahead, want := range map[time.Duration]bool{
		0: false, 3 * time.Second: false, -3 * time.Second: false, time.Minute: false, -time.Minute: false,
		10 * time.Minute: true, -10 * time.Minute: true, 2400 * time.Hour: true,
	} {
		at := time.UnixMilli(1_800_000_000_000)
		off, sure := warned(new(clockWatch), &chainTime{100, at, at}, ahead, pauses...)
		if sure != want || sure && off != ahead {
			t.Errorf("%v ahead: %v %v, want %v", ahead, off, sure, want)
		}
	}
}

// A halt is no fault of a clock: neither the first block after it, which carries the
// time of before, nor the votes that were given on both sides of it.
func TestAHaltIsNotTakenForAWrongClock(t *testing.T) {
	s := time.Second
	at := time.UnixMilli(1_800_000_000_000)
	for _, halt := range []time.Duration{5 * time.Minute, 3 * time.Hour, 40 * 24 * time.Hour} {
		w, c := new(clockWatch), &chainTime{100, at, at}
		if off, sure := warned(w, c, 0, s, s, s, halt, s, s, s, s, s, s, halt, halt, s, s, s, s, s); sure {
			t.Errorf("a halt of %v: the clock is said to be %v ahead", halt, off)
		}
		// The votes for the last block before the halt came in only after it: the block
		// after carries a time of before, though the last one came late.
		w, c = new(clockWatch), &chainTime{100, at, at}
		warned(w, c, 0, s, s, s, s)
		before := c.vote
		warned(w, c, 0, halt)
		c.vote = before
		if off, sure := warned(w, c, 0, s, s, s, s, s, s); sure {
			t.Errorf("a halt of %v among votes: the clock is said to be %v ahead", halt, off)
		}
		// And a clock that is wrong is still noticed after one.
		if _, sure := warned(w, c, 10*time.Minute, s, s, s, s, s, s, s); !sure {
			t.Errorf("after a halt of %v a clock that is ahead is not noticed", halt)
		}
	}
}

// After a pause of the machine, which has stopped or slept, the blocks that it missed come
// one after the other, quickly, and are old. The clock is right.
func TestAPauseOfTheMachineIsNotTakenForAWrongClock(t *testing.T) {
	s := time.Second
	at := time.UnixMilli(1_800_000_000_000)
	w, c := new(clockWatch), &chainTime{100, at, at}
	warned(w, c, 0, s, s, s)
	const pause = 10 * time.Minute
	woke := c.now.Add(pause)
	for i := range 300 { // made each second, taken in each 10 ms
		height, block := c.block(s)
		if off, sure := w.see(height, block, woke.Add(time.Duration(i)*10*time.Millisecond)); sure {
			t.Fatalf("block %d after the pause: the clock is said to be %v ahead", i, off)
		}
	}
}
