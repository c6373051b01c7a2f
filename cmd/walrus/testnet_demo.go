package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/testnet/demo"
)

func (a *app) testnetDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo [FILE]",
		Short: "Show on seven real processes that a blob survives",
		Long:  "Starts 7 nodes, stores FILE (64 MiB of random bytes if none is named), kills two nodes, stores again, kills two more, reads the first blob back, starts all again with one disk wiped, waits until the network has healed itself, and checks what must always hold.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := os.MkdirTemp("", "walrus-demo-")
			if err != nil {
				return err
			}
			o := testnet.Default()
			o.Dir = filepath.Join(dir, "net")
			program, err := testnet.Self()
			if err != nil {
				return err
			}
			t, err := testnet.Create(o, program)
			if err != nil {
				return errors.Join(err, os.RemoveAll(dir))
			}
			story := demo.Options{Began: a.began, Out: a.out, Log: a.log()}
			if a.json {
				story.Out = io.Discard
			}
			if len(args) == 1 {
				story.File = args[0]
			}
			result, err := demo.Run(cmd.Context(), t, story)
			if err == nil {
				err = os.Remove(dir)
			}
			return errors.Join(a.print(result, func(w io.Writer) error { return printDemo(w, result) }), err)
		},
	}
}

func printDemo(w io.Writer, r demo.Result) error {
	row := func(what string, format string, args ...any) {
		fmt.Fprintf(w, "  %-28s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w)
	row("ready", "%.1f s", r.ReadySeconds)
	if s := r.Store; s != nil {
		row("first blob stored", "%.1f s, %d requests", s.Seconds, s.Requests)
	}
	if s := r.Degraded; s != nil {
		row("second, two nodes down", "%.1f s", s.Seconds)
	}
	if r.Read != nil {
		row("first read, four nodes down", "%.1f s from %d nodes", r.Read.Seconds, r.Read.NodesUp)
	}
	if h := r.Heal; h != nil {
		row("healed", "%.1f s, lost %d bytes, moved %d (%.3f)", h.Seconds, h.LostBytes, h.MovedBytes, float64(h.MovedBytes)/float64(max(h.LostBytes, 1)))
	}
	if c := r.Check; c != nil {
		row("invariants", "supply %v, app hashes %v, blobs readable %v", c.Supply, c.AppHashes, c.BlobsReadable)
	}
	if r.Failed != nil {
		row("FAILED", "step %d: %s", r.Failed.Step, r.Failed.Why)
	}
	return nil
}
