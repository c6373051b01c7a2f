package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// strength is how likely challenges find what a node has lost.
type strength struct {
	Blobs        uint64   `json:"blobs"` // that can be drawn now
	Draws        float64  `json:"draws"` // stripes that a round asks every shard for
	RoundSeconds float64  `json:"round_seconds"`
	Span         string   `json:"span"` // a time of several rounds
	Rounds       float64  `json:"rounds"`
	Caught       []caught `json:"caught"`
}

// caught is how likely a shard that lost a part is asked for something of it.
type caught struct {
	Lost  float64 `json:"lost"`
	Round float64 `json:"within_a_round"`
	Span  float64 `json:"within_the_span"`
}

// strength works it out for the blobs of now, or says why there is none.
func (s *session) strength(c ledger.Committee, u ledger.Usage) (*strength, string) {
	switch {
	case !s.params.Challenged || s.params.Challenge.Draws() == 0:
		return nil, "this network asks no node for proof"
	case len(c.Validators()) < staking.MinNodes:
		return nil, fmt.Sprintf("fewer than %d nodes: no node can judge another, nothing is asked", staking.MinNodes)
	}
	of, ok := client.StrengthOf(s.params, u)
	if !ok {
		return nil, "no blob can be drawn yet: each can a round after its certificate"
	}
	out := &strength{Blobs: of.Blobs, Draws: of.Drawn, RoundSeconds: of.Round.Seconds()}
	out.Span, out.Rounds = of.Span()
	for _, lost := range []float64{0.01, 0.05, 0.10} {
		out.Caught = append(out.Caught, caught{lost, of.Caught(lost, 1), of.Caught(lost, out.Rounds)})
	}
	return out, ""
}

func (s strength) rows(t *table) {
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

// seconds is a round's time for people: 20s, 1m, 1h.
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

// some is a number of things.
func some(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
