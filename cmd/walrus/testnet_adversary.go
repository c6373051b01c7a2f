package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/testnet/adversary"
)

const adversaryFlag = "adversary"

// adversaryHelp is the part about adversaries of the help of `walrus testnet up`.
func adversaryHelp() string {
	return `Nodes can be made adversaries, to see what the rules do to them. --adversary
KIND[=NUMBER]@NODE[,NODE...] may be given several times; a node stays one when it is
killed and started again. The kinds:

  ` + strings.Join(adversary.Help(), "\n  ")
}

// testnetNode is the command by which a testnet starts an adversary: the only way from the
// command line to a conduct that breaks the rules.
func (a *app) testnetNode() *cobra.Command {
	var words string
	c := &cobra.Command{Use: "node", Short: "Run a node that is an adversary", Hidden: true, Args: cobra.NoArgs}
	c.Flags().StringVar(&words, adversaryFlag, "", "which one, as lazy=0.05")
	a.untilStdin(c, func(ctx context.Context) error {
		which, err := adversary.Parse(words)
		if err != nil {
			return errUsage{err}
		}
		return a.runNode(ctx, a.testnetDir(), false, "", which.Conduct())
	})
	return c
}

// sayAdversaries names the nodes that are adversaries, and the commands that show them.
func (a *app) sayAdversaries(t *testnet.Testnet) (map[int]adversary.Adversary, error) {
	out := map[int]adversary.Adversary{}
	for i := range t.Nodes {
		which, ok, err := t.Adversary(i)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		out[i] = which
		id := t.Network.Genesis.Nodes[i].ID.String()
		a.say("node %d is an adversary, %s: it %s; on the ledger it is …%s", i, which, which.What(), id[len(id)-8:])
	}
	if len(out) > 0 {
		a.say("watch it: walrus nodes shows credit, pay and slashes; at an epoch's end walrus explain reward NODE and walrus explain slash NODE say why")
	}
	return out, nil
}
