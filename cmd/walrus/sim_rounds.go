package main

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/sim/rounds"
)

// simRounds is the results of the runs of `walrus sim rounds`.
type simRounds struct {
	Runs       []rounds.Result `json:"runs"`
	First      int             `json:"caught_in_first_round"` // runs
	Caught     int             `json:"caught"`                // runs, in any of their rounds
	FirstIs    float64         `json:"first_round_theory"`    // probability, of one shard, of many blobs
	CaughtIs   float64         `json:"caught_theory"`
	Honest     int             `json:"honest_node_epochs"`
	HonestHit  int             `json:"honest_slashes"`
	HonestPass float64         `json:"honest_passed"`
	Void       uint64          `json:"void_rounds"`
}

func (a *app) simRounds() *cobra.Command {
	o := rounds.Options{Nodes: 10, Shards: 10, Blobs: 512, Rounds: 24, Epochs: 1, Seed: 1}
	runs := 50
	c := &cobra.Command{
		Use:   "rounds",
		Short: "How soon challenges catch a node that drops fragments, and what loss and crashes do to the honest",
		Long: `Runs networks whose ledger challenges its nodes as a real one does, with real beacons,
draws, questions, votes, tallies and slashes. node0 drops fragments, if --drop says so;
all others are honest. What is lost of messages, and when nodes crash, is made up. One
seed gives one history; each run takes the next.`,
		Example: "  walrus sim rounds --drop 0.01\n  walrus sim rounds --loss 0.05 --crashes 1 --rounds 100 --epochs 20 --runs 1",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if runs < 1 || runs > 10_000 {
				return errUsage{fmt.Errorf("--runs %d: 1 to 10000", runs)}
			}
			if err := o.Validate(); err != nil {
				return errUsage{err}
			}
			var all simRounds
			for i := range runs {
				one := o
				one.Seed += uint64(i)
				r, err := rounds.Run(c.Context(), one)
				if err != nil {
					return err
				}
				all.add(r)
			}
			all.FirstIs = sim.Detection(o.Drop)
			all.CaughtIs = 1 - math.Pow(1-all.FirstIs, float64(o.Rounds*o.Epochs))
			return a.print(all, func(w io.Writer) error { return printRounds(w, o, all) })
		},
	}
	f := c.Flags()
	f.IntVar(&runs, "runs", runs, "number of networks")
	f.IntVar(&o.Nodes, "nodes", o.Nodes, "number of nodes")
	f.IntVar(&o.Shards, "shards", o.Shards, "number of shards")
	f.IntVar(&o.Blobs, "blobs", o.Blobs, "number of blobs")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "number of rounds in an epoch; 24 are a day of a real network")
	f.IntVar(&o.Epochs, "epochs", o.Epochs, "number of epochs")
	f.Float64Var(&o.Drop, "drop", o.Drop, "part of its fragments that node0 drops without declaring it")
	f.Float64Var(&o.Loss, "loss", o.Loss, "part of proofs, requests for them and votes that never arrive")
	f.IntVar(&o.Crashes, "crashes", o.Crashes, "how often each node crashes in an epoch, each time for a sixth of a round")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "of the first run")
	return c
}

// add enters a run.
func (s *simRounds) add(r rounds.Result) {
	s.Runs = append(s.Runs, r)
	if r.Caught == 1 {
		s.First++
	}
	if r.Caught > 0 {
		s.Caught++
	}
	s.Void += r.Void
	assigned, passed := uint64(0), uint64(0)
	for _, c := range r.Credits {
		if r.Drop == 0 || c.ID != sim.NodeName(0) {
			s.Honest += r.Epochs
			assigned, passed = assigned+c.Assigned, passed+c.Passed
		}
	}
	for _, one := range r.Slashes {
		if r.Drop == 0 || one.ID != sim.NodeName(0) {
			s.HonestHit++
		}
	}
	n := float64(len(s.Runs))
	s.HonestPass += (float64(passed)/float64(max(1, assigned)) - s.HonestPass) / n
}

func printRounds(w io.Writer, o rounds.Options, s simRounds) error {
	n := len(s.Runs)
	if o.Drop > 0 {
		fmt.Fprintf(w, "node0 dropped %s of its fragments: its first round failed in %d of %d runs (%s; theory, of one shard: %s),\none of %d rounds in %d (%s; theory %s).\n",
			percent(o.Drop), s.First, n, percent(float64(s.First)/float64(n)), percent(s.FirstIs), o.Rounds*o.Epochs, s.Caught, percent(float64(s.Caught)/float64(n)), percent(s.CaughtIs))
	}
	_, err := fmt.Fprintf(w, "Honest nodes: %d node-epochs of %d rounds, %s of their shard-rounds passed, %d slashes. %d rounds were void.\n",
		s.Honest, o.Rounds, percent(s.HonestPass), s.HonestHit, s.Void)
	return err
}
