package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// The states of a blob, beside the reasons for which one ends.
const (
	stateCertified  = "certified"
	stateRegistered = "registered"
	stateUnknown    = "unknown"
)

// blobStatus is what the ledger says of a blob.
type blobStatus struct {
	Blob           blob.ID             `json:"blob"`
	Answer         string              `json:"answer,omitempty"` // is it safe now? in a line
	Safe           *bool               `json:"safe,omitempty"`   // the verdict is safe
	State          string              `json:"state"`            // certified, registered, expired, lapsed, deleted, invalid, unknown
	Bytes          int64               `json:"bytes,omitempty"`
	StoredKiB      uint64              `json:"stored_kib,omitempty"`
	CertifiedEpoch *unit.Epoch         `json:"certified_epoch,omitempty"`
	EndEpoch       unit.Epoch          `json:"end_epoch,omitempty"`   // when the last lease ends
	EndedEpoch     *unit.Epoch         `json:"ended_epoch,omitempty"` // when it was known to have ended
	Nodes          int                 `json:"nodes,omitempty"`       // that keep its fragments, while it is certified
	Shards         int                 `json:"shards,omitempty"`      // over which these are spread
	Needed         int                 `json:"needed,omitempty"`      // shards that bring it back
	Safety         *report.Safety      `json:"safety,omitempty"`      // while it is certified
	PaidUntil      *time.Time          `json:"paid_until,omitempty"`  // about when the end epoch begins
	Leases         []lease             `json:"leases,omitempty"`
	RenewsUntil    unit.Epoch          `json:"renews_until_epoch,omitempty"` // about, at today's price; where a lease renews itself
	Warning        string              `json:"warning,omitempty"`            // it ends soon
	Ledger         *report.LedgerState `json:"ledger,omitempty"`
	Error          string              `json:"error,omitempty"`
}

type lease struct {
	Owner     token.Address `json:"owner"`
	Payer     token.Address `json:"payer"`
	Start     unit.Epoch    `json:"start_epoch"`
	End       unit.Epoch    `json:"end_epoch"` // the first it does not pay for
	Price     token.Amount  `json:"price_per_epoch"`
	Write     token.Amount  `json:"write_price"` // not yet earned by a certificate
	Permanent bool          `json:"permanent"`
	Renewal   *renewal      `json:"renewal,omitempty"`
}

// parseID reads a blob ID that was typed.
func parseID(s string) (blob.ID, error) {
	id, err := blob.ParseID(s)
	if err != nil {
		return id, errUsage{fmt.Errorf("%w: walrus store prints IDs like bafy…, walrus list shows yours", err)}
	}
	return id, nil
}

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
			return a.withSession(c.Context(), func(s *session) error { return a.blobStatus(c.Context(), s, id, !quick) })
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
	case stateCertified:
		if err := s.keepers(ctx, &st, ask); err != nil {
			return err
		}
		if at.Still {
			st.Answer = fmt.Sprintf("%s; the ledger stands still for %s: what it says is that old", st.Answer, ageText(s.Age()))
		}
	case stateUnknown:
		st.Answer, err = "unknown: no blob of that name is on this ledger", fmt.Errorf("%s: %w", id, client.ErrUnknownBlob)
	case stateRegistered:
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

// statusOf reads what the ledger says of a blob.
func (s *session) statusOf(id blob.ID) (blobStatus, error) {
	st := blobStatus{Blob: id, State: stateUnknown}
	e, known, err := s.View.Blob(id)
	if err != nil {
		return st, err
	}
	if known {
		s.fill(&st, e)
		return st, nil
	}
	t, buried, err := s.View.Tombstone(id)
	if buried {
		st.State, st.EndedEpoch = t.Reason.String(), &t.Ended
	}
	return st, err
}

// keepers says which nodes keep a certified blob: every shard has a place in every blob.
func (s *session) keepers(ctx context.Context, st *blobStatus, ask bool) error {
	e, _, err := s.View.Blob(st.Blob)
	if err != nil {
		return err
	}
	of, err := s.safety(ctx, e, ask)
	if err != nil {
		return err
	}
	safe := of.Verdict == report.Safe
	st.Safety, st.Answer, st.Safe = &of, of.String(), &safe
	st.Nodes, st.Shards, st.Needed = len(of.Holders), of.Shards, of.Needed
	paid := s.Begins(st.EndEpoch).UTC()
	st.PaidUntil = &paid
	return nil
}

func (s *session) fill(st *blobStatus, e registry.Entry) {
	st.Bytes, st.StoredKiB, st.EndEpoch = int64(e.Manifest.Size), e.Units, e.End()
	switch {
	case e.Invalid:
		st.State = registry.Invalid.String()
	case !e.Live(s.Head.Epoch):
		st.State = registry.Expired.String()
	case e.Certified():
		st.State = stateCertified
	default:
		st.State = stateRegistered
	}
	if e.Certified() {
		st.CertifiedEpoch = &e.CertifiedEpoch
	}
	for _, l := range e.Leases {
		st.Leases = append(st.Leases, lease{l.Owner, l.Payer, l.Start, l.End, l.Price, l.Write, l.Permanent, s.renewalOf(e, l)})
	}
	if end, until := st.lasts(token.Address{}); until > end {
		st.RenewsUntil = until
	}
	st.Warning = s.warn(*st, token.Address{})
}

func (s *session) printStatus(w io.Writer, st blobStatus) error {
	if _, err := fmt.Fprintln(w, st.Answer); err != nil {
		return err
	}
	t := newTable(w)
	t.row("blob", st.Blob)
	state := st.State
	if st.CertifiedEpoch != nil && st.State == stateCertified {
		state = fmt.Sprintf("certified in epoch %d: the network keeps it", *st.CertifiedEpoch)
	}
	if st.EndedEpoch != nil {
		state = fmt.Sprintf("%s, in epoch %d", st.State, *st.EndedEpoch)
	}
	t.row("state", state)
	if st.StoredKiB > 0 {
		t.row("size", fmt.Sprintf("%s, %s in the network", bytesText(st.Bytes), bytesText(st.StoredKiB<<10)))
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
			text += ", " + l.Renewal.text(l.End, s.Params.Registry.Price)
		}
		t.row("lease", text)
	}
	if st.Warning != "" {
		t.row("warning", st.Warning)
	}
	t.row("ledger", ledgerText(*st.Ledger))
	return t.flush()
}
