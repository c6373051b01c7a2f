package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/testnet/adversary"
	"github.com/walrus-network/walrus/token"
)

// upLimit, and upEach for each node, is how long a testnet may take until a blob can be
// stored: its processes start side by side on one machine.
const (
	upLimit = 90 * time.Second
	upEach  = 2 * time.Second
)

func (a *app) testnetCommand() *cobra.Command {
	c := a.group("testnet", "A network of processes on this machine",
		a.testnetUp(), a.testnetStatus(), a.testnetKill(), a.testnetStart(), a.testnetWipe(), a.testnetFaucet(), a.testnetDown(), a.testnetDemo(), a.testnetNode())
	c.PersistentFlags().String("dir", testnet.Default().Dir, "the testnet's directory")
	return c
}

// testnetDir is the value of --dir, which all testnet commands have.
func (a *app) testnetDir() string { return a.flags.Lookup("dir").Value.String() }

// openTestnet finds the testnet in --dir.
func (a *app) openTestnet() (*testnet.Testnet, error) {
	program, err := testnet.Self()
	if err != nil {
		return nil, err
	}
	return testnet.Open(a.testnetDir(), program)
}

type testnetUp struct {
	Dir     string  `json:"dir"`
	Chain   string  `json:"chain"`
	Network string  `json:"network"`
	Wallet  string  `json:"wallet"`
	Nodes   int     `json:"nodes"`
	Shards  int     `json:"shards"`
	Ready   float64 `json:"ready_seconds"`
	// Adversaries are the nodes that break the rules, by number.
	Adversaries map[int]adversary.Adversary `json:"adversaries,omitempty"`
	Gateway     *testnet.Gateway            `json:"gateway,omitempty"`
}

func (a *app) testnetUp() *cobra.Command {
	o := testnet.Default()
	var adversaries []string
	var gateway bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a network that stays, with a funded wallet",
		Long: `Starts a network of processes on this machine and leaves it running. If a stopped
one lies in the directory it is started again. Standard output gets one line for
the shell; after it every command of walrus works on this network:

  eval "$(walrus testnet up)"
  walrus store FILE

` + adversaryHelp(),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o.Dir = a.testnetDir()
			if o.Adversaries, err = adversary.ParseList(adversaries, o.Nodes); err != nil {
				return errUsage{err}
			}
			return a.up(c.Context(), o, gateway)
		},
	}
	c.Flags().IntVar(&o.Nodes, "nodes", o.Nodes, "number of nodes")
	c.Flags().IntVar(&o.Shards, "shards", o.Shards, "number of shards")
	c.Flags().DurationVar(&o.Block, "block-time", o.Block, "time between blocks")
	c.Flags().DurationVar(&o.Epoch, "epoch", o.Epoch, "length of an epoch")
	c.Flags().BoolVar(&gateway, "gateway", false, "start a gateway too: HTTP, S3, and a faucet")
	c.Flags().StringArrayVar(&adversaries, adversaryFlag, nil, "make nodes adversaries: KIND[=NUMBER]@NODE[,NODE...], as lazy=0.05@3")
	return c
}

func (a *app) up(ctx context.Context, o testnet.Options, gateway bool) error {
	program, err := testnet.Self()
	if err != nil {
		return err
	}
	t, err := a.createOrOpen(o, program)
	if err != nil {
		return err
	}
	shards := t.Network.Genesis.Params.Shards
	a.say("start %d nodes with %d shards in %s", t.Nodes, shards, t.Dir)
	limit := upLimit + time.Duration(t.Nodes)*upEach
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready after %s", limit))
	defer cancel()
	if err := t.Up(ctx, a.log()); err != nil {
		return fmt.Errorf("testnet in %s: %w; the nodes that it started are ended, their logs are %s", t.Dir, err, filepath.Join(t.Dir, "nodes", "*", "node.log"))
	}
	adversaries, err := a.sayAdversaries(t)
	if err != nil {
		return err
	}
	out := testnetUp{t.Dir, string(t.Network.Genesis.ChainID()), t.NetworkFile(), t.WalletFile(), t.Nodes, shards, time.Since(a.began).Seconds(), adversaries, nil}
	if gateway {
		g, err := a.upGateway(ctx, t)
		if err != nil {
			return err
		}
		out.Gateway = &g
	}
	if !t.Network.Genesis.Params.Challenged {
		a.say("its epochs are too short for challenges: nodes are paid for being there, and no node is asked for proof")
	}
	a.say("ready after %.1f s; walrus testnet down --dir %s ends it. For this and every other terminal:", out.Ready, shellWord(t.Dir))
	return a.print(out, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "export WALRUS_NETWORK=%s WALRUS_WALLET=%s\n", shellWord(out.Network), shellWord(out.Wallet))
		return err
	})
}

// createOrOpen makes a new testnet, or opens the stopped one in the directory.
func (a *app) createOrOpen(o testnet.Options, program testnet.Command) (*testnet.Testnet, error) {
	t, err := testnet.Open(o.Dir, program)
	if errors.Is(err, testnet.ErrNone) {
		return testnet.Create(o, program)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"nodes", "shards", "block-time", "epoch", adversaryFlag} {
		if a.flags.Changed(name) {
			return nil, errUsage{fmt.Errorf("%s: %w, and its form is fixed: start it without --%s, or remove it with walrus testnet down --wipe --dir %s", t.Dir, testnet.ErrExists, name, shellWord(t.Dir))}
		}
	}
	for i := range t.Nodes {
		if t.Running(i) {
			return nil, fmt.Errorf("a testnet runs in %s already: walrus testnet status shows it, start N or start gateway starts what is down, down ends it all; or choose another --dir", t.Dir)
		}
	}
	return t, nil
}

// shellWord quotes a text for a shell.
func shellWord(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%", r))
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (a *app) testnetFaucet() *cobra.Command {
	const gift = 1000 * token.WAL
	return &cobra.Command{
		Use:   "faucet ADDRESS [AMOUNT]",
		Short: "Give money to an address, " + gift.String() + " unless AMOUNT is given",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			amount := gift.String()
			if len(args) == 2 {
				amount = args[1]
			}
			to, sum, err := parsePayment(args[0], amount)
			if err != nil {
				return err
			}
			t, err := a.openTestnet()
			if err != nil {
				return err
			}
			return a.withSessionOn(c.Context(), t.Network, func(s *session) error {
				s.key = t.Wallet
				return a.send(c.Context(), s, to, sum)
			})
		},
	}
}

func (a *app) testnetDown() *cobra.Command {
	var wipe bool
	c := &cobra.Command{
		Use:   "down",
		Short: "End the network; it can be started again",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := a.openTestnet()
			if err != nil {
				return err
			}
			running := 0
			a.say("end the nodes in %s", t.Dir)
			for i := range t.Nodes {
				if t.Running(i) {
					running++
				}
			}
			if err := t.Down(c.Context()); err != nil {
				return err
			}
			if wipe {
				if err := t.Remove(); err != nil {
					return err
				}
			}
			out := struct {
				Dir     string `json:"dir"`
				Ended   int    `json:"ended"`
				Removed bool   `json:"removed"`
			}{t.Dir, running, wipe}
			return a.print(out, func(w io.Writer) error {
				what := "what they hold stays in " + t.Dir
				if wipe {
					what = t.Dir + " is removed"
				}
				_, err := fmt.Fprintf(w, "ended %d nodes; %s\n", running, what)
				return err
			})
		},
	}
	c.Flags().BoolVar(&wipe, "wipe", false, "remove the directory with everything in it")
	return c
}
