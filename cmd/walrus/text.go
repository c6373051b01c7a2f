package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// table writes rows with columns that line up. The first error ends it.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(w io.Writer) *table { return &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	_, err := fmt.Fprintln(t.w, strings.Join(texts, "\t"))
	t.err = errors.Join(t.err, err)
}

func (t *table) flush() error { return errors.Join(t.err, t.w.Flush()) }

// bytesText is a size for people.
func bytesText[T int | int64 | uint64](n T) string { return humanize.IBytes(uint64(n)) }

// ageText is a duration for people.
func ageText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// timeText is a moment for people, in their own time.
func timeText(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// nameText is a file's name as a terminal can take it: not every name is text.
func nameText(name string) string {
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}
