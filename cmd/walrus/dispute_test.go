package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/explain"
	"github.com/walrus-network/walrus/internal/court"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// rubberstamps is a tribunal whose ledger asks by itself, and whose nodes vote yes on
// everything.
type rubberstamps struct {
	*tribunal
	votes []ledger.VoteExtension // on the last block
}

func newRubberstamps(t *testing.T) *rubberstamps {
	t.Helper()
	c := newTribunal(t, 100*token.WAL)
	p := &c.Genesis.Params
	p.Challenge = challenge.Default()
	p.Challenge.Start, p.Challenge.Freeze, p.Challenge.Deadline, p.Challenge.Attest, p.Challenge.Pull = 5, 5, 2, 2, 1
	p.Challenge.Late, p.Challenge.Second = 5, 6
	p.RoundBlocks, p.RoundsPerEpoch = 70, 3
	c.Court = court.New(t, c.Genesis)
	return &rubberstamps{tribunal: c}
}

func (c *rubberstamps) block(txs ...[]byte) {
	c.Helper()
	w, err := c.Ledger.Machine().Wants(c.Ledger.Height() + 1)
	if err != nil {
		c.Fatal(err)
	}
	b := ledger.Block{Txs: txs}
	if w.Carry {
		b.Extensions = c.votes
	}
	if w.Last {
		b.Proposer, b.Last = c.ID(0), token.Secret{8, 0}.BLSKey().Sign(challenge.LastMessage(c.Ledger.ChainID(), w.Round))
	}
	c.votes = nil
	for i := range c.Genesis.Nodes {
		v := ledger.VoteExtension{Node: c.ID(i), Power: 1}
		switch {
		case w.Reveal:
			v.Extension = challenge.NewReveal(c.Ledger.ChainID(), token.Secret{8, byte(i)}.BLSKey(), w.Round).Encode()
		case w.Attest:
			v.Extension = challenge.NewAttest(w.Round, true, blob.Hash{}, []byte{0xff, 3}).Encode()
		}
		c.votes = append(c.votes, v)
	}
	r, err := c.Ledger.Run(b)
	if err != nil {
		c.Fatal(err)
	}
	for _, x := range r.Txs {
		if x.Code != 0 {
			c.Fatal(x.Log)
		}
	}
}

func (c *rubberstamps) toHeight(h unit.Height) {
	for c.Ledger.Height() < h {
		c.block()
	}
}

func TestADisputeIsShownBeforeItIsOpenedAndItsEvidenceIsCheckedOffline(t *testing.T) {
	c := newRubberstamps(t)
	holder := holderKey(1)
	if _, err := c.session(holder).dispute(3, nil); err == nil || !strings.Contains(err.Error(), "nothing to dispute") {
		t.Fatalf("before any round: %v", err)
	}
	c.toHeight(30)
	s := c.session(holder)
	if _, err := s.dispute(10, nil); err == nil || !strings.Contains(err.Error(), "0 to 9") {
		t.Fatalf("a shard that is not there: %v", err)
	}
	two := unit.Round(2)
	if _, err := s.dispute(3, &two); !errors.Is(err, explain.ErrNoRecord) {
		t.Fatalf("a round to come: %v", err)
	}
	m, err := s.dispute(3, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := s.preview(s.View, m)
	if err != nil || plan.Cost != 10*token.WAL || len(plan.Notes) != 2 {
		t.Fatalf("%v: %+v", err, plan)
	}
	shown := printed(t, func(out *bytes.Buffer) error { return plan.show(out) })
	for _, words := range []string{"10WAL, and a fee", "shard 3 in round 0", "within 17 blocks"} {
		if !strings.Contains(shown, words) {
			t.Errorf("nothing says %q:\n%s", words, shown)
		}
	}
	c.block(ledger.Sign(holder, c.Ledger.ChainID(), 0, plan.Fee, m.body))
	if _, _, err := s.preview(c.session(holder).View, m); !errors.Is(err, ledger.ErrDisputed) {
		t.Fatalf("twice: %v", err)
	}
	c.toHeight(60)
	list, err := c.session(holder).Disputes()
	if err != nil || len(list) != 1 || list[0].State != "upheld" || list[0].Shard != 3 {
		t.Fatalf("%v: %+v", err, list)
	}
	text := printed(t, func(out *bytes.Buffer) error { return disputeList{Disputes: list}.print(out) })
	golden.Check(t, "json-dispute.txt", printed(t, func(out *bytes.Buffer) error { return encodeJSON(out, list) }))
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 80 {
			t.Errorf("%d letters: %s", len(line), line)
		}
	}
	for c.session(holder).Head.Epoch == 0 {
		c.block()
	}
	c.evidence(t)
}

// evidence explains a slash, writes its evidence and checks that again.
func (c *rubberstamps) evidence(t *testing.T) {
	v, err := c.Ledger.View(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	e, err := explain.Slash(v, 0, c.ID(1))
	if err != nil || !e.Holds || len(e.Exhibits) != 1 {
		t.Fatalf("%v: %+v", err, e)
	}
	raw, err := json.Marshal(explanationShown{Explanation: e})
	if err != nil {
		t.Fatal(err)
	}
	got, err := replayFile(bytes.NewReader(raw), c.Ledger.ChainID())
	if err != nil || !got.Holds {
		t.Fatalf("%v: %+v", err, got)
	}
	text := printed(t, func(out *bytes.Buffer) error { return got.print(out) })
	for _, words := range []string{"disputed it", "upheld", "it shows the fault", "transaction 0"} {
		if !strings.Contains(text, words) {
			t.Errorf("nothing says %q:\n%s", words, text)
		}
	}
	for name, wrong := range map[string]string{
		"another node":   strings.Replace(string(raw), c.ID(1).String(), staking.NodeID{1}.String(), -1),
		"another round":  strings.Replace(string(raw), `"round":0`, `"round":1`, 1),
		"a changed byte": strings.Replace(string(raw), `"bundle":"`, `"bundle":"AA`, 1),
		"no evidence":    `{"evidence":[]}`,
		"no JSON":        "hello",
	} {
		if got, err := replayFile(strings.NewReader(wrong), c.Ledger.ChainID()); err == nil && got.Holds {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
	// A file does not prove that the ledger wrote it: its author can name any voter and any
	// beacon. The check must say so.
	b, err := explain.ParseBundle(e.Exhibits[0].Bundle)
	if err != nil {
		t.Fatal(err)
	}
	b.Voters = append(b.Voters, staking.NodeID{7})
	x := e.Exhibits[0]
	x.Node, x.Bundle = staking.NodeID{7}, explain.BundleText(b)
	made, err := json.Marshal(explanationShown{Explanation: explain.Explanation{Exhibits: []explain.Exhibit{x}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = replayFile(bytes.NewReader(made), c.Ledger.ChainID()); err != nil {
		t.Fatal(err)
	}
	text = printed(t, func(out *bytes.Buffer) error { return got.print(out) })
	if !strings.Contains(text, "if it is the ledger's") || got.Given == "" {
		t.Errorf("made up evidence is taken without a warning:\n%s", text)
	}
	if got, err := replayFile(bytes.NewReader(raw), "other-00000000"); err == nil && got.Holds {
		t.Error("evidence of another chain is taken")
	}
	if got, err := replayFile(strings.NewReader(fmt.Sprintf("%*d", maxEvidenceFile+1, 1)), c.Ledger.ChainID()); err == nil {
		t.Errorf("a huge file is read: %+v", got)
	}
}
