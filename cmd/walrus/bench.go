package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
	"github.com/walrus-network/walrus/testnet"
)

func (a *app) benchCommand() *cobra.Command {
	return a.group("bench", "Measure this machine",
		a.benchCodec("encode", "Measure encoding and hashing a blob", bench.Encode),
		a.benchCodec("decode", "Measure reading a blob from its fragments", bench.Decode),
		a.benchCodec("repair", "Measure rebuilding what one shard lost", bench.Repair),
		a.benchNetwork(), a.benchFiles(), a.benchLedger(), a.benchWan(), a.benchSoak(), a.benchGateway(), a.benchSink(), a.benchWanClient(), a.benchWanSink())
}

func (a *app) benchNetwork() *cobra.Command {
	return &cobra.Command{
		Use:   "network",
		Short: "Measure storing and reading on a testnet of seven processes",
		Long:  "Starts a testnet of seven processes, stores and reads a blob of 64 MiB and small ones, and compares with copying the same bytes over the same transport into as many processes' synced files.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			program, err := testnet.Self()
			if err != nil {
				return err
			}
			r, err := bench.Network(c.Context(), bench.DefaultNetwork(program))
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error {
				t := newTable(w)
				t.row("upload", fmt.Sprintf("%.0f MB/s", r.Store.UploadMBs), fmt.Sprintf("%.2f of encoding, %.2f of copying", r.Store.RatioEncode, r.Store.RatioCopy))
				t.row("store", fmt.Sprintf("%.0f MB/s", r.Store.MBs), "to the certificate on the ledger")
				t.row("read", fmt.Sprintf("%.0f MB/s", r.Read.MBs), fmt.Sprintf("%.2f of copying", r.Read.RatioCopy))
				t.row("1 KB stored", fmt.Sprintf("%.2f s", r.Small.P50), fmt.Sprintf("p95 %.2f s, blocks of %.2f s", r.Small.P95, r.BlockSeconds))
				t.row("encode alone", fmt.Sprintf("%.0f MB/s", r.Limit.EncodeMBs), "")
				t.row("copy in, out", fmt.Sprintf("%.0f, %.0f MB/s", r.Limit.CopyMBs, r.Limit.CopyOutMBs), r.Transport)
				return t.flush()
			})
		},
	}
}

func (a *app) benchFiles() *cobra.Command {
	o := bench.FilesOptions{Quilted: 600, Separate: 200, Size: 10 << 10}
	c := &cobra.Command{
		Use:   "files",
		Short: "Measure storing many small files on a testnet of seven processes",
		Long:  "Starts a testnet of seven processes and stores small files: as one quilt, beside one blob of as many bytes, and as many blobs side by side.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Program, err = testnet.Self(); err != nil {
				return err
			}
			r, err := bench.Files(c.Context(), o)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error {
				t := newTable(w)
				t.row("quilt", fmt.Sprintf("%.2f s", r.Quilt.Seconds), fmt.Sprintf("%d files; %.2f of the time and %.3f of the price of one blob of their size", r.Quilt.Files, r.Quilt.RatioTime, r.Quilt.RatioPrice))
				t.row("separate", fmt.Sprintf("%.2f s", r.Separate.Seconds), fmt.Sprintf("%d files in %.0f blocks of %.2f s; one alone takes %.0f", r.Separate.Files, r.Separate.Blocks, r.BlockSeconds, r.Separate.AloneBlocks))
				return t.flush()
			})
		},
	}
	return c
}

func (a *app) benchLedger() *cobra.Command {
	var o bench.LedgerOptions
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Measure transfers on validator processes",
		Long:  "Starts validator processes and measures how long a transfer takes to be committed at a given rate, and how many are committed each second when as many as possible are sent. All are signed before the clock starts.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Program, err = testnet.Self(); err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "walrus-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			o.Dir, o.Log = filepath.Join(dir, "net"), a.log()
			r, err := bench.Ledger(c.Context(), o)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error {
				t := newTable(w)
				t.row("transfers", fmt.Sprintf("%.0f/s", r.TxPerSecond), fmt.Sprintf("%d validators", r.Validators))
				t.row("to commit", fmt.Sprintf("%.2f s", r.P50Seconds), fmt.Sprintf("p99 %.2f s, blocks of %.2f s", r.P99Seconds, r.BlockSeconds))
				return t.flush()
			})
		},
	}
	c.Flags().IntVar(&o.Validators, "validators", 4, "number of processes")
	c.Flags().DurationVar(&o.Block, "block-time", 500*time.Millisecond, "time between blocks")
	c.Flags().IntVar(&o.Rate, "rate", 500, "transfers a second while the time to commit is measured")
	return c
}

// benchSink is the receiving end of a measured copy.
func (a *app) benchSink() *cobra.Command {
	return &cobra.Command{Use: "sink FILE", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		return bench.Sink(a.in, a.out, args[0])
	}}
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
			n, err := parseSize("--size", size)
			if err == nil && n > 1<<50 {
				err = errUsage{fmt.Errorf("--size %q: more than any machine has memory for", size)}
			}
			if err != nil {
				return err
			}
			o.Size = n
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
