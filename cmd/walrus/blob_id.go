package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/unit"
)

type identity struct {
	File         string   `json:"file"`
	Blob         blob.ID  `json:"blob"`
	Shards       int      `json:"shards"`
	Bytes        int64    `json:"bytes"`
	EncodedBytes int64    `json:"encoded_bytes"`
	StoredKiB    unit.KiB `json:"stored_kib"`
}

func (a *app) idCommand() *cobra.Command {
	var shards int
	c := &cobra.Command{
		Use:   "id FILE",
		Short: "Work out a file's blob ID, offline",
		Long:  "Works out the ID that FILE has as a blob, without a network. It depends on the content and on the number of shards only. Without --shards that of the network file is taken.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !a.flags.Changed("shards") {
				n, err := a.network()
				if err != nil {
					return fmt.Errorf("how many shards? use --shards N, or name a network: %w", err)
				}
				shards = n.Genesis.Params.Shards
			}
			shape, err := blob.NewShape(shards)
			if err != nil {
				return errUsage{err}
			}
			src, err := client.NewFileSource(args[0])
			if err != nil {
				return err
			}
			bar := a.newBar("encode "+nameText(args[0]), src.Size())
			commitment, err := client.Identify(c.Context(), shape, src, bar.set)
			bar.end()
			if err != nil {
				return fmt.Errorf("%s: %w", nameText(args[0]), err)
			}
			l := commitment.Layout
			out := identity{args[0], commitment.ID, l.N, l.Size, l.EncodedBytes(), l.StoredKiB()}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s  %s\n", out.Blob, nameText(args[0]))
				return err
			})
		},
	}
	c.Flags().IntVar(&shards, "shards", 0, "number of shards of the network")
	return c
}
