package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
	"github.com/walrus-network/walrus/bench/emulator"
	"github.com/walrus-network/walrus/testnet"
)

// inNamespace says in the environment that this process may make namespaces already.
const inNamespace = envPrefix + "BENCH_NAMESPACE"

func (a *app) benchWan() *cobra.Command {
	o := bench.WanOptions{RTT: 150 * time.Millisecond, Slow: -1, Stopped: -1, Runs: 3}
	var size string
	var mbit float64
	var small bool
	c := &cobra.Command{
		Use:   "wan",
		Short: "Measure storing and reading far away from the nodes",
		Long: `Starts a testnet of seven processes and a client, each in a network namespace of
its own, and carries their packets with a delay, a bandwidth and losses. Round trips
are counted: half the packets of the client in the longest chain in which each was
sent when the one before had come. That leaves out computing and waiting for blocks. Namespaces take Linux, /dev/net/tun, and root or
user namespaces. Where there are none, or with --relays, relays on the loopback
interface carry QUIC packet by packet, and imitate TCP, without losses. All that is
made is removed at the end.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Size, err = parseSize("--size", size); err != nil {
				return err
			}
			if small {
				o.Size = 0
			}
			o.Bits = int64(mbit * 1e6)
			if err := checkWan(o); err != nil {
				return errUsage{err}
			}
			if !o.Relays && os.Geteuid() != 0 && os.Getenv(inNamespace) == "" {
				if again, err := a.startAgain(); err == nil {
					return again.Wait()
				}
			}
			if o.Program, err = testnet.Self(); err != nil {
				return err
			}
			if !a.json {
				o.Log = a.err
			}
			r, err := bench.Wan(c.Context(), o)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) error { return printWan(w, r) })
		},
	}
	f := c.Flags()
	f.DurationVar(&o.RTT, "rtt", o.RTT, "time from any host to any other and back")
	f.Float64Var(&mbit, "bandwidth", 100, "of each host each way, in Mbit/s")
	f.Float64Var(&o.Loss, "loss", 0, "part of the packets lost each way, like 0.01")
	f.IntVar(&o.Slow, "slow", o.Slow, "number of a node that has 1 Mbit/s")
	f.IntVar(&o.Stopped, "stopped", o.Stopped, "number of a node that is stopped")
	f.StringVar(&size, "size", "64MiB", "bytes of the large blob")
	f.BoolVar(&small, "small", false, "measure no large blob")
	f.IntVar(&o.Runs, "runs", o.Runs, "how often each small operation is measured")
	f.IntVar(&o.Rounds, "rounds", 0, "measure so many rounds of challenges instead")
	f.BoolVar(&o.Relays, "relays", false, "make the distance without namespaces")
	f.StringVar(&o.Trace, "trace", "", "write the client's packets to this file")
	return c
}

func checkWan(o bench.WanOptions) error {
	const nodes = 7
	switch {
	case o.RTT <= 0 || o.RTT > 10*time.Second:
		return fmt.Errorf("--rtt %s: more than 0, at most 10s", o.RTT)
	case o.Bits < bench.SlowBits || o.Bits > 1e11:
		return errors.New("--bandwidth: from 1 to 100000 Mbit/s")
	case o.Loss < 0 || o.Loss > 0.5:
		return fmt.Errorf("--loss %g: from 0 to 0.5", o.Loss)
	case o.Slow < -1 || o.Slow >= nodes || o.Stopped < -1 || o.Stopped >= nodes:
		return fmt.Errorf("--slow %d, --stopped %d: nodes are numbered from 0 to %d", o.Slow, o.Stopped, nodes-1)
	case o.Relays && o.Loss > 0:
		return errors.New("--relays: they imitate TCP, and lose none of its packets: leave out --loss, or --relays")
	case o.Relays && o.Rounds > 0:
		return errors.New("--relays: not all that nodes say to each other goes through them: leave out --rounds, or --relays")
	case o.Rounds < 0 || o.Rounds > 1000:
		return fmt.Errorf("--rounds %d: up to 1000", o.Rounds)
	case o.Runs < 1 || o.Runs > 1000:
		return fmt.Errorf("--runs %d: from 1 to 1000", o.Runs)
	}
	return nil
}

// startAgain starts the same command in a user namespace, in which it may make others.
func (a *app) startAgain() (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	c.Env = append(os.Environ(), inNamespace+"=1")
	emulator.Enter(c)
	return c, c.Start()
}

func printWan(w io.Writer, r bench.WanResult) error {
	t := newTable(w)
	line := func(name string, trips, onLine, seconds float64) {
		t.row(name, fmt.Sprintf("%.1f round trips", trips), fmt.Sprintf("%.2f on the line", onLine), fmt.Sprintf("%.2f s", seconds))
	}
	if x := r.Challenges; x != nil {
		t.row("challenges", fmt.Sprintf("%d of %d shard-rounds passed in %d rounds (%.2f %%)", x.Passed, x.Assigned, x.Rounds, 100*x.Part))
		t.row("block", fmt.Sprintf("%.2f s", r.BlockSeconds))
		return t.flush()
	}
	n, l, s := r.RoundTrips, r.OnLine, r.Seconds
	line("store 1 KB, cold", n.StoreCold, l.StoreCold, s.StoreCold)
	line("store 1 KB, cached", n.StoreCached, l.StoreCached, s.StoreCached)
	line("store 1 KB, warm", n.StoreWarm, l.StoreWarm, s.StoreWarm)
	line("read 1 KB, cold", n.ReadCold, l.ReadCold, s.ReadCold)
	line("read 1 KB, cached", n.ReadCached, l.ReadCached, s.ReadCached)
	line("read 1 KB, warm", n.ReadWarm, l.ReadWarm, s.ReadWarm)
	line("status", n.Status, l.Status, s.Status)
	line("info", n.Info, l.Info, s.Info)
	line("list", n.List, l.List, s.List)
	line("nodes", n.Nodes, l.Nodes, s.Nodes)
	if r.Store.Seconds > 0 {
		size := bytesText(r.Emulator.SizeBytes)
		t.row("store "+size, fmt.Sprintf("%.1f s", r.Store.Seconds), fmt.Sprintf("%.2f of copying", r.Store.RatioCopy))
		t.row("read "+size, fmt.Sprintf("%.1f s", r.Read.Seconds), fmt.Sprintf("%.2f of copying, first byte after %.1f round trips, %.2f of the rows' bytes", r.Read.RatioCopy, r.Read.FirstByte, r.Read.Received))
	}
	t.row("block", fmt.Sprintf("%.2f s", r.BlockSeconds), "")
	return t.flush()
}

// benchWanClient is the client that stands in a measurement of distance.
func (a *app) benchWanClient() *cobra.Command {
	return &cobra.Command{Use: "wan-client", Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		n, err := a.network()
		if err != nil {
			return err
		}
		key, err := a.key(c.Context())
		if err != nil {
			return err
		}
		return bench.WanClient(c.Context(), n, key, a.in, a.out)
	}}
}

// benchWanSink takes and gives plain bytes.
func (a *app) benchWanSink() *cobra.Command {
	return &cobra.Command{Use: "wan-sink HOST", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		return bench.WanSink(a.in, a.out, args[0])
	}}
}
