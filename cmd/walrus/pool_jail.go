package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// jailStatus is how a node stands, and why.
type jailStatus struct {
	Node       staking.NodeID `json:"node"`
	Name       string         `json:"name"`
	Out        bool           `json:"out"`        // for good
	Jailed     bool           `json:"jailed"`     // in this epoch
	JailFrom   uint64         `json:"jail_from"`  // epochs; 0, 0: none
	JailUntil  uint64         `json:"jail_until"` // the first in which it earns again
	MoveUntil  uint64         `json:"shards_move_away_before_epoch,omitempty"`
	NoNewUntil uint64         `json:"no_new_shards_before_epoch,omitempty"`
	Unready    []unready      `json:"not_ready"`
	Lies       int            `json:"lies_that_count"`
	LiesOut    uint64         `json:"lies_for_out"`
	Now        passed         `json:"passed_now"`
	Verdicts   []verdict      `json:"verdicts"` // of the last epochs
	Advice     []string       `json:"what_to_do"`
	Ledger     ledgerState    `json:"ledger"`
}

type unready struct {
	Shard  uint16 `json:"shard"`
	Epochs uint64 `json:"epochs"` // at whose ends it was not ready
}

type verdict struct {
	Epoch  uint64       `json:"epoch"`
	Passed passed       `json:"passed"`
	Failed uint64       `json:"failed"`
	Away   uint64       `json:"away"`
	Rung   uint8        `json:"rung"`
	Taken  token.Amount `json:"slashed"`
	Effect []string     `json:"effect"`
}

func (a *app) poolJailStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "jail-status NODE",
		Short: "Show whether a node is punished, for what, until when, and what to do",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := parseNode(args[0])
			if err != nil {
				return err
			}
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			n, err := s.find(ref)
			if err != nil {
				return err
			}
			out, err := s.jailStatus(n)
			if err != nil {
				return err
			}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error { return out.print(w, s.now) })
		},
	}
}

func (s *session) jailStatus(n ledger.NodeRecord) (jailStatus, error) {
	standing, err := s.view.Sanctions(n.ID)
	if err != nil {
		return jailStatus{}, err
	}
	listed, err := s.listNodes(defaultPast)
	if err != nil {
		return jailStatus{}, err
	}
	p, err := s.pasts([]staking.NodeID{n.ID}, defaultPast)
	if err != nil {
		return jailStatus{}, err
	}
	out := jailStatus{Node: n.ID, Name: n.Name, Out: n.Out, Jailed: standing.Jailed(s.head.Epoch), Lies: len(standing.Lies), LiesOut: s.params.Staking.Ladder.LiesOut,
		Unready: []unready{}, Verdicts: []verdict{}}
	for _, l := range listed {
		if l.ID == n.ID {
			out.Now = l.Now
		}
	}
	if standing.JailUntil > s.head.Epoch {
		out.JailFrom, out.JailUntil = standing.JailFrom, standing.JailUntil
	}
	if standing.Moves(s.head.Epoch) {
		out.MoveUntil = standing.MoveUntil
	}
	if standing.NoNew(s.head.Epoch) {
		out.NoNewUntil = max(standing.NoNewUntil, standing.MoveUntil)
	}
	for i, shard := range standing.Unready {
		out.Unready = append(out.Unready, unready{shard, standing.UnreadyFor[i]})
	}
	for _, one := range p[n.ID] {
		v := verdict{Epoch: one.epoch, Failed: one.Credit.Failed, Away: one.Credit.Away, Rung: one.Verdict.Rung, Taken: one.Cut.Total(), Effect: effects(one.Verdict)}
		v.Passed.add(one.Credit)
		out.Verdicts = append(out.Verdicts, v)
	}
	out.Advice = s.advice(out, p[n.ID])
	return out, nil
}

// effects is what a verdict does beside the slash.
func effects(v staking.Verdict) []string {
	out := []string{}
	for _, e := range []struct {
		so   bool
		text string
	}{{v.Defer, "pay deferred"}, {v.NoNew, "no new shards"}, {v.Jail, "jail"}, {v.Move, "shards move away"}, {v.Forfeit, "held-back pay lost"}, {v.Out, "out for good"}} {
		if e.so {
			out = append(out, e.text)
		}
	}
	return out
}

// advice says what to do, and when it is over.
func (s *session) advice(j jailStatus, p []past) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if j.Out {
		say("it is out for good: no vote or payment brings it back. Its shards move away; what is left of the stake can be asked back (walrus pool unbond, walrus stake unbond). A new node with new keys can be registered")
		return out
	}
	if j.JailUntil > 0 {
		say("jail ends by itself when epoch %d begins (about %s); there is nothing to pay or to send. Keep it running and proving: what it does in jail is judged too", j.JailUntil, timeText(s.begins(j.JailUntil)))
	}
	if j.NoNewUntil > 0 {
		say("shards are given to it again by the committee that is chosen in epoch %d (about %s), and which serves from epoch %d", j.NoNewUntil, timeText(s.begins(j.NoNewUntil)), j.NoNewUntil+1)
	}
	for _, u := range j.Unready {
		say("shard %d is not complete there, at %d ends of epochs so far; at %d the stake is slashed: walrus node status says what it lacks", u.Shard, u.Epochs, s.params.Staking.Ladder.LateEpochs)
	}
	if j.Lies > 0 {
		say("%d proven lies count now; at %d it is out for good: a disk or a memory that errs does this, check both before it goes on", j.Lies, j.LiesOut)
	}
	if len(p) > 0 {
		switch last := p[len(p)-1]; last.Verdict.Rung {
		case 0:
		case 1:
			say("it proved too little in epoch %d: see its log, walrus node status, and that its clock and line are well", last.epoch)
		case 2, 3, 4:
			say("it was there and failed proofs in epoch %d: data is missing or the disk too slow. walrus node status says what it lacks; what it declares lost by itself costs no stake", last.epoch)
		case 5, 6:
			say("it was offline, or not ready, for long up to epoch %d: two epochs in a row cost stake. Bring it back, or move it to a machine that stays up", last.epoch)
		}
		if last := p[len(p)-1]; last.Verdict.Bps > 0 {
			say("walrus explain slash %s %d shows the evidence, and the sum", shortID(j.Node), last.epoch)
		}
	}
	if len(out) == 0 {
		say("nothing: it is in good standing")
	}
	return out
}

func (j jailStatus) print(w io.Writer, n now) error {
	t := newTable(w)
	t.row("node", fmt.Sprintf("%s (%s)", cutText(j.Name), j.Node))
	switch {
	case j.Out:
		t.row("standing", "expelled for good")
	case j.Jailed:
		t.row("standing", fmt.Sprintf("in jail: it earns nothing before epoch %d (about %s)", j.JailUntil, timeText(n.begins(j.JailUntil))))
	case j.JailUntil > 0:
		t.row("standing", fmt.Sprintf("goes to jail in epoch %d (about %s), until epoch %d begins", j.JailFrom, timeText(n.begins(j.JailFrom)), j.JailUntil))
	case j.MoveUntil > 0:
		t.row("standing", "its shards are moved to others")
	case j.NoNewUntil > 0:
		t.row("standing", "it is given no new shards")
	default:
		t.row("standing", "good")
	}
	t.row("passed", fmt.Sprintf("%s of its shard-rounds in this epoch so far", j.Now))
	t.row("ledger", j.Ledger)
	if err := t.flush(); err != nil {
		return err
	}
	var advice strings.Builder
	for _, a := range j.Advice {
		indent(&advice, "to do     ", a)
	}
	if _, err := io.WriteString(w, advice.String()); err != nil || len(j.Verdicts) == 0 {
		return err
	}
	fmt.Fprintln(w)
	t = newTable(w)
	t.row("EPOCH", "PASSED", "FAILED", "AWAY", "RUNG", "SLASHED", "BESIDE")
	for _, v := range j.Verdicts {
		rung := "-"
		if v.Rung > 0 {
			rung = fmt.Sprint(v.Rung)
		}
		effect := strings.Join(v.Effect, ", ")
		if effect == "" {
			effect = "-"
		}
		t.row(v.Epoch, v.Passed, v.Failed, v.Away, rung, amountOr(v.Taken), effect)
	}
	return t.flush()
}
