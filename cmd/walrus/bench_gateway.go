package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
	"github.com/walrus-network/walrus/testnet"
)

func (a *app) benchGateway() *cobra.Command {
	o := bench.DefaultGateway(testnet.Command{})
	var stream string
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Measure a gateway on a testnet of seven processes",
		Long: `Starts a testnet of seven processes and a gateway, and compares storing and reading
through it with the client alone; small blobs, with and without the cache, and beside
connections that stand still; reads while storage challenges run; S3; and the memory of
its process after a large body went in and out.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Stream, err = sizeOf("stream", stream); err != nil {
				return err
			}
			for _, name := range o.Only {
				if known := bench.GatewaySteps(); !slices.Contains(known, name) {
					return errUsage{fmt.Errorf("--only %s: it is one of %s", name, strings.Join(known, ", "))}
				}
			}
			if o.Turns < 1 {
				return errUsage{errors.New("--turns is 1 or more")}
			}
			if o.Program, err = testnet.Self(); err != nil {
				return err
			}
			if !a.json {
				o.Log = a.err
			}
			r, err := bench.Gateway(c.Context(), o)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error {
				t := newTable(w)
				t.row("put", fmt.Sprintf("%.0f MB/s", r.Put.MBs), fmt.Sprintf("%.2f of the client alone", r.Put.Ratio))
				t.row("get", fmt.Sprintf("%.0f MB/s", r.Get.MBs), fmt.Sprintf("%.2f of the client alone; %.0f MB/s from the cache", r.Get.Ratio, r.Get.CachedMBs))
				t.row("first byte", fmt.Sprintf("%.1f ms", 1000*r.Get.FirstP50), fmt.Sprintf("p99 %.1f ms; %.1f ms from the cache", 1000*r.Get.FirstP99, 1000*r.Get.CachedP50))
				t.row("10 KiB", fmt.Sprintf("%.0f a second", r.Small.PerS), fmt.Sprintf("p99 %.1f ms; %.0f a second not in the cache, %.0f beside %d slow connections", 1000*r.Small.P99, r.Small.UncachedPerS, r.Small.BesidesSlow, o.Slow))
				t.row("frozen", fmt.Sprintf("p50 %.2f s", r.Frozen.P50), fmt.Sprintf("p99 %.2f s; %d of %d waited, %d were told to come back, in %d rounds; p99 %.1f ms from the cache", r.Frozen.P99, r.Frozen.Waited, r.Frozen.Of, r.Frozen.Told, r.Frozen.Rounds, 1000*r.Frozen.CachedP99))
				t.row("S3", fmt.Sprintf("%.0f MB/s", r.S3.PutMBs), fmt.Sprintf("in, %.0f MB/s out", r.S3.GetMBs))
				t.row("memory", bytesText(r.RSS), "at most")
				return t.flush()
			})
		},
	}
	c.Flags().StringVar(&stream, "stream", "2GiB", "size of the large body; 0: none")
	c.Flags().StringSliceVar(&o.Only, "only", nil, "measure these alone: "+strings.Join(bench.GatewaySteps(), ", "))
	c.Flags().IntVar(&o.Turns, "turns", o.Turns, "how often large blobs are stored and read")
	c.Flags().DurationVar(&o.Frozen, "rounds", o.Frozen, "how long reads are measured while rounds run")
	return c
}
