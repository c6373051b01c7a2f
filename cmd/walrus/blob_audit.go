package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
)

// auditShown is the result of asking every node for random parts of a blob.
type auditShown struct {
	Blob    blob.ID       `json:"blob"`
	Answer  string        `json:"answer"`
	All     bool          `json:"all"` // every shard proved it
	Shards  int           `json:"shards"`
	Held    int           `json:"held_shards"`
	Needed  int           `json:"needed"`
	Samples int           `json:"samples"` // of each shard
	Waited  bool          `json:"waited"`  // for a storage challenge to be over
	Nodes   []auditedNode `json:"nodes"`
	Seconds float64       `json:"seconds"`
	Error   string        `json:"error,omitempty"`
}

type auditedNode struct {
	Node     staking.NodeID `json:"node"`
	Name     string         `json:"name"`
	Shards   int            `json:"shards"`
	Held     int            `json:"held_shards"`
	Asked    int            `json:"asked"`
	Verified int            `json:"verified"`
	Missing  int            `json:"missing"`
	Wrong    int            `json:"wrong"`
	Refused  int            `json:"refused"` // or no answer
	Why      string         `json:"why,omitempty"`
	Millis   float64        `json:"milliseconds"`
}

func (a *app) auditCommand() *cobra.Command {
	samples := 4
	c := &cobra.Command{
		Use:   "audit ID",
		Short: "Challenge a blob now: ask every node for random parts of it",
		Long: `Asks every node that must hold the blob for random symbols of each of its shards, with
proofs, and checks them against the blob's ID. The ledger is not asked for its
opinion, nor told: for what the network's own challenges found see walrus status.
While one of these runs nodes keep answers back; audit waits until it is over.

Exits with 0 if all shards prove that they hold the blob, with 1 if not all do but
enough to bring it back, with 4 if too few do.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			const most = 1000
			if samples < 1 || samples > most {
				return errUsage{fmt.Errorf("--samples %d: 1 to %d", samples, most)}
			}
			return a.withSession(c.Context(), func(s *session) error { return a.audit(c.Context(), s, id, samples) })
		},
	}
	c.Flags().IntVar(&samples, "samples", samples, "how many random places of the blob each shard is asked for")
	return c
}

func (a *app) audit(ctx context.Context, s *session, id blob.ID, samples int) error {
	_, commitment, d, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	out := auditShown{Blob: id, Samples: samples}
	began := time.Now()
	got, err := s.Audit(ctx, d, commitment, samples, func() {
		out.Waited = true
		a.say("a storage challenge is running, and nodes keep answers back: waiting until it is over")
	})
	if err != nil {
		return err
	}
	out.Seconds, out.Shards, out.Held, out.Needed = time.Since(began).Seconds(), got.Shards, got.Held, got.Needed
	if err := s.name(&out, got); err != nil {
		return err
	}
	err = got.Err()
	if out.All = err == nil; !out.All {
		err = fmt.Errorf("%s: %w", id, err)
		out.Error = err.Error()
	}
	out.Answer = out.answer()
	if printed := a.print(out, out.print); printed != nil {
		return printed
	}
	return err
}

// name adds the nodes, with their names on the ledger.
func (s *session) name(out *auditShown, got fetch.Audit) error {
	committee, err := s.View.Committee(s.Head.Epoch)
	if err != nil {
		return err
	}
	var keys [][]byte
	for _, m := range committee.Nodes {
		keys = append(keys, ledger.KeyNode(m.ID))
	}
	if err := s.Prefetch(keys...); err != nil {
		return err
	}
	for _, n := range got.Nodes {
		one := auditedNode{Shards: n.Shards, Held: n.Held, Asked: n.Asked, Verified: n.Verified, Missing: n.Missing, Wrong: n.Wrong, Refused: n.Refused, Why: n.Why, Millis: float64(n.Elapsed.Microseconds()) / 1000}
		for _, m := range committee.Nodes {
			if m.ID.String() != n.Peer.String() {
				continue
			}
			record, _, err := s.View.Node(m.ID)
			if err != nil {
				return err
			}
			one.Node, one.Name = m.ID, record.Name
		}
		out.Nodes = append(out.Nodes, one)
	}
	return nil
}

func (o auditShown) answer() string {
	spare := max(0, o.Held-o.Needed)
	text := fmt.Sprintf("%d of %d shards proved it, %d samples each, in %.1f s; ", o.Held, o.Shards, o.Samples, o.Seconds)
	if o.Held < o.Needed {
		return text + fmt.Sprintf("it takes %d", o.Needed)
	}
	return text + fmt.Sprintf("it outlives any %d", spare)
}

func (o auditShown) print(w io.Writer) error {
	if _, err := fmt.Fprintln(w, o.Answer); err != nil {
		return err
	}
	t := newTable(w)
	t.row("NODE", "ID", "SHARDS", "HELD", "VERIFIED", "MISSING", "WRONG", "REFUSED", "TIME")
	for _, n := range o.Nodes {
		t.row(holderName(report.Holder{Node: n.Node, Name: n.Name}), shortID(n.Node), n.Shards, n.Held, fmt.Sprintf("%d/%d", n.Verified, n.Asked), n.Missing, n.Wrong, n.Refused, fmt.Sprintf("%.0f ms", n.Millis))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, n := range o.Nodes {
		if n.Why != "" {
			why, _, _ := strings.Cut(n.Why, "\n")
			if _, err := fmt.Fprintf(w, "%s: %s\n", shortID(n.Node), lines(why)); err != nil {
				return err
			}
		}
	}
	return nil
}
