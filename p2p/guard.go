package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// ErrPanic is wrapped by the error that Guard makes of a panic.
var ErrPanic = errors.New("this program has a fault: a handler panicked")

const (
	maxStack     = 8 << 10 // bytes of a stack in a log
	panicsLogged = 10      // in panicSpan: a peer with a way to make a handler panic must not fill the log
	panicSpan    = time.Minute
)

// panics bounds how many stacks are logged.
var panics struct {
	mu     sync.Mutex // guards the fields below
	since  time.Time
	logged int
}

// Guard runs what a stranger's bytes have begun, and makes a panic in it an error: a
// fault of this program must cost the stream or the message that met it, never the
// process. The panic is logged with its stack. what names the work.
//
// It guards the goroutine that calls it: a goroutine begun inside needs a Guard of its own.
func Guard(log *slog.Logger, what string, work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %w", what, ErrPanic)
			if panicMayBeLogged(time.Now()) {
				stack := debug.Stack()
				log.Error("a handler panicked: this is a fault of the program, please report it; the process goes on",
					"work", what, "panic", Clean(fmt.Sprint(r), MaxWords), "stack", string(stack[:min(len(stack), maxStack)]))
			}
		}
	}()
	return work()
}

func panicMayBeLogged(now time.Time) bool {
	panics.mu.Lock()
	defer panics.mu.Unlock()
	if now.Sub(panics.since) >= panicSpan {
		panics.since, panics.logged = now, 0
	}
	panics.logged++
	return panics.logged <= panicsLogged
}
