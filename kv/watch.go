package kv

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// watch is Badger's logger. A value log that could not be synced is reported
// nowhere else, so it listens for that and remembers the first such failure.
type watch struct {
	log     *slog.Logger
	failing atomic.Pointer[error]
	failed  chan struct{} // closed with the first failure
}

func newWatch(log *slog.Logger) *watch { return &watch{log: log, failed: make(chan struct{})} }

// fail remembers the first failure of the disk.
func (w *watch) fail(err error) {
	if w.failing.CompareAndSwap(nil, &err) {
		close(w.failed)
		w.log.Error("disk is failing: no write is acknowledged any more", "err", err)
	}
}

// broke remembers what the disk did, if it is the first that was seen.
func (w *watch) broke(text string) {
	if isFull(text) {
		w.fail(fmt.Errorf("%w: %w: %s", ErrFailing, ErrFull, text))
		return
	}
	w.fail(fmt.Errorf("%w: %s", ErrFailing, text))
}

func (w *watch) err() error {
	if e := w.failing.Load(); e != nil {
		return *e
	}
	return nil
}

// Errorf receives what Badger considers an error.
func (w *watch) Errorf(format string, args ...any) {
	text := message(format, args)
	if isDiskFailure(text) {
		w.broke(text)
		return
	}
	w.log.Warn(text)
}

// isDiskFailure tells a message about the disk from the rest by its words: the
// library flattens the errors it wraps.
func isDiskFailure(text string) bool {
	text = strings.ToLower(text)
	for _, sign := range []string{"sync", "input/output error", "no space left", "read-only file system", "flushing memtable", "quota exceeded"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// isFull tells a full file system from a disk that fails.
func isFull(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "no space left") || strings.Contains(text, "quota exceeded")
}

// Warningf and the others are the library's own story: of use only when looking for a bug.
func (w *watch) Warningf(format string, args ...any) { w.log.Debug(message(format, args)) }

// Infof is below what an operator wants to read.
func (w *watch) Infof(format string, args ...any) {}

// Debugf is below what an operator wants to read.
func (w *watch) Debugf(format string, args ...any) {}

func message(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
