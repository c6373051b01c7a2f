package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
)

// jailShown is a node's jail status, with advice and the state of the ledger.
type jailShown struct {
	report.JailStatus
	Advice []string           `json:"what_to_do"`
	Ledger report.LedgerState `json:"ledger"`
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
			return a.withSession(c.Context(), func(s *session) error {
				n, err := s.find(ref)
				if err != nil {
					return err
				}
				out, err := s.jailStatus(n)
				if err != nil {
					return err
				}
				out.Ledger = s.ledgerState()
				return a.print(out, func(w io.Writer) error { return out.print(w, s.Now) })
			})
		},
	}
}

func (s *session) jailStatus(n ledger.NodeRecord) (out jailShown, err error) {
	if out.JailStatus, err = s.JailStatus(n, defaultPast); err != nil {
		return out, err
	}
	out.Advice = s.advice(out.JailStatus)
	return out, nil
}

// advice lists what the operator can do, and when each penalty ends.
func (s *session) advice(j report.JailStatus) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if j.Out {
		say("it is out for good: no vote or payment brings it back. Its shards move away; what is left of the stake can be asked back (walrus pool unbond, walrus stake unbond). A new node with new keys can be registered")
		return out
	}
	if j.JailUntil > 0 {
		say("jail ends by itself when epoch %d begins (about %s); there is nothing to pay or to send. Keep it running and proving: what it does in jail is judged too", j.JailUntil, timeText(s.Begins(j.JailUntil)))
	}
	if j.NoNewUntil > 0 {
		say("shards are given to it again by the committee that is chosen in epoch %d (about %s), and which serves from epoch %d", j.NoNewUntil, timeText(s.Begins(j.NoNewUntil)), j.NoNewUntil+1)
	}
	for _, u := range j.Unready {
		say("shard %d is not complete there, at %d ends of epochs so far; at %d the stake is slashed: walrus node status says what it lacks", u.Shard, u.Epochs, s.Params.Staking.Ladder.LateEpochs)
	}
	if j.Lies > 0 {
		say("%d proven lies count now; at %d it is out for good: a disk or a memory that errs does this, check both before it goes on", j.Lies, j.LiesOut)
	}
	if len(j.Results) > 0 {
		last := j.Results[len(j.Results)-1]
		switch last.Rung {
		case 0:
		case 1:
			say("it proved too little in epoch %d: see its log, walrus node status, and that its clock and line are well", last.Epoch)
		case 2, 3, 4:
			say("it was there and failed proofs in epoch %d: data is missing or the disk too slow. walrus node status says what it lacks; what it declares lost by itself costs no stake", last.Epoch)
		case 5, 6:
			say("it was offline, or not ready, for long up to epoch %d: two epochs in a row cost stake. Bring it back, or move it to a machine that stays up", last.Epoch)
		}
		if last.Bps > 0 {
			say("walrus explain slash %s %d shows the evidence, and the sum", shortID(j.Node), last.Epoch)
		}
	}
	if len(out) == 0 {
		say("nothing: it is in good standing")
	}
	return out
}

func (j jailShown) print(w io.Writer, n report.Now) error {
	t := newTable(w)
	t.row("node", fmt.Sprintf("%s (%s)", cutText(j.Name), j.Node))
	switch {
	case j.Out:
		t.row("standing", "expelled for good")
	case j.Jailed:
		t.row("standing", fmt.Sprintf("in jail: it earns nothing before epoch %d (about %s)", j.JailUntil, timeText(n.Begins(j.JailUntil))))
	case j.JailUntil > 0:
		t.row("standing", fmt.Sprintf("goes to jail in epoch %d (about %s), until epoch %d begins", j.JailFrom, timeText(n.Begins(j.JailFrom)), j.JailUntil))
	case j.MoveUntil > 0:
		t.row("standing", "its shards are moved to others")
	case j.NoNewUntil > 0:
		t.row("standing", "it is given no new shards")
	default:
		t.row("standing", "good")
	}
	t.row("passed", fmt.Sprintf("%s of its shard-rounds in this epoch so far", passedText(j.Now)))
	t.row("ledger", ledgerText(j.Ledger))
	if err := t.flush(); err != nil {
		return err
	}
	var advice strings.Builder
	for _, a := range j.Advice {
		indent(&advice, explainWidth, "to do     ", a)
	}
	if _, err := io.WriteString(w, advice.String()); err != nil || len(j.Results) == 0 {
		return err
	}
	fmt.Fprintln(w)
	t = newTable(w)
	t.row("EPOCH", "PASSED", "FAILED", "AWAY", "RUNG", "SLASHED", "BESIDE")
	for _, v := range j.Results {
		rung := "-"
		if v.Rung > 0 {
			rung = fmt.Sprint(v.Rung)
		}
		effect := strings.Join(v.Effect, ", ")
		if effect == "" {
			effect = "-"
		}
		t.row(v.Epoch, passedText(v.Passed), v.Failed, v.Away, rung, amountOr(v.Slashed), effect)
	}
	return t.flush()
}
