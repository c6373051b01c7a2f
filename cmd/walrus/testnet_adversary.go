package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/testnet"
)

const adversaryFlag = "adversary"

// adversaryHelp is how `walrus testnet up` tells of adversaries.
func adversaryHelp() string {
	return `Nodes can be made adversaries, to see what the rules do to them. --adversary
KIND[=NUMBER]@NODE[,NODE...] may be given several times; a node stays one when it is
killed and started again. The kinds:

  ` + strings.Join(testnet.AdversaryKinds(), "\n  ")
}

// testnetNode runs a node of a testnet that is an adversary: the testnet starts it.
func (a *app) testnetNode() *cobra.Command {
	var words string
	c := &cobra.Command{Use: "node", Short: "Run a node that is an adversary", Hidden: true, Args: cobra.NoArgs}
	c.Flags().StringVar(&words, adversaryFlag, "", "which one, as lazy=0.05")
	a.untilStdin(c, func(ctx context.Context) error {
		adversary, err := testnet.ParseAdversary(words)
		if err != nil {
			return errUsage{err}
		}
		return a.runNode(ctx, a.testnetDir(), false, adversary.Conduct())
	})
	return c
}

// sayAdversaries tells which nodes are adversaries, and where to watch them.
func (a *app) sayAdversaries(t *testnet.Testnet) (map[int]testnet.Adversary, error) {
	out := map[int]testnet.Adversary{}
	for i := range t.Nodes {
		adversary, ok, err := t.Adversary(i)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		out[i] = adversary
		id := t.Network.Genesis.Nodes[i].ID.String()
		a.say("node %d is an adversary, %s: it %s; on the ledger it is …%s", i, adversary, adversary.What(), id[len(id)-8:])
	}
	if len(out) > 0 {
		a.say("watch it: walrus nodes shows credit, pay and slashes; at an epoch's end walrus explain reward NODE and walrus explain slash NODE say why")
	}
	return out, nil
}
