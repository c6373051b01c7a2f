package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
)

const defaultNodeDir = "walrus-node"

func (a *app) nodeCommand() *cobra.Command {
	return a.group("node", "Run a node: keep others' blobs and earn", a.nodeInit(), a.nodeRegister(), a.nodeRequest(), a.nodeRun(), a.nodeStatus(), a.nodeDoctor())
}

func (a *app) nodeRun() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "run", Short: "Run the node of a directory until it is interrupted", Args: cobra.NoArgs}
	c.Long = nodeRunHelp
	var exit bool
	var keep, gateway string
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	c.Flags().BoolVar(&exit, "exit-when-full", false, "end with code 5 when the disk is full, instead of waiting for room")
	c.Flags().StringVar(&keep, "keep-blocks", "", "blocks of the ledger that stay: a number, default or all")
	c.Flags().StringVar(&gateway, "gateway", "", "serve reads over HTTP at this address too, as 127.0.0.1:31415")
	a.untilStdin(c, func(ctx context.Context) error {
		if gateway == "" {
			return a.runNode(ctx, dir, exit, keep, node.Conduct{})
		}
		return a.besideNode(ctx, dir, gateway, func(ctx context.Context) error { return a.runNode(ctx, dir, exit, keep, node.Conduct{}) })
	})
	return c
}

const nodeRunHelp = `Runs the node of a directory until it is interrupted. Its process holds the file
node.lock in the directory, so that a directory has one process, however its path is
spelled.

When its disk has less than 128 MiB free the node closes all it has open, and opens
again by itself when 192 MiB are free: nothing need restart it. With --exit-when-full
it ends with code 5 instead, for a supervisor that is to know.

Old blocks of the ledger are removed. By default they stay a little longer than
faults can be punished; --keep-blocks (or keep_blocks in node.toml) sets another
number, or all for an archive. Some signed headers stay for ever, so that
clients and receipts still lead back to the genesis.

With --gateway it gives blobs out over HTTP to all that ask, as walrus gateway
--read-only does in a process of its own. It pays for nothing.`

// untilStdin lets a command run, and gives it the flag by which it ends with the process
// that started it.
func (a *app) untilStdin(c *cobra.Command, run func(context.Context) error) {
	const name = "until-stdin-closes"
	ends := c.Flags().Bool(name, false, "end when standard input does")
	c.Flags().MarkHidden(name)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		if *ends {
			go func() {
				io.Copy(io.Discard, a.in)
				cancel()
			}()
		}
		return run(ctx)
	}
}

// countLoopback is the environment variable that makes a node limit loopback addresses like
// all others: for tests with many peers on one machine.
const countLoopback = "WALRUS_COUNT_LOOPBACK"

func (a *app) runNode(ctx context.Context, dir string, exitWhenFull bool, keep string, conduct node.Conduct) error {
	file, err := node.LoadFile(dir)
	if err != nil {
		return err
	}
	network, err := file.LoadNetwork(dir)
	if err != nil {
		return err
	}
	config, err := file.Daemon(dir, network.Bootstrap, version())
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, node.FileName), err)
	}
	if keep != "" {
		if config.KeepBlocks, err = node.KeepBlocks(keep); err != nil {
			return errUsage{fmt.Errorf("--keep-blocks %w", err)}
		}
	}
	config.Conduct, config.ExitWhenFull = conduct, exitWhenFull
	config.Trust = light.RemoteOptions{TrustPeriod: network.TrustPeriod, Checkpoint: network.Checkpoint}
	config.CountLoopback = os.Getenv(countLoopback) != ""
	comet.ForbidNames()
	if config.LooseKeys, err = a.loose(); err != nil {
		return err
	}
	level, err := file.Level()
	if err != nil {
		return err
	}
	if a.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
	return node.RunDaemon(ctx, config, network.Genesis, log)
}

func (a *app) nodeStatus() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "status", Short: "Ask the node that runs in a directory how it is", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := node.AskStatus(cmd.Context(), dir)
		if err != nil {
			return err
		}
		return a.print(s, func(w io.Writer) error { return printStatus(w, s) })
	}}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	return c
}

// reachText says how peers reach a node.
func reachText(r p2p.Reachability) string {
	switch r {
	case p2p.ReachDirect:
		return "by peers that dial it"
	case p2p.ReachRelayed:
		return "through relays: forward the port in the router, and it is faster"
	case p2p.ReachNone:
		return "by no peer, and no relay serves it yet: forward the port in the router"
	}
	return "not known yet: no peer was asked (reachable in node.toml)"
}

// haltText prints since when no block has come, why that may be, and the nodes whose votes
// are missing.
func haltText(t *table, h comet.Halt) {
	const shown = 10
	t.row("no block", fmt.Sprintf("since %s, for %s", timeText(h.Since), ageText(time.Since(h.Since))))
	t.row("", h.Cause)
	for i, id := range h.Missing {
		if i == shown {
			t.row("", fmt.Sprintf("and %d more", len(h.Missing)-shown))
			break
		}
		t.row("no vote of", id)
	}
}

func printStatus(w io.Writer, s node.Status) error {
	tip := "catching up"
	if s.AtTip {
		tip = "at the tip"
	}
	t := newTable(w)
	t.row("node", s.ID)
	t.row("ledger", fmt.Sprintf("%s, block %d, epoch %d, rules %d, %s", s.Chain, s.Height, s.Epoch, s.Rules, tip))
	if s.Halt != nil {
		haltText(t, *s.Halt)
	}
	if s.Notice != "" {
		t.row("notice", s.Notice)
	}
	shards := fmt.Sprint(s.Shards)
	if len(s.Moving) > 0 {
		shards += fmt.Sprintf(", of which %v are not complete yet", s.Moving)
	}
	t.row("shards", shards)
	room := ""
	if s.Possession.Capacity > 0 {
		room = " of " + bytesText(s.Possession.Capacity)
	}
	t.row("holds", fmt.Sprintf("%s%s in %d fragments of %d blobs", bytesText(s.Possession.Bytes), room, s.Possession.Fragments, s.Possession.Blobs))
	t.row("lacks", fmt.Sprintf("%s of %d blobs", bytesText(s.Recovery.BacklogBytes), s.Recovery.BacklogBlobs))
	t.row("repaired", fmt.Sprintf("%s since the start, with %s moved", bytesText(s.Recovery.HealedBytes), bytesText(s.Recovery.MovedBytes)))
	t.row("app hash", s.AppHash)
	t.row("memory", fmt.Sprintf("%s, kept below %s", bytesText(int64(s.Memory.Used)), bytesText(s.Memory.Limit)))
	t.row("peers", fmt.Sprintf("%d, and %d of the ledger", s.Peers, s.LedgerPeers))
	t.row("reached", reachText(s.Reach))
	for _, a := range s.Addrs {
		t.row("address", a)
	}
	return t.flush()
}
