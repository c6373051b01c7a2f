package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// answerLimit is how long a node of a testnet may take to answer after its start.
const answerLimit = 30 * time.Second

type testnetStatus struct {
	Dir   string        `json:"dir"`
	Chain string        `json:"chain"`
	Nodes []testnetNode `json:"nodes"`
}

type testnetNode struct {
	Node    int          `json:"node"`
	Running bool         `json:"running"`
	Status  *node.Status `json:"status,omitempty"`
	Error   string       `json:"error,omitempty"`
	// Adversary is the kind of adversary that the node is; empty for an honest node.
	Adversary string `json:"adversary,omitempty"`
}

func (a *app) testnetStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which nodes run and what they hold",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := a.openTestnet()
			if err != nil {
				return err
			}
			out := testnetStatus{Dir: t.Dir, Chain: string(t.Network.Genesis.ChainID())}
			out.Nodes = make([]testnetNode, t.Nodes)
			var all sync.WaitGroup
			for i := range out.Nodes {
				all.Go(func() { out.Nodes[i] = lookAt(c.Context(), t, i) })
			}
			all.Wait()
			return a.print(out, out.print)
		},
	}
}

func lookAt(ctx context.Context, t *testnet.Testnet, i int) testnetNode {
	n := testnetNode{Node: i, Running: t.Running(i)}
	if adversary, ok, err := t.Adversary(i); err != nil {
		n.Adversary = err.Error()
	} else if ok {
		n.Adversary = adversary.String()
	}
	if !n.Running {
		return n
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, err := t.Status(ctx, i)
	if err != nil {
		n.Error = err.Error()
		return n
	}
	n.Status = &s
	return n
}

func (s testnetStatus) print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s in %s\n", s.Chain, s.Dir); err != nil {
		return err
	}
	t := newTable(w)
	last := ""
	var silent []string // why
	if slices.ContainsFunc(s.Nodes, func(n testnetNode) bool { return n.Adversary != "" }) {
		last = "ADVERSARY"
	}
	t.row("NODE", "", "BLOCK", "SHARDS", "HOLDS", "LACKS", "PEERS", "LEDGER PEERS", last)
	for _, n := range s.Nodes {
		switch {
		case !n.Running:
			t.row(n.Node, "down", "", "", "", "", "", "", n.Adversary)
		case n.Status == nil:
			t.row(n.Node, "no answer", "", "", "", "", "", "", n.Adversary)
			silent = append(silent, fmt.Sprintf("node %d: %s", n.Node, n.Error))
		default:
			st := n.Status
			state := "up"
			if !st.AtTip {
				state = "catching up"
			}
			t.row(n.Node, state, st.Height, fmt.Sprint(st.Shards), bytesText(st.Possession.Bytes), bytesText(st.Recovery.BacklogBytes), st.Peers, st.LedgerPeers, n.Adversary)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, why := range silent {
		if _, err := fmt.Fprintln(w, why); err != nil {
			return err
		}
	}
	return nil
}

// eachNode runs a command on the named nodes.
func (a *app) eachNode(use, short, done string, act func(context.Context, *testnet.Testnet, int) error) *cobra.Command {
	return &cobra.Command{Use: use + " N...", Short: short, Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		t, err := a.openTestnet()
		if err != nil {
			return err
		}
		out := struct {
			Act   string `json:"act"`
			Nodes []int  `json:"nodes"`
		}{Act: use}
		for _, arg := range args {
			i, err := number.Count(arg)
			if err != nil || i >= uint64(t.Nodes) {
				return errUsage{fmt.Errorf("node %q: they are 0 to %d", arg, t.Nodes-1)}
			}
			out.Nodes = append(out.Nodes, int(i))
		}
		for _, i := range out.Nodes {
			if err := act(c.Context(), t, i); err != nil {
				return err
			}
		}
		return a.print(out, func(w io.Writer) error {
			for _, i := range out.Nodes {
				if _, err := fmt.Fprintf(w, "node %d %s\n", i, done); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

func (a *app) testnetKill() *cobra.Command {
	return a.eachNode("kill", "End nodes at once, as a crash does (SIGKILL)", "killed", func(ctx context.Context, t *testnet.Testnet, i int) error {
		return t.Kill(ctx, i)
	})
}

func (a *app) testnetStart() *cobra.Command {
	return a.eachNode("start", "Start nodes that are down", "started", func(ctx context.Context, t *testnet.Testnet, i int) error {
		if _, err := t.Start(i, true); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, answerLimit)
		defer cancel()
		_, err := t.Answers(ctx, i)
		return err
	})
}

func (a *app) testnetWipe() *cobra.Command {
	return a.eachNode("wipe", "Remove all fragments of nodes that are down: a lost disk", "wiped", func(_ context.Context, t *testnet.Testnet, i int) error {
		return t.Wipe(i)
	})
}
