package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/sim/economy"
)

func (a *app) simCommand() *cobra.Command {
	return a.group("sim", "Simulate years of a network on the real ledger", a.simEconomy(), a.simStudy(), a.simRounds())
}

func (a *app) simEconomy() *cobra.Command {
	o := economy.Default(100)
	var uptimes, drops []string
	c := &cobra.Command{
		Use:   "economy",
		Short: "What nodes earn and lose, and what becomes of the money",
		Long: `Runs the real ledger, a block for each hourly round, with nodes that fail, lose data
and cheat as the flags say: pay, slashes, jail and committees are the ledger's own.
Every node has 1,000,000 WAL at stake, 5 % of it its operator's; customers pay 4,000
WAL and the network 400 WAL a node and epoch. Nodes are node0, node1 and so on.
One seed gives one history.`,
		Example: "  walrus sim economy --nodes 100 --epochs 26 --uptime 0.99 \\\n    --uptime 0.9@node3 --drop 0.01@node7",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d := economy.Default(o.Nodes)
			o.Rounds, o.Uptime, o.Drop = d.Rounds, d.Uptime, d.Drop
			if err := errors.Join(perNode("uptime", uptimes, o.Uptime), perNode("drop", drops, o.Drop), o.Validate()); err != nil {
				return errUsage{err}
			}
			r, err := economy.Run(c.Context(), o)
			if err != nil {
				return err
			}
			r.Seconds = time.Since(a.began).Seconds()
			return a.print(r, func(w io.Writer) error { return printEconomy(w, r) })
		},
	}
	f := c.Flags()
	f.IntVar(&o.Nodes, "nodes", o.Nodes, "number of nodes")
	f.IntVar(&o.Epochs, "epochs", o.Epochs, "number of epochs of two weeks; 26 are a year")
	f.IntVar(&o.Shards, "shards", 0, "number of shards (default 10 for each node, at most 1000)")
	f.StringArrayVar(&uptimes, "uptime", nil, "part of the time in which nodes are there: U for all, U@nodeI for one; repeat it (default 0.99)")
	f.StringArrayVar(&drops, "drop", nil, "part of its fragments that a node drops without declaring it: P for all, P@nodeI for one; repeat it")
	f.Float64Var(&o.StorageCost, "storage-cost", 0, "cost of keeping a shard's fragments, as a part of what a shard can earn")
	f.Float64Var(&o.Outages.Median, "outage-median", o.Outages.Median, "hours that half of all outages are shorter than")
	f.Float64Var(&o.Outages.Tail, "outage-tail", o.Outages.Tail, "how much longer the longest outages are: standard deviation of the logarithm")
	f.IntVar(&o.Zones, "zones", 0, "number of zones that fail as a whole, each with a part of the nodes")
	f.Float64Var(&o.ZoneUptime, "zone-uptime", o.ZoneUptime, "uptime of each zone")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "another seed gives another history")
	return c
}

// perNode sets the values of texts V or V@nodeI, those for all nodes first.
func perNode(flag string, texts []string, to []float64) error {
	type setting struct {
		value float64
		node  int
	}
	var single []setting
	for _, text := range texts {
		digits, name, one := strings.Cut(text, "@")
		v, err := number.Decimal(digits)
		if err != nil {
			return fmt.Errorf("--%s %q: %q is no number: write it as 0.9 for all nodes or 0.9@node3 for one", flag, text, digits)
		}
		if !one {
			for i := range to {
				to[i] = v
			}
			continue
		}
		place, named := strings.CutPrefix(name, "node")
		i, err := number.Count(place)
		if !named || err != nil || i >= uint64(len(to)) {
			return fmt.Errorf("--%s %q: there is no node %q, only node0 to node%d", flag, text, name, len(to)-1)
		}
		single = append(single, setting{v, int(i)})
	}
	for _, s := range single {
		to[s.node] = s.value
	}
	return nil
}

func printEconomy(w io.Writer, r economy.Result) error {
	t := newTable(w)
	t.row("NODE", "UPTIME", "DROPS", "PASSED", "SHARDS", "INCOME", "HELD", "LOST", "SLASHED", "COST", "PROFIT", "SLASHES")
	for _, n := range r.Nodes {
		t.row(n.ID, n.Uptime, n.Drop, percent(n.Passed), n.Shards, wals(n.Income), wals(n.Held), wals(n.Lost), wals(n.Slashed), wals(n.Cost), wals(n.Profit), slashText(n))
	}
	if err := t.flush(); err != nil {
		return err
	}
	supply := "every FROST is accounted for"
	if !r.SupplyOK {
		supply = "MONEY WAS MADE OR LOST: this is a bug"
	}
	_, err := fmt.Fprintf(w, `
Amounts are WAL, of operators and delegators together; profit is income and held less slashed and cost.
%d epochs of %d rounds, %d shards, seed %d, in %.1f s: %s.
A shard that passes everything earned %s in all; %d rounds were void.
Burned %s. Funds: insurance %s, repair %s, subsidy left %s.
`, r.Epochs, r.Rounds, r.Shards, r.Seed, r.Seconds, supply, r.ShardReward, r.Void, r.Burned, r.Funds.Insurance, r.Funds.Repair, r.Funds.Subsidy)
	return err
}

// wals is an amount in whole WAL.
func wals[T ~uint64 | ~int64](a T) string { return fmt.Sprintf("%.0f", float64(a)/1e9) }

func percent(part float64) string { return fmt.Sprintf("%.2f %%", 100*part) }

// slashText counts slashes by rung: 2x rung 3.
func slashText(n economy.Node) string {
	var rungs [11]int
	for _, s := range n.Slashes {
		rungs[s.Rung]++
	}
	return rungsText(rungs)
}

func rungsText(rungs [11]int) string {
	var out []string
	for rung, n := range rungs {
		if n > 0 {
			out = append(out, fmt.Sprintf("%dx rung %d", n, rung))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}
