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
	"github.com/walrus-network/walrus/staking"
)

// blobSafety answers whether a certified blob is safe now, as far as the ledger knows.
type blobSafety struct {
	Verdict     client.Verdict `json:"verdict"` // safe, weakened, doubtful
	Ready       int            `json:"ready_shards"`
	Moving      int            `json:"moving_shards"`      // handed over, kept by their old holders meanwhile
	Counted     int            `json:"counted_shards"`     // that are certain: see doc/cli.md
	Stated      int            `json:"stated_shards"`      // by the ledger: certificates, and reports of being ready since
	Proved      int            `json:"proved_shards"`      // in the last draw
	Presence    *presence      `json:"presence,omitempty"` // missing: the nodes were not asked
	SpareShards int            `json:"spare_shards"`       // whichever
	SpareNodes  int            `json:"spare_nodes"`        // those with the most first
	Holders     []blobHolder   `json:"holders"`
	Challenged  bool           `json:"challenged"`                   // the network asks for proof
	LastDraw    *lastDraw      `json:"last_draw,omitempty"`          // missing: not drawn yet
	DrawnEvery  float64        `json:"drawn_every_rounds,omitempty"` // about
	RoundTime   float64        `json:"round_seconds,omitempty"`
	PassRate    *passRate      `json:"network_pass_rate,omitempty"` // of this epoch, once it has a round
}

// presence is what the nodes showed when they were asked now.
type presence struct {
	Answered     int     `json:"answered_shards"` // shown, with proof
	Denied       int     `json:"denied_shards"`   // that count by what is older
	SilentNodes  int     `json:"silent_nodes"`
	SilentShards int     `json:"silent_shards"` // of those that count
	HeldBack     bool    `json:"held_back"`     // a storage challenge runs: nodes keep answers back
	Seconds      float64 `json:"seconds"`
}

func (p presence) text() string {
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

// askedFor is how long the nodes are waited for when they are asked what they hold.
const askedFor = 3 * time.Second

// ask asks every holder for a random part of a blob, for a moment.
func (s *session) ask(ctx context.Context, id blob.ID) (now map[staking.NodeID]fetch.NodeAudit, heldBack bool, err error) {
	_, commitment, d, err := s.Find(ctx, id)
	if err != nil {
		return nil, false, err
	}
	asking, cancel := context.WithTimeout(ctx, askedFor)
	defer cancel()
	got, err := s.Audit(asking, d, commitment, 1, func() { heldBack = true })
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, false, err
	}
	committee, err := s.view.Committee(s.head.Epoch)
	if err != nil {
		return nil, false, err
	}
	now = map[staking.NodeID]fetch.NodeAudit{}
	for _, m := range committee.Nodes {
		for _, a := range got.Nodes {
			if a.Peer.String() == m.ID.String() {
				now[m.ID] = a
			}
		}
	}
	return now, heldBack, nil
}

type blobHolder struct {
	Node    staking.NodeID `json:"node"`
	Name    string         `json:"name"`
	Shards  int            `json:"shards"`
	Counted int            `json:"counted"`
	Silent  bool           `json:"silent"` // it was asked now, and did not answer
}

type lastDraw struct {
	challengeRound
	Height       uint64    `json:"height"`
	Time         time.Time `json:"time"`
	Stripes      uint64    `json:"stripes"` // of the blob that were asked for
	Passed       int       `json:"passed_shards"`
	Failed       uint64    `json:"failed_shards"`
	Away         uint64    `json:"away_shards"`
	Inconclusive uint64    `json:"inconclusive_shards"`
	Unready      uint64    `json:"unready_shards"`
	Void         bool      `json:"void"` // no node was blamed; passes count all the same
}

type challengeRound struct {
	Epoch   uint64 `json:"epoch"`
	Round   uint64 `json:"round"`
	Ordinal uint64 `json:"ordinal"`
}

type passRate struct {
	Rounds   uint64  `json:"rounds"`
	Passed   uint64  `json:"passed"`
	Assigned uint64  `json:"assigned"` // both shard-rounds
	Rate     float64 `json:"rate"`
}

// safety is how safe a certified blob is: by the ledger, and, with ask, by what the nodes
// show now.
func (s *session) safety(ctx context.Context, e registry.Entry, ask bool) (client.Safety, blobSafety, error) {
	id := e.ID()
	fail := func(err error) (client.Safety, blobSafety, error) { return client.Safety{}, blobSafety{}, err }
	if err := s.prefetch([][]byte{ledger.KeyLastDraw(id), ledger.KeyCommittee(s.head.Epoch), ledger.KeyTally(s.head.Epoch), ledger.KeyUsage(), ledger.KeyCertificate(id)}); err != nil {
		return fail(err)
	}
	committee, err := s.view.Committee(s.head.Epoch)
	if err != nil {
		return fail(err)
	}
	shape, err := s.params.Shape()
	if err != nil {
		return fail(err)
	}
	drawn, was, err := s.view.LastDraw(id)
	if err != nil {
		return fail(err)
	}
	var last *ledger.LastDraw
	if was {
		last = &drawn
	}
	known := client.Known{Drawn: last}
	if known.Stated, err = client.StatedBy(s.view, id, committee); err != nil {
		return fail(err)
	}
	heldBack, began := false, time.Now()
	if ask {
		if known.Now, heldBack, err = s.ask(ctx, id); err != nil {
			return fail(err)
		}
	}
	of := client.SafetyOf(committee, shape, known)
	out := blobSafety{Verdict: of.Verdict, Ready: of.Ready, Moving: of.Moving, Counted: of.Counted, Stated: of.Stated, Proved: of.Proved, SpareShards: of.SpareShards, SpareNodes: of.SpareNodes}
	if of.Asked {
		out.Presence = &presence{of.Answered, of.Denied, of.SilentNodes, of.SilentShards, heldBack, time.Since(began).Seconds()}
	}
	if out.Holders, err = s.holdersOf(of); err != nil {
		return fail(err)
	}
	if last != nil {
		out.LastDraw = &lastDraw{challengeRound{last.Round.Epoch, last.Round.Round, last.Ordinal}, last.Height, time.UnixMilli(last.TimeMs).UTC(), last.Stripes,
			shape.N - int(last.Failed+last.Away+last.Unclear+last.Unready), last.Failed, last.Away, last.Unclear, last.Unready, last.Void}
	}
	usage, err := s.view.Usage()
	if err != nil {
		return fail(err)
	}
	strength, asked := client.StrengthOf(s.params, usage)
	if asked {
		out.DrawnEvery, out.RoundTime = strength.DrawnEvery(e.Units), strength.Round.Seconds()
	}
	out.Challenged = s.params.Challenged && s.params.Challenge.Draws() > 0 && len(committee.Validators()) >= staking.MinNodes
	tally, err := s.view.Tally(s.head.Epoch)
	if err == nil && tally.Tallied > 0 {
		rate := passRate{Rounds: tally.Tallied}
		for _, c := range tally.Nodes {
			rate.Passed, rate.Assigned = rate.Passed+c.Passed, rate.Assigned+c.Assigned
		}
		rate.Rate = float64(rate.Passed) / float64(max(1, rate.Assigned))
		out.PassRate = &rate
	}
	return of, out, err
}

func (s *session) holdersOf(of client.Safety) (out []blobHolder, err error) {
	var keys [][]byte
	for _, n := range of.Nodes {
		keys = append(keys, ledger.KeyNode(n.Node))
	}
	if err := s.prefetch(keys); err != nil {
		return nil, err
	}
	for _, n := range of.Nodes {
		record, _, err := s.view.Node(n.Node)
		if err != nil {
			return nil, err
		}
		out = append(out, blobHolder{n.Node, record.Name, n.Shards, n.Counted, n.Silent})
	}
	return out, nil
}

// name is how a line calls the holder.
func (h blobHolder) name() string {
	if h.Name == "" {
		return shortID(h.Node)
	}
	return nameText(h.Name)
}

// rows are the lines under the answer.
func (b blobSafety) rows(t *table, now time.Time, needed int) {
	text := fmt.Sprintf("%d shards, ready; any %d bring it back", b.Ready, needed)
	if b.Moving > 0 {
		text += fmt.Sprintf("; %d more are handed over", b.Moving)
	}
	t.row("held by", text)
	t.row("on", b.holders())
	if b.Presence != nil {
		t.row("asked now", b.Presence.text())
	}
	switch {
	case !b.Challenged:
		t.row("drawn", "never: this network asks for no proofs now")
		return
	case b.LastDraw != nil:
		t.row("drawn", b.LastDraw.text(now))
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
func (b blobSafety) often() string {
	round := seconds(b.RoundTime)
	if b.DrawnEvery < 1.5 {
		return fmt.Sprintf("once a round (of %s)", round)
	}
	return fmt.Sprintf("once every %.0f rounds (of %s)", b.DrawnEvery, round)
}

// holders names the first few.
func (b blobSafety) holders() string {
	const shown = 5
	var names []string
	for i, h := range b.Holders {
		if i == shown {
			names = append(names, fmt.Sprintf("and %d more", len(b.Holders)-shown))
			break
		}
		text := fmt.Sprintf("%s %d", h.name(), h.Shards)
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

func (d lastDraw) text(now time.Time) string {
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
