package main

import (
	"cmp"
	"context"
	"errors"
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
	// Gateway is nil where the testnet never had one.
	Gateway *gatewayStatus `json:"gateway,omitempty"`
}

type gatewayStatus struct {
	Running bool   `json:"running"`
	HTTP    string `json:"http"`
	S3      string `json:"s3"`
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
			if out.Gateway, err = lookAtGateway(t); err != nil {
				return err
			}
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

func lookAtGateway(t *testnet.Testnet) (*gatewayStatus, error) {
	g, ok, err := t.Gateway()
	if err != nil || !ok {
		return nil, err
	}
	runs, err := t.GatewayRuns()
	return &gatewayStatus{runs, g.HTTP, g.S3}, err
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
	switch g := s.Gateway; {
	case g == nil:
		return nil
	case g.Running:
		_, err := fmt.Fprintf(w, "gateway up, HTTP at %s, S3 at %s\n", g.HTTP, g.S3)
		return err
	}
	_, err := fmt.Fprintln(w, "gateway down")
	return err
}

// gatewayWord names the gateway of a testnet where nodes are named by their numbers.
const gatewayWord = "gateway"

// processCommand is a command on the processes of a testnet.
type processCommand struct {
	use, short, done string
	node             func(context.Context, *testnet.Testnet, int) error
	gateway          func(context.Context, *testnet.Testnet) error // nil: it is for nodes only
}

func (a *app) onProcesses(p processCommand) *cobra.Command {
	use := p.use + " N..."
	if p.gateway != nil {
		use = p.use + " {N|gateway}..."
	}
	return &cobra.Command{Use: use, Short: p.short, Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		t, err := a.openTestnet()
		if err != nil {
			return err
		}
		out := processesDone{Act: p.use, Nodes: []int{}, done: p.done}
		for _, arg := range args {
			if arg == gatewayWord && p.gateway != nil {
				if _, ok, err := t.Gateway(); err != nil || !ok {
					return cmp.Or(err, fmt.Errorf("this testnet has no gateway: walrus testnet down --dir %[1]s and walrus testnet up --gateway --dir %[1]s start it with one", shellWord(t.Dir)))
				}
				out.Gateway = true
				continue
			}
			i, err := number.Count(arg)
			if err != nil || i >= uint64(t.Nodes) {
				return errUsage{fmt.Errorf("node %q: they are 0 to %d", arg, t.Nodes-1)}
			}
			out.Nodes = append(out.Nodes, int(i))
		}
		for _, i := range out.Nodes {
			if err := p.node(c.Context(), t, i); err != nil {
				return err
			}
		}
		if out.Gateway {
			if err := p.gateway(c.Context(), t); err != nil {
				return err
			}
		}
		return a.print(out, out.print)
	}}
}

// processesDone is what a command has done to which processes.
type processesDone struct {
	Act     string `json:"act"`
	Nodes   []int  `json:"nodes"`
	Gateway bool   `json:"gateway,omitempty"`
	done    string
}

func (p processesDone) print(w io.Writer) error {
	for _, i := range p.Nodes {
		if _, err := fmt.Fprintf(w, "node %d %s\n", i, p.done); err != nil {
			return err
		}
	}
	if !p.Gateway {
		return nil
	}
	_, err := fmt.Fprintf(w, "gateway %s\n", p.done)
	return err
}

func (a *app) testnetKill() *cobra.Command {
	return a.onProcesses(processCommand{use: "kill", short: "End nodes or the gateway at once, as a crash does (SIGKILL)", done: "killed",
		node: func(ctx context.Context, t *testnet.Testnet, i int) error { return t.Kill(ctx, i) },
		gateway: func(ctx context.Context, t *testnet.Testnet) error {
			if runs, err := t.GatewayRuns(); err != nil || !runs {
				return cmp.Or(err, errors.New("the gateway does not run"))
			}
			return t.KillGateway(ctx)
		}})
}

func (a *app) testnetStart() *cobra.Command {
	return a.onProcesses(processCommand{use: "start", short: "Start nodes or the gateway where they are down", done: "started",
		node: func(ctx context.Context, t *testnet.Testnet, i int) error {
			if _, err := t.Start(i, true); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, answerLimit)
			defer cancel()
			_, err := t.Answers(ctx, i)
			return err
		},
		gateway: func(ctx context.Context, t *testnet.Testnet) error {
			if runs, err := t.GatewayRuns(); err != nil || runs {
				return cmp.Or(err, errors.New("the gateway runs already"))
			}
			_, err := a.upGateway(ctx, t)
			return err
		}})
}

func (a *app) testnetWipe() *cobra.Command {
	return a.onProcesses(processCommand{use: "wipe", short: "Remove all fragments of nodes that are down: a lost disk", done: "wiped",
		node: func(_ context.Context, t *testnet.Testnet, i int) error { return t.Wipe(i) }})
}
