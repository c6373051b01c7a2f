package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
	"github.com/walrus-network/walrus/testnet"
)

func (a *app) benchSoak() *cobra.Command {
	var o bench.SoakOptions
	c := &cobra.Command{
		Use:   "soak",
		Short: "Watch memory, files and disk of a testnet that runs for long",
		Long: `Starts a testnet whose blocks and epochs are short, stores and reads small blobs on it
one after the other, and looks at all nodes again and again: memory, open files,
goroutines, and the disk that ledger, fragments and logs take. What stays as it is has a
ratio of about 1. ^C ends it early, and what was seen is printed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Nodes < 4 || o.For <= 0 || o.Every <= 0 || o.Block <= 0 || o.Epoch < 10*o.Block {
				return errUsage{fmt.Errorf("--nodes is at least 4, times are more than 0, and an epoch has at least 10 blocks")}
			}
			if o.Program, err = testnet.Self(); err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "walrus-soak-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			o.Dir = filepath.Join(dir, "net")
			if !a.json {
				o.Log = a.err
			}
			r, err := bench.Soak(c.Context(), o)
			if err != nil && len(r.Looks) == 0 {
				return err
			}
			if out := a.print(r, func(w io.Writer) error { return printSoak(w, r) }); out != nil {
				return out
			}
			return err
		},
	}
	c.Flags().IntVar(&o.Nodes, "nodes", 4, "number of processes")
	c.Flags().DurationVar(&o.Block, "block-time", 200*time.Millisecond, "time between blocks")
	c.Flags().DurationVar(&o.Epoch, "epoch", 30*time.Second, "length of an epoch")
	c.Flags().DurationVar(&o.For, "for", time.Hour, "how long it runs")
	c.Flags().BoolVar(&o.Idle, "idle", false, "store nothing: what blocks alone take")
	c.Flags().DurationVar(&o.Every, "every", 30*time.Second, "time between two looks")
	return c
}

func printSoak(w io.Writer, r bench.SoakResult) error {
	t := newTable(w)
	t.row("ran", fmt.Sprintf("%.0f s, %d blocks of %.2f s, %d epochs, %d nodes", r.Seconds, r.Blocks, r.BlockSeconds, r.Epochs, r.Nodes))
	t.row("stored", fmt.Sprintf("%d blobs, each read back; %d failed", r.Stored, r.Failed))
	t.row("last quarter to second", fmt.Sprintf("memory %.2f, open files %.2f, goroutines %.2f, fragments %.2f", r.Ratio.Memory, r.Ratio.OpenFiles, r.Ratio.Goroutines, r.Ratio.Fragments))
	t.row("ledger", fmt.Sprintf("%.0f bytes of disk for a block", r.LedgerBytesPerBlock))
	t.row("log", fmt.Sprintf("%.0f bytes of disk for a block", r.LogBytesPerBlock))
	return t.flush()
}
