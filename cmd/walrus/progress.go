package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows the progress of long work on a terminal; elsewhere it prints nothing.
type bar struct {
	shown *progressbar.ProgressBar
	plain *plainBar
}

// newBar is a bar for total bytes of work.
func (a *app) newBar(what string, total int64) *bar {
	if _, ok := terminal(a.err); !ok || a.json || a.debug || total == 0 {
		return &bar{}
	}
	if !drawsBlocks(os.Getenv) {
		return &bar{plain: &plainBar{what: what, total: total, w: a.err, last: time.Now()}}
	}
	return &bar{shown: progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// drawsBlocks says whether a terminal moves its cursor and shows more than ASCII.
func drawsBlocks(env func(string) string) bool {
	if kind := env("TERM"); kind == "" || kind == "dumb" {
		return false
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // the first that is set holds
		if locale := env(name); locale != "" {
			locale = strings.ToUpper(locale)
			return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
		}
	}
	return false // unset is the C locale
}

// set reports the work that is done, in bytes.
func (b *bar) set(done int64) {
	switch {
	case b.shown != nil:
		b.shown.Set64(done)
	case b.plain != nil:
		b.plain.set(done, time.Now())
	}
}

// end removes the bar.
func (b *bar) end() {
	if b.shown != nil {
		b.shown.Clear()
	}
	b.shown, b.plain = nil, nil
}

// plainPause is the least time between two lines of a bar.
const plainPause = 5 * time.Second

// plainBar prints progress in lines of ASCII.
type plainBar struct {
	mu    sync.Mutex // guards last
	what  string
	total int64
	w     io.Writer
	last  time.Time // it said something
}

func (b *plainBar) set(done int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.last) < plainPause {
		return
	}
	b.last = now
	fmt.Fprintf(b.w, "%s: %d %% of %s\n", b.what, int64(100*(float64(done)/float64(b.total))), bytesText(b.total))
}

type barWriter struct {
	w    io.Writer
	bar  *bar
	done int64
}

func (c *barWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	c.bar.set(c.done)
	return n, err
}
