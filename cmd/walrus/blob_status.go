package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

func (a *app) statusCommand() *cobra.Command {
	quick := false
	c := &cobra.Command{
		Use:   "status ID",
		Short: "Is my file safe now? What is certain of a blob",
		Long: `Answers in its first line whether a blob is safe now, then shows what that
rests on. A shard counts when one of these is certain, and the newest decides:
its holder has signed that it holds everything (the ledger); it passed in the
last round in which the blob was drawn (proof); it shows a part of the blob now
(presence). Nodes are waited for three seconds; --no-ask leaves them alone.
Nodes that are silent, and a ledger that stands still, are told in the first
line. walrus audit asks the nodes for more.

What the ledger says is proven against the network's genesis, whichever node answers.
Exits with 3 if the blob cannot be read: it is unknown, was never certified, or
has ended.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			a.needsNodes = !quick
			return a.withSession(c.Context(), func(s *session) error { return a.blobStatus(c.Context(), s, id, !quick) },
				ledger.KeyBlob(id), ledger.KeyLastDraw(id), ledger.KeyCertificate(id), ledger.KeyUsage())
		},
	}
	c.Flags().BoolVar(&quick, "no-ask", false, "ask the ledger alone, not the nodes")
	return c
}

func (a *app) blobStatus(ctx context.Context, s *session, id blob.ID, ask bool) error {
	st, err := s.statusOf(id)
	if err != nil {
		return err
	}
	at := s.ledgerState()
	st.Ledger = &at
	switch st.State {
	case report.Certified:
		if err := s.keepers(ctx, &st, ask); err != nil {
			return err
		}
		if at.Still {
			st.Answer = fmt.Sprintf("%s; the ledger stands still for %s: what it says is that old", st.Answer, ageText(s.Age()))
		}
	case report.Unknown:
		st.Answer, err = "unknown: no blob of that name is on this ledger", fmt.Errorf("%s: %w", id, client.ErrUnknownBlob)
	case report.Registered:
		st.Answer, err = "not safe yet: paid for, but the network has not promised to keep it", fmt.Errorf("%s: %w", id, client.ErrUncertified)
	default:
		st.Answer, err = fmt.Sprintf("gone: it is %s, and no node must keep it", st.State), fmt.Errorf("%s: %w: %s", id, client.ErrEnded, st.State)
	}
	if err != nil {
		no := false
		st.Safe, st.Error = &no, err.Error()
	}
	if printed := a.print(st, func(w io.Writer) error { return s.printStatus(w, st) }); printed != nil {
		return printed
	}
	return err
}

// statusOf reads a blob from the ledger, with a warning if it ends soon.
func (s *session) statusOf(id blob.ID) (report.Blob, error) {
	st, err := s.Blob(id)
	if err == nil {
		st.Warning = s.warn(st, token.Address{})
	}
	return st, err
}

// keepers adds the safety of a certified blob.
func (s *session) keepers(ctx context.Context, st *report.Blob, ask bool) error {
	e, _, err := s.View.Blob(st.Blob)
	if err != nil {
		return err
	}
	of, err := s.safety(ctx, e, ask)
	if err != nil {
		return err
	}
	*st = s.WithSafety(*st, of)
	return nil
}

func (s *session) printStatus(w io.Writer, st report.Blob) error {
	if _, err := fmt.Fprintln(w, st.Answer); err != nil {
		return err
	}
	t := newTable(w)
	t.row("blob", st.Blob)
	state := st.State
	if st.CertifiedEpoch != nil && st.State == report.Certified {
		state = fmt.Sprintf("certified in epoch %d: the network keeps it", *st.CertifiedEpoch)
	}
	if st.EndedEpoch != nil {
		state = fmt.Sprintf("%s, in epoch %d", st.State, *st.EndedEpoch)
	}
	t.row("state", state)
	if st.StoredKiB > 0 {
		t.row("size", fmt.Sprintf("%s, %s in the network", bytesText(st.Bytes), bytesText(st.StoredKiB.Bytes())))
	}
	if st.Safety != nil {
		safetyText(*st.Safety).rows(t, time.Now(), st.Needed)
		text := fmt.Sprintf("until epoch %d begins (about %s)", st.EndEpoch, timeText(*st.PaidUntil))
		if st.RenewsUntil > 0 {
			text += fmt.Sprintf(", renews itself until about %d", st.RenewsUntil)
		}
		t.row("paid", text)
	}
	for _, l := range st.Leases {
		text := fmt.Sprintf("%s, until epoch %d begins (about %s)", l.Owner, l.End, timeText(s.Begins(l.End)))
		if l.Permanent {
			text += ", permanent"
		}
		if l.Renewal != nil {
			text += ", " + renewalText(*l.Renewal, l.End, s.Params.Registry.Price)
		}
		t.row("lease", text)
	}
	if st.Warning != "" {
		t.row("warning", st.Warning)
	}
	t.row("ledger", ledgerText(*st.Ledger))
	return t.flush()
}
