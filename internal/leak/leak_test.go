package leak

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func goesOn(until <-chan struct{}) { <-until }

func TestAGoroutineThatEndsLateIsNoLeak(t *testing.T) {
	until := make(chan struct{})
	go goesOn(until)
	if err := find(0); err == nil || !strings.Contains(err.Error(), "goesOn") {
		t.Errorf("a goroutine that goes on: %v", err)
	}
	if err := find(0, goleak.IgnoreAnyFunction("github.com/walrus-network/walrus/internal/leak.goesOn")); err != nil {
		t.Error(err)
	}
	time.AfterFunc(time.Second, func() { close(until) }) // longer than goleak waits
	None(t)
}
