package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/node"
)

const defaultNodeDir = "walrus-node"

func (a *app) nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Run a node: keep others' blobs and earn"}
	c.AddCommand(a.nodeRun(), a.nodeStatus())
	return c
}

func (a *app) nodeRun() *cobra.Command {
	var dir string
	var untilStdin bool
	c := &cobra.Command{Use: "run", Short: "Run the node of a directory until it is interrupted", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if untilStdin {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			go func() {
				io.Copy(io.Discard, a.in)
				cancel()
			}()
		}
		return a.runNode(ctx, dir)
	}}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	c.Flags().BoolVar(&untilStdin, "until-stdin-closes", false, "end when standard input does")
	c.Flags().MarkHidden("until-stdin-closes")
	return c
}

func (a *app) runNode(ctx context.Context, dir string) error {
	file, err := node.LoadFile(dir)
	if err != nil {
		return err
	}
	path := file.Network
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	network, err := client.LoadNetwork(path)
	if err != nil {
		return err
	}
	config, err := file.Daemon(dir, network.Bootstrap, version())
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(file.LogLevel)); err != nil {
		return fmt.Errorf("log_level = %q: write debug, info, warn or error", file.LogLevel)
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
			if errors.Is(err, node.ErrNotRunning) {
				return err
			}
			return fmt.Errorf("node in %s: %w", dir, err)
		}
		return a.print(s, func(w io.Writer) error { return printStatus(w, s) })
	}}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	return c
}

func printStatus(w io.Writer, s node.Status) error {
	tip := "catching up"
	if s.AtTip {
		tip = "at the tip"
	}
	_, err := fmt.Fprintf(w, "node        %s\nchain       %s, height %d, epoch %d, %s\nshards      %v\npossession  %d fragments of %d blobs, %d bytes\nrecovery    lacks %d bytes of %d blobs; rebuilt %d bytes, moved %d since the start\npeers       %d\n",
		s.ID, s.Chain, s.Height, s.Epoch, tip, s.Shards, s.Possession.Fragments, s.Possession.Blobs, s.Possession.Bytes,
		s.Recovery.BacklogBytes, s.Recovery.BacklogBlobs, s.Recovery.HealedBytes, s.Recovery.MovedBytes, s.Peers)
	return err
}
