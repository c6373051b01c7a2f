package challenge

import "testing"

func TestWindowsFitIntoRoundsFromAMinuteToAnHour(t *testing.T) {
	const least = 10 * (5 + 2)
	for blocks := uint64(1); blocks <= 3000; blocks++ {
		p, ok := Fitting(blocks)
		if ok != (blocks >= least) {
			t.Fatalf("rounds of %d blocks: %t", blocks, ok)
		}
		if ok && p.Validate(blocks) != nil {
			t.Fatalf("rounds of %d blocks: %v", blocks, p.Validate(blocks))
		}
		if ok && blocks < 450 && p.Deadline != blocks/10-5 {
			t.Fatalf("rounds of %d blocks: %d until the deadline", blocks, p.Deadline)
		}
	}
	if p, _ := Fitting(1200); p != Default() {
		t.Errorf("a real network: %+v", p)
	}
}
