package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/unit"
)

// callLimit is how long a node may take to say hello.
const callLimit = 5 * time.Second

type nodeList struct {
	Nodes  []report.Node      `json:"nodes"`  // most stake first
	Epochs uint64             `json:"epochs"` // last epochs that the figures of the past cover
	Ledger report.LedgerState `json:"ledger"`
}

// defaultPast is the number of past epochs that commands show of a node.
const defaultPast = 8

const nodesHelp = `Lists the nodes by their stake: what they hold, what they charge, how they have
passed, and what they have been slashed. The last letters of an ID are enough for other
commands.

COMMISSION 5%>8% @12 is one of 5% that becomes 8% in epoch 12. PASSED is the part of its
shard-rounds that a node passed: in this epoch so far, and in the last ones (--epochs).
RETURN is what a delegator would earn in a year
if all epochs were like the last ones, with the returns of the worst and the best epoch:
commission is subtracted, slashes are not, and earnings are not staked again. Half of
the pay of a new node is held back, for up to eight epochs.

Every row is proven. That the list is complete rests on the node that answered.`

func (a *app) nodesCommand() *cobra.Command {
	var quiet, wide bool
	epochs := uint64(defaultPast)
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes: stake, commission, how they pass, what they return, whether they answer",
		Long:  nodesHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.needsNodes, a.lists = !quiet, ledger.PrefixNodes()
			return a.withSession(c.Context(), func(s *session) error {
				list, err := s.Nodes(epochs)
				if err != nil {
					return err
				}
				out := nodeList{list, epochs, s.ledgerState()}
				if !quiet {
					s.callAll(c.Context(), out.Nodes)
				}
				return a.print(out, func(w io.Writer) error {
					if wide {
						return out.printWide(w, quiet)
					}
					return out.print(w, quiet)
				})
			})
		},
	}
	c.Flags().BoolVar(&quiet, "no-call", false, "do not call the nodes: show what the ledger says only")
	c.Flags().BoolVar(&wide, "wide", false, "show whole IDs, capacities and single slashes, however wide it gets")
	c.Flags().Uint64Var(&epochs, "epochs", epochs, "how many epochs to look back")
	return c
}

// penaltyText is a node's penalty in few words; empty for none.
func penaltyText(p report.Penalty) string {
	switch {
	case p.Out:
		return "expelled"
	case p.Jailed:
		return fmt.Sprintf("jail to %d", p.JailUntil)
	case p.JailUntil > 0:
		return fmt.Sprintf("jail from %d", p.JailFrom)
	case p.MoveUntil > 0:
		return "loses its shards"
	case p.NoNewUntil > 0:
		return "no new shards"
	}
	return ""
}

// callAll says hello to all nodes at once.
func (s *session) callAll(ctx context.Context, list []report.Node) {
	var wg sync.WaitGroup
	for i := range list {
		n := &list[i]
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			id, err := p2p.PeerOf(n.ID[:])
			if err == nil {
				if err = s.Host.Connect(ctx, id, n.Addresses); err == nil {
					n.Answers, n.Version = true, s.Host.Peers()[id].Version
					return
				}
			}
			n.Error = err.Error()
		})
	}
	wg.Wait()
}

// stateText is whether a node answers, in a word, and its penalty.
func stateText(n report.Node, quiet bool) string {
	answers := "up"
	switch {
	case quiet:
		answers = ""
	case !n.Answers:
		answers = "down"
	}
	return cmp.Or(strings.Trim(answers+", "+penaltyText(n.Penalty), ", "), "not called")
}

func shardsText(n report.Node) string {
	if n.Keeping > 0 {
		return fmt.Sprintf("%d (+%d)", n.Shards, n.Keeping)
	}
	return fmt.Sprint(n.Shards)
}

func commissionText(n report.Node) string {
	text := n.Commission.Percent()
	for _, c := range n.Announced {
		text += fmt.Sprintf(">%s @%d", c.Bps.Percent(), c.Epoch)
	}
	return text
}

// passedText is the part of shard-rounds that passed, in percent; a dash without any.
func passedText(r report.ShardRounds) string {
	if r.Assigned == 0 {
		return "-"
	}
	return unit.Bps(r.Passed * unit.Whole / r.Assigned).Percent()
}

func returnText(r *report.Returns) string {
	if r == nil {
		return "-"
	}
	const absurd = 1000 // percent, as in a network whose epochs are seconds
	if r.Mean >= absurd {
		return fmt.Sprintf("over %d%%", absurd)
	}
	digits := 1
	if r.High >= 100 {
		digits = 0
	}
	return fmt.Sprintf("%.*f%% (%.*f-%.*f)", digits, r.Mean, digits, r.Low, digits, r.High)
}

func (l nodeList) print(w io.Writer, quiet bool) error {
	t := newTable(w)
	t.row("NAME", "ID", "SHARDS", "BOND", "STAKE", "COMMISSION", "PASSED", "RETURN A YEAR", "SLASHED", "STATE")
	for _, n := range l.Nodes {
		slashed := "-"
		if len(n.Slashes) > 0 {
			slashed = fmt.Sprintf("%dx", len(n.Slashes))
		}
		t.row(cutText(n.Name), shortID(n.ID), shardsText(n), walText(n.Bond), walText(n.Stake), commissionText(n), passedText(n.Now)+"/"+passedText(n.Past), returnText(n.Return), slashed, stateText(n, quiet))
	}
	return t.flush()
}

func (l nodeList) printWide(w io.Writer, quiet bool) error {
	t := newTable(w)
	t.row("NAME", "ID", "SHARDS", "BOND", "STAKE", "COUNTED", "COMMISSION", "PASSED NOW", "PAST", "RETURN A YEAR", "CAPACITY", "STATE", "SLASHES")
	for _, n := range l.Nodes {
		var all []string
		for _, s := range n.Slashes {
			all = append(all, fmt.Sprintf("%s in epoch %d (rung %d)", s.Amount, s.Epoch, s.Rung))
		}
		t.row(nameText(n.Name), n.ID, shardsText(n), n.Bond, n.Stake, n.Counted, commissionText(n), passedText(n.Now), passedText(n.Past), returnText(n.Return), bytesText(n.CapacityKiB.Bytes()), stateText(n, quiet), cmp.Or(strings.Join(all, ", "), "-"))
	}
	return t.flush()
}
