package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/sim/economy"
)

func (a *app) simStudy() *cobra.Command {
	s := economy.Study{Nodes: 100}
	c := &cobra.Command{
		Use:   "study",
		Short: "The figures of doc/economy.md: how often the honest are slashed, what dropping costs",
		Long: `Simulates a year of two networks for each seed: one in which all nodes are honest and
there 99 % of the time, and one with nodes among them that drop 0.1, 1, 10 and 100 %
of their fragments or are there 90, 95 and 99.9 % of the time, three of each. Slashes
that are too rare for that are counted with one node alone on the ladder.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.Validate(); err != nil {
				return errUsage{err}
			}
			s.Said = a.say
			f, err := s.Run(c.Context())
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) error { return printStudy(w, f) })
		},
	}
	c.Flags().IntVar(&s.Seeds, "seeds", 20, "number of networks of each sort")
	c.Flags().IntVar(&s.Nodes, "nodes", s.Nodes, "number of nodes of each")
	c.Flags().IntVar(&s.Years, "years", 100_000, "years of a node alone on the ladder")
	c.Flags().StringVar(&s.Dir, "dir", "", "keep each network's result here, and go on from those that are there")
	return c
}

func printStudy(w io.Writer, f economy.Figures) error {
	supply := "every FROST accounted for"
	if !f.SupplyOK {
		supply = "MONEY WAS MADE OR LOST: this is a bug"
	}
	fmt.Fprintf(w, "%d networks, %s, %d void rounds. Amounts are WAL a node and year.\n\n", f.Runs, supply, f.Void)
	fmt.Fprintf(w, "Honest nodes with an uptime of %v: %d of %d node-years with a slash (%s), at most %s with a confidence of 95 %%.\n\n",
		f.Honest.Uptime, f.Honest.Slashed, f.Honest.Years, percent(float64(f.Honest.Slashed)/float64(f.Honest.Years)), percent(economy.UpperBound(f.Honest.Slashed, f.Honest.Years)))
	t := newTable(w)
	t.row("ALONE: UPTIME", "TAIL", "YEARS", "WITH A SLASH", "PART", "AT MOST (95 %)", "SLASHES")
	for _, x := range f.Alone {
		t.row(x.Uptime, x.Outages.Tail, x.Years, x.Slashed, fmt.Sprintf("%.3f %%", 100*float64(x.Slashed)/float64(x.Years)), fmt.Sprintf("%.3f %%", 100*economy.UpperBound(x.Slashed, x.Years)), rungsText(x.Rungs))
	}
	t.row()
	printGroups(t, "DROPS", f.Drops, func(g economy.Group) float64 { return g.Drop })
	t.row()
	t.row("DROPS", "STORAGE COSTS", "LOSES", "THE LUCKIEST", "THE OPERATOR")
	for _, m := range f.Margins {
		t.row(m.Drop, percent(m.Cost), fmt.Sprintf("%.0f", m.Loss), fmt.Sprintf("%.0f", m.Least), fmt.Sprintf("%.0f", m.Operator))
	}
	t.row()
	printGroups(t, "UPTIME", f.Uptimes, func(g economy.Group) float64 { return g.Uptime })
	return t.flush()
}

func printGroups(t *table, what string, groups []economy.Group, value func(economy.Group) float64) {
	t.row(what, "NODE-YEARS", "PASSED", "INCOME", "HELD", "LOST", "SLASHED", "NET", "YEARS WITH A SLASH", "SLASHES")
	for _, g := range groups {
		t.row(value(g), g.Years, percent(g.Passed), fmt.Sprintf("%.0f", g.Income), fmt.Sprintf("%.0f", g.Held), fmt.Sprintf("%.0f", g.Lost),
			fmt.Sprintf("%.0f", g.Slash), fmt.Sprintf("%.0f", g.Net), g.Slashed, rungsText(g.Rungs))
	}
}
