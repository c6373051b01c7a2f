package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/explain"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

func (a *app) explainCommand() *cobra.Command {
	return a.group("explain", "Work out again, from the ledger's records, how a number came about", a.explainPrice(), a.explainReward(), a.explainSlash())
}

// explanationShown is an explanation and the state of the ledger it was read from.
type explanationShown struct {
	explain.Explanation
	Ledger report.LedgerState `json:"ledger"`
}

func (a *app) explainPrice() *cobra.Command {
	return &cobra.Command{
		Use:   "price [EPOCH]",
		Short: "Show by which votes the prices of an epoch came about",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			epoch, err := parseEpoch(first(args))
			if err != nil {
				return err
			}
			return a.explain(c, nil, func(s *session, _ staking.NodeID) (explain.Explanation, error) {
				if epoch == nil {
					epoch = &s.Head.Epoch
				}
				return explain.Price(s.View, *epoch)
			})
		},
	}
}

func (a *app) explainReward() *cobra.Command {
	return &cobra.Command{
		Use:   "reward NODE [EPOCH]",
		Short: "Show how the pay of a node in an epoch was worked out and shared",
		Long:  "Works out again, step by step, what a node earned in an epoch (the last that has ended, unless another is named), and how it was shared by operator and delegators: from records of the ledger that are proven to you. The sum is done by your program.",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.explainNode(c, args, explain.Reward, func(s *session, _ staking.NodeID) (unit.Epoch, error) { return s.lastEnded() })
		},
	}
}

func (a *app) explainSlash() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "slash NODE [EPOCH] | --check FILE",
		Short: "Show how a node was judged at an epoch's end, by which evidence, and what it cost",
		Long: `Works out again how a node was judged at the end of an epoch: by default of the last in which it was slashed, or of the last that has ended if it was not in any that is on record.

The evidence of lies and false votes is checked again, step by step. With --json it is
printed too, and --check checks it without asking a node. A file cannot prove which
stripes were drawn or which nodes voted; only the ledger can: explain slash NODE asks it.`,
		Example: "  walrus explain slash …BtbfZHkt\n  walrus explain slash …BtbfZHkt 7 --json >slash.json\n  walrus explain slash --check slash.json",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if (file != "") == (len(args) > 0) {
				return errUsage{errors.New("whose slash? Name a node (walrus nodes), or a file of evidence with --check")}
			}
			if file != "" {
				return a.checkEvidence(c.Context(), file)
			}
			return a.explainNode(c, args, explain.Slash, (*session).lastSlash)
		},
	}
	c.Flags().StringVar(&file, "check", "", "check the evidence in a file that --json wrote, offline; - is standard input")
	return c
}

// lastEnded is the last epoch that is settled.
func (s *session) lastEnded() (unit.Epoch, error) {
	if s.Head.Epoch == 0 {
		return 0, fmt.Errorf("no epoch has ended yet: %w; the first does about %s", explain.ErrNoRecord, timeText(s.Begins(1)))
	}
	return s.Head.Epoch - 1, nil
}

// lastSlash is the last epoch at whose end a node was slashed.
func (s *session) lastSlash(id staking.NodeID) (unit.Epoch, error) {
	p, err := s.Statements([]staking.NodeID{id}, s.Params.HistoryEpochs)
	if err != nil {
		return 0, err
	}
	for i := len(p[id]) - 1; i >= 0; i-- {
		if p[id][i].Verdict.Bps > 0 {
			return p[id][i].Epoch, nil
		}
	}
	return s.lastEnded()
}

// explainNode explains an epoch of a node: the typed one, or else the standard one.
func (a *app) explainNode(c *cobra.Command, args []string, about func(ledger.View, unit.Epoch, staking.NodeID) (explain.Explanation, error), standard func(*session, staking.NodeID) (unit.Epoch, error)) error {
	ref, err := parseNode(args[0])
	if err != nil {
		return err
	}
	epoch, err := parseEpoch(first(args[1:]))
	if err != nil {
		return err
	}
	return a.explain(c, &ref, func(s *session, id staking.NodeID) (explain.Explanation, error) {
		if epoch == nil {
			e, err := standard(s, id)
			if err != nil {
				return explain.Explanation{}, err
			}
			epoch = &e
		}
		return about(s.View, *epoch, id)
	})
}

// parseEpoch reads an epoch; it is nil for an empty text.
func parseEpoch(text string) (*unit.Epoch, error) {
	if text == "" {
		return nil, nil
	}
	n, err := parseCount("epoch", text, math.MaxUint64)
	if err != nil {
		return nil, fmt.Errorf("%w; walrus info says which epoch it is", err)
	}
	e := unit.Epoch(n)
	return &e, nil
}

// explain prints an explanation; ref may be nil.
func (a *app) explain(c *cobra.Command, ref *nodeRef, about func(*session, staking.NodeID) (explain.Explanation, error)) error {
	return a.withSession(c.Context(), func(s *session) error {
		var id staking.NodeID
		if ref != nil {
			n, err := s.find(*ref)
			if err != nil {
				return err
			}
			id = n.ID
		}
		e, err := about(s, id)
		if err != nil {
			return err
		}
		out := explanationShown{e, s.ledgerState()}
		return a.print(out, out.print)
	})
}

// explainWidth is the letters of a line of an explanation.
const explainWidth = 100

func (e explanationShown) print(w io.Writer) error {
	verdict := "it is what the ledger did"
	if !e.Holds {
		verdict = "it is NOT what the ledger did"
	}
	return printSteps(w, e.Explanation, verdict, ledgerText(e.Ledger).String())
}

// printSteps writes an explanation, and the lines under it.
func printSteps(w io.Writer, e explain.Explanation, under ...string) error {
	var out strings.Builder
	fmt.Fprintln(&out, e.Title)
	for i, s := range e.Steps {
		indent(&out, explainWidth, fmt.Sprintf("%3d  ", i+1), s.Text)
		if s.Sum != "" {
			indent(&out, explainWidth, "       ", s.Sum)
		}
	}
	for _, line := range under {
		fmt.Fprintf(&out, "     %s\n", line)
	}
	_, err := io.WriteString(w, out.String())
	return err
}
