package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
)

// presenceText prints the answers of the nodes.
type presenceText report.Presence

func (p presenceText) text() string {
	text := fmt.Sprintf("%d shards were shown", p.Answered)
	if p.Denied > 0 {
		text += fmt.Sprintf(", %d are not there", p.Denied)
	}
	if p.SilentNodes > 0 {
		text += fmt.Sprintf(", %d nodes did not answer", p.SilentNodes)
	}
	if p.HeldBack {
		text += "; a storage challenge runs, in which nodes keep answers back: ask again in a minute"
	}
	return text
}

// askedFor is how long status waits for the nodes' answers.
const askedFor = 3 * time.Second

// asked is the holders' answers, or why there are none.
type asked struct {
	report.Answers
	err error
}

// ask begins to ask every holder for a random part of a blob. The answers come within
// askedFor.
func (s *session) ask(ctx context.Context, e registry.Entry) (<-chan asked, error) {
	commitment, err := e.Manifest.Commitment()
	if err != nil {
		return nil, err
	}
	d, err := client.DirectoryOf(s.View)
	if err != nil {
		return nil, err
	}
	committee, err := s.View.Committee(s.Head.Epoch)
	if err != nil {
		return nil, err
	}
	answers := make(chan asked, 1)
	go func() { answers <- s.audit(ctx, d, commitment, committee) }()
	return answers, nil
}

func (s *session) audit(ctx context.Context, d *fetch.Directory, c blob.Commitment, of ledger.Committee) (out asked) {
	began := time.Now()
	asking, cancel := context.WithTimeout(ctx, askedFor)
	defer cancel()
	got, err := s.Audit(asking, d, c, 1, func() { out.HeldBack = true })
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	out.err, out.Took, out.Nodes = err, time.Since(began), map[staking.NodeID]fetch.NodeAudit{}
	for _, m := range of.Nodes {
		for _, a := range got.Nodes {
			if a.Peer.String() == m.ID.String() {
				out.Nodes[m.ID] = a
			}
		}
	}
	return out
}

// safety works out how safe a certified blob is, from the ledger, and with ask from the
// answers of the nodes too.
func (s *session) safety(ctx context.Context, e registry.Entry, ask bool) (report.Safety, error) {
	if !ask {
		return s.Safety(e, nil)
	}
	answers, err := s.ask(ctx, e)
	if err != nil {
		return report.Safety{}, err
	}
	// What is left to read of the ledger is read while the nodes answer.
	_, err = s.Safety(e, nil)
	of := <-answers
	if err == nil {
		err = of.err
	}
	if err != nil {
		return report.Safety{}, err
	}
	return s.Safety(e, &of.Answers)
}

// holderName is a holder's name, or the end of its ID.
func holderName(h report.Holder) string {
	if h.Name == "" {
		return shortID(h.Node)
	}
	return nameText(h.Name)
}

// safetyText prints a blob's safety.
type safetyText report.Safety

// rows are the lines under the answer.
func (b safetyText) rows(t *table, now time.Time, needed int) {
	text := fmt.Sprintf("%d shards, ready; any %d bring it back", b.Ready, needed)
	if b.Moving > 0 {
		text += fmt.Sprintf("; %d more are handed over", b.Moving)
	}
	t.row("held by", text)
	t.row("on", b.holders())
	if b.Presence != nil {
		t.row("asked now", presenceText(*b.Presence).text())
	}
	switch {
	case !b.Challenged:
		t.row("drawn", "never: this network asks for no proofs now")
		return
	case b.LastDraw != nil:
		t.row("drawn", drawText(*b.LastDraw).text(now))
	case b.DrawnEvery > 0:
		t.row("drawn", fmt.Sprintf("not drawn yet; expected about %s", b.often()))
	default:
		t.row("drawn", "not drawn yet: it can be a round after its certificate")
	}
	if b.PassRate != nil {
		t.row("network", fmt.Sprintf("%.4g %% of %d shard-rounds passed in this epoch", 100*b.PassRate.Rate, b.PassRate.Assigned))
	}
}

// often is how often the blob is drawn.
func (b safetyText) often() string {
	round := seconds(b.RoundSeconds)
	if b.DrawnEvery < 1.5 {
		return fmt.Sprintf("once a round (of %s)", round)
	}
	return fmt.Sprintf("once every %.0f rounds (of %s)", b.DrawnEvery, round)
}

// holders names the five with the most shards, and counts the rest.
func (b safetyText) holders() string {
	const shown = 5
	var names []string
	for i, h := range b.Holders {
		if i == shown {
			names = append(names, fmt.Sprintf("and %d more", len(b.Holders)-shown))
			break
		}
		text := fmt.Sprintf("%s %d", holderName(h), h.Shards)
		if h.Counted < h.Shards {
			text += fmt.Sprintf(" (%d certain)", h.Counted)
		}
		if h.Silent {
			text += " (silent)"
		}
		names = append(names, text)
	}
	return strings.Join(names, ", ")
}

// drawText prints the last draw of a blob.
type drawText report.LastDraw

func (d drawText) text(now time.Time) string {
	text := fmt.Sprintf("epoch %d round %d, %s ago: %d shards passed", d.Epoch, d.Round, ageText(max(0, now.Sub(d.Time))), d.Passed)
	for _, one := range []struct {
		n    uint64
		word string
	}{{d.Failed, "failed"}, {d.Away, "away"}, {d.Inconclusive, "unclear"}, {d.Unready, "not asked"}} {
		if one.n > 0 {
			text += fmt.Sprintf(", %d %s", one.n, one.word)
		}
	}
	if d.Void {
		text += "; void"
	}
	return text
}
