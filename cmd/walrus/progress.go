package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows how far long work is, on a terminal; elsewhere it is quiet.
type bar struct{ shown *progressbar.ProgressBar }

// newBar is a bar for total bytes of work.
func (a *app) newBar(what string, total int64) *bar {
	if _, ok := terminal(a.err); !ok || a.json || a.debug || total == 0 {
		return &bar{}
	}
	return &bar{progressbar.NewOptions64(total,
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

// set says how much of the work is done.
func (b *bar) set(done int64) {
	if b.shown != nil {
		b.shown.Set64(done)
	}
}

// end takes the bar away.
func (b *bar) end() {
	if b.shown != nil {
		b.shown.Clear()
		b.shown = nil
	}
}

type counted struct {
	w    io.Writer
	bar  *bar
	done int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	c.bar.set(c.done)
	return n, err
}
