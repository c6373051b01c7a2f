package main

import (
	"context"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
)

func (a *app) benchCommand() *cobra.Command {
	return a.group("bench", "Measure this machine",
		a.benchCodec("encode", "Measure encoding and hashing a blob", bench.Encode),
		a.benchCodec("decode", "Measure reading a blob from its fragments", bench.Decode),
		a.benchCodec("repair", "Measure rebuilding what one shard lost", bench.Repair))
}

func (a *app) benchCodec(what, short string, measure func(context.Context, bench.CodecOptions) (bench.CodecResult, error)) *cobra.Command {
	var o bench.CodecOptions
	var size string
	c := &cobra.Command{
		Use:   what,
		Short: short,
		Long:  fmt.Sprintf("%s, %d times, and prints medians, in 10^6 bytes of the blob a second; beside them the limits that hashing alone and Reed-Solomon alone set, from the same run.", short, bench.Rounds),
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := humanize.ParseBytes(size)
			if err != nil || n > 1<<50 {
				return errUsage{fmt.Errorf("--size %q: write it as 64MB (10^6) or 64MiB (2^20)", size)}
			}
			o.Size = int64(n)
			r, err := measure(c.Context(), o)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error { return printCodec(w, what, r) })
		},
	}
	c.Flags().IntVar(&o.Shards, "shards", 28, "number of shards")
	c.Flags().StringVar(&size, "size", "64MB", "bytes of the blob; 64MB = 10^6, 64MiB = 2^20")
	c.Flags().IntVar(&o.Workers, "workers", 0, "how many processors to use (default all)")
	return c
}

func printCodec(w io.Writer, what string, r bench.CodecResult) error {
	t := newTable(w)
	t.row(what, fmt.Sprintf("%.0f MB/s", r.MBPerS), fmt.Sprintf("%d shards, %s", r.Shards, humanize.Bytes(uint64(r.SizeBytes))))
	if r.WorstMBPerS > 0 {
		t.row("  from parity", fmt.Sprintf("%.0f MB/s", r.WorstMBPerS), "")
	}
	t.row("hashing alone", fmt.Sprintf("%.0f MB/s", r.Limit.HashMBPerS), fmt.Sprintf("ratio %.2f", r.Ratio.Hash))
	t.row("Reed-Solomon alone", fmt.Sprintf("%.0f MB/s", r.Limit.RSMBPerS), fmt.Sprintf("one after the other: ratio %.2f", r.Ratio.Serial))
	if r.Lost > 0 {
		t.row("moved", bytesText(r.Moved), fmt.Sprintf("to rebuild %s (%.3f)", bytesText(r.Lost), float64(r.Moved)/float64(r.Lost)))
	}
	t.row("peak memory", bytesText(r.PeakRSS), "")
	return t.flush()
}
