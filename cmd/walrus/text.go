package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// table writes rows in aligned columns. flush returns the errors of all rows.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(w io.Writer) *table { return &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

// row writes a row. What a terminal might obey is removed from each cell, and what would make
// further cells and rows of it: much of what a table shows comes from strangers.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		text := fmt.Sprint(c)
		texts[i] = p2p.Clean(text, 3*len(text)) // bytes: what is no text grows
	}
	_, err := fmt.Fprintln(t.w, strings.Join(texts, "\t"))
	t.err = errors.Join(t.err, err)
}

// lines writes a row whose last cell has several lines, or a dash without any.
func (t *table) lines(cells []any, last []string) {
	if len(last) == 0 {
		last = []string{"-"}
	}
	for i, text := range last {
		if i > 0 {
			for j := range cells {
				cells[j] = ""
			}
		}
		t.row(append(slices.Clone(cells), text)...)
	}
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

// timeText is a time for people, in the time zone of this machine.
func timeText(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// nameText is a name of a file or a node, quoted unless a terminal prints all of it.
func nameText(name string) string {
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}

// cutText is a node's name in at most 10 letters, for a table.
func cutText(name string) string {
	const most = 10
	r := []rune(nameText(name))
	switch {
	case len(r) == 0:
		return "-"
	case len(r) > most:
		return string(r[:most-1]) + "…"
	}
	return string(r)
}

// walText is an amount for a table, rounded down: to WAL from 1000 WAL on, else to 1/100.
func walText(a token.Amount) string {
	const many = 1000 * token.WAL
	if a >= many {
		a -= a % token.WAL
	} else {
		a -= a % (token.WAL / 100)
	}
	return a.String()
}

// amountOr is an amount, or a dash for 0.
func amountOr(a token.Amount) string {
	if a == 0 {
		return "-"
	}
	return a.String()
}

// seconds is a number of seconds for people: 20s, 1m, 1h.
func seconds(n float64) string {
	text := time.Duration(n * float64(time.Second)).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// some is a number with its noun in the singular or plural.
func some(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// indent writes words in lines of at most width letters, which begin under the end of the
// first one's label.
func indent(out *strings.Builder, width int, label, text string) {
	line := label
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > width {
			fmt.Fprintln(out, line)
			line, empty = strings.Repeat(" ", len(label)), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(out, line)
}
