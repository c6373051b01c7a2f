package node

import (
	"testing"
	"time"
)

func TestAWrongClockIsNoticed(t *testing.T) {
	block := time.UnixMilli(1_800_000_000_000)
	for ahead, want := range map[time.Duration]time.Duration{
		0: 0, 3 * time.Second: 0, -3 * time.Second: 0, time.Minute: 0,
		10 * time.Minute: 10 * time.Minute, -10 * time.Minute: -10 * time.Minute,
	} {
		if got := clockOff(block, block.Add(ahead)); got != want {
			t.Errorf("%v ahead: %v, want %v", ahead, got, want)
		}
	}
}
