package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/walrus-network/walrus/report"
)

// strengthText prints how likely challenges find what a node has lost.
type strengthText report.Strength

func (s strengthText) rows(t *table) {
	first := s.Caught[0]
	article := "a"
	if strings.HasPrefix(s.Span, "h") {
		article = "an"
	}
	t.row("strength", fmt.Sprintf("a node that lost %.0f %% is caught within %s %s with probability %s", 100*first.Lost, article, s.Span, odds(first.Span)))
	var more []string
	for _, c := range s.Caught {
		more = append(more, fmt.Sprintf("%.0f %%: %s", 100*c.Lost, odds(c.Round)))
	}
	t.row("", fmt.Sprintf("in one round of %s: %s", seconds(s.RoundSeconds), strings.Join(more, ", ")))
	more = nil
	for _, c := range s.Caught {
		more = append(more, fmt.Sprintf("%.0f %%: %s", 100*c.Lost, odds(c.Span)))
	}
	t.row("", fmt.Sprintf("in %s %s (%.0f rounds): %s", article, s.Span, s.Rounds, strings.Join(more, ", ")))
	t.row("", fmt.Sprintf("with %s, of which a round draws %s", some(s.Blobs, "blob"), some(uint64(s.Draws), "stripe")))
}

// odds never says that something is certain that is not.
func odds(p float64) string {
	const sure = 0.99995
	switch {
	case p >= sure:
		return "> 99.99 %"
	case p >= 0.99:
		return fmt.Sprintf("%.2f %%", 100*p)
	case p < 0.1:
		return fmt.Sprintf("%.1f %%", 100*p)
	}
	return fmt.Sprintf("%.0f %%", math.Floor(100*p))
}
