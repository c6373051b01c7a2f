package bench

import (
	"bufio"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/token"
)

// NetworkOptions say what network is measured.
type NetworkOptions struct {
	Size    int64           // of the blob that is stored and read
	Small   int             // how many blobs of 1 KB are stored
	Program testnet.Command // nodes and sinks are started with it
}

// DefaultNetwork is the testnet of seven nodes and a blob of 64 MiB.
func DefaultNetwork(program testnet.Command) NetworkOptions {
	return NetworkOptions{Size: 64 << 20, Small: 11, Program: program}
}

// NetworkResult is what storing and reading cost on real processes. Speeds are
// 10^6 bytes of the blob a second, medians; ratios are to limits of the same run.
type NetworkResult struct {
	BlockSeconds float64       `json:"block_seconds"`
	Store        NetworkStore  `json:"store"`
	Read         NetworkRead   `json:"read"`
	Small        NetworkSmall  `json:"small"`
	Limit        NetworkLimits `json:"limit"`
	Transport    string        `json:"transport"`
}

// NetworkStore is storing: upload is from the first byte read to the certificate
// assembled, the rest is the ledger's.
type NetworkStore struct {
	UploadMBs   float64 `json:"upload_mb_per_s"`
	MBs         float64 `json:"mb_per_s"`
	RatioEncode float64 `json:"ratio_encode"` // upload to encoding alone
	RatioCopy   float64 `json:"ratio_copy"`   // upload to copying the encoded bytes
}

// NetworkRead is reading the whole blob, verified.
type NetworkRead struct {
	MBs       float64 `json:"mb_per_s"`
	RatioCopy float64 `json:"ratio_copy"` // to copying the rows it needs
}

// NetworkSmall is storing 1 KB, to the certificate on the ledger.
type NetworkSmall struct {
	P50 float64 `json:"p50_s"`
	P95 float64 `json:"p95_s"`
}

// NetworkLimits are the limits of the run.
type NetworkLimits struct {
	EncodeMBs  float64 `json:"encode_mb_per_s"`   // of the blob, in this process
	CopyMBs    float64 `json:"copy_mb_per_s"`     // of the blob: its encoded bytes into as many processes' synced files
	CopyOutMBs float64 `json:"copy_out_mb_per_s"` // of the blob: the source rows' bytes out of their files
}

// Network starts a testnet and measures it.
func Network(ctx context.Context, o NetworkOptions) (r NetworkResult, err error) {
	err = onTestnet(ctx, o, func(dir string, c *client.Connection, t *testnet.Testnet) error {
		n := &networkBench{ctx: ctx, o: o, c: c, t: t, dir: dir, r: &r}
		for _, step := range []func() error{n.copies, n.encode, n.storeAndRead, n.small, n.blocks} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Transport = "TCP, TLS 1.3, yamux"
	r.Store.RatioEncode, r.Store.RatioCopy = r.Store.UploadMBs/r.Limit.EncodeMBs, r.Store.UploadMBs/r.Limit.CopyMBs
	r.Read.RatioCopy = r.Read.MBs / r.Limit.CopyOutMBs
	return r, nil
}

// onTestnet runs a measurement on a testnet of seven processes, in a directory of its own. Both
// end with it.
func onTestnet(ctx context.Context, o NetworkOptions, run func(dir string, c *client.Connection, t *testnet.Testnet) error) (err error) {
	dir, err := os.MkdirTemp("", "walrus-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, t, stop, err := startNetwork(ctx, dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return run(dir, c, t)
}

type networkBench struct {
	ctx context.Context
	o   NetworkOptions
	c   *client.Connection
	t   *testnet.Testnet
	dir string
	r   *NetworkResult
}

func startNetwork(ctx context.Context, dir string, o NetworkOptions) (*client.Connection, *testnet.Testnet, func() error, error) {
	options := testnet.Default()
	options.Dir = filepath.Join(dir, "net")
	t, err := testnet.Create(options, o.Program)
	if err != nil {
		return nil, nil, nil, err
	}
	fail := func(err error) (*client.Connection, *testnet.Testnet, func() error, error) {
		return nil, nil, nil, errors.Join(err, t.Down(context.WithoutCancel(ctx)))
	}
	for i := range t.Nodes {
		if _, err := t.Start(i, false); err != nil {
			return fail(err)
		}
	}
	c, err := client.Connect(ctx, t.Network, client.ConnectOptions{Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fail(err)
	}
	stop := func() error { return errors.Join(c.Close(), t.Down(context.WithoutCancel(ctx))) }
	if err := c.Ready(ctx); err != nil {
		return nil, nil, nil, errors.Join(err, stop())
	}
	return c, t, stop, nil
}

func mbs(bytes int64, d time.Duration) float64 { return float64(bytes) / 1e6 / d.Seconds() }

// layout is how the blob is cut in this network.
func (n *networkBench) layout() (blob.Layout, error) {
	shape, err := n.t.Network.Genesis.Params.Shape()
	if err != nil {
		return blob.Layout{}, err
	}
	return shape.Layout(n.o.Size)
}

// encode measures pass 1 alone, with all processors, as the client does it.
func (n *networkBench) encode() error {
	l, err := n.layout()
	if err != nil {
		return err
	}
	var speeds []float64
	for range Rounds + 1 {
		began := time.Now()
		_, _, err := redstuff.For(l.Shape).Commit(n.ctx, l, io.LimitReader(rand.NewChaCha8([32]byte{9}), n.o.Size), 0, nil)
		if err != nil {
			return err
		}
		speeds = append(speeds, mbs(n.o.Size, time.Since(began)))
	}
	n.r.Limit.EncodeMBs = median(speeds)
	return nil
}

// storeAndRead stores and reads different blobs over warm connections.
func (n *networkBench) storeAndRead() error {
	var uploads, stores, reads []float64
	for i := range Rounds + 1 {
		path := filepath.Join(n.dir, "blob")
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, rand.NewChaCha8([32]byte{byte(i)}), n.o.Size)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			return err
		}
		stored, err := n.c.Store(n.ctx, n.t.Wallet, source, client.StoreOptions{Epochs: 1})
		if err != nil {
			return err
		}
		// The header that proves what was just written comes a block later.
		if _, _, _, err := n.c.Find(n.ctx, stored.ID); err != nil {
			return err
		}
		began := time.Now()
		if err := n.c.ReadBlob(n.ctx, stored.ID, io.Discard); err != nil {
			return err
		}
		uploads = append(uploads, mbs(n.o.Size, stored.UploadTime))
		stores = append(stores, mbs(n.o.Size, stored.TotalTime))
		reads = append(reads, mbs(n.o.Size, time.Since(began)))
	}
	n.r.Store.UploadMBs, n.r.Store.MBs, n.r.Read.MBs = median(uploads), median(stores), median(reads)
	return nil
}

// small stores blobs of 1 KB, one after the other.
func (n *networkBench) small() error {
	var took []float64
	for i := range n.o.Small + 1 {
		path := filepath.Join(n.dir, "small")
		if err := os.WriteFile(path, slices.Repeat([]byte{byte(i), byte(i >> 8)}, 500), 0o600); err != nil {
			return err
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			return err
		}
		stored, err := n.c.Store(n.ctx, n.t.Wallet, source, client.StoreOptions{Epochs: 1})
		if err != nil {
			return err
		}
		took = append(took, stored.TotalTime.Seconds())
	}
	n.r.Small.P50 = median(took)
	took = took[1:]
	slices.Sort(took)
	n.r.Small.P95 = took[(len(took)-1)*95/100]
	return nil
}

// blocks measures the time of a block over the last few.
func (n *networkBench) blocks() error {
	head := func() (ledger.Head, error) {
		v, err := n.c.Remote.View(n.ctx)
		if err != nil {
			return ledger.Head{}, err
		}
		return v.Head()
	}
	first, err := head()
	if err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // idle blocks are what is measured
	last, err := head()
	if err != nil {
		return err
	}
	if last.Height > first.Height {
		n.r.BlockSeconds = float64(last.TimeMs-first.TimeMs) / 1000 / float64(last.Height.Since(first.Height))
	}
	return nil
}

// copies measures the same bytes without any of our work: over the same transport,
// into as many processes, to synced files; and the rows' bytes back.
func (n *networkBench) copies() error {
	l, err := n.layout()
	if err != nil {
		return err
	}
	each := l.EncodedBytes() / int64(n.t.Nodes)
	var sinks []sink
	defer func() {
		for _, s := range sinks {
			s.stop()
		}
	}()
	for i := range n.t.Nodes {
		s, err := startSink(n.o.Program, filepath.Join(n.dir, fmt.Sprintf("sink-%d", i)))
		if err != nil {
			return err
		}
		sinks = append(sinks, s)
	}
	host, err := newSinkHost()
	if err != nil {
		return err
	}
	defer host.Close()
	move := func(bytes int64, one func(context.Context, sink, int64) error, over []sink) (float64, error) {
		var speeds []float64
		for range Rounds + 1 {
			began := time.Now()
			g, ctx := errgroup.WithContext(n.ctx)
			for _, s := range over {
				g.Go(func() error { return one(ctx, s, bytes) })
			}
			if err := g.Wait(); err != nil {
				return 0, err
			}
			speeds = append(speeds, mbs(n.o.Size, time.Since(began)))
		}
		return median(speeds), nil
	}
	n.r.Limit.CopyMBs, err = move(each, func(ctx context.Context, s sink, b int64) error {
		return host.CopyTo(ctx, s.addr, b)
	}, sinks)
	if err != nil {
		return err
	}
	// The k1 source rows lie with ceil(k1/N of the nodes): as many processes give them.
	holders := (n.t.Nodes*l.K1 + l.N - 1) / l.N
	n.r.Limit.CopyOutMBs, err = move(n.o.Size/int64(holders), func(ctx context.Context, s sink, b int64) error {
		return host.CopyFrom(ctx, s.addr, b)
	}, sinks[:holders])
	return err
}

type sink struct {
	addr string
	stop func()
}

// sinkWords are the words after the program's name that make it a sink: a process
// that only takes and gives bytes.
func sinkWords(file string) []string { return []string{"bench", "sink", file} }

func startSink(program testnet.Command, file string) (sink, error) {
	cmd := exec.Command(program.Program, sinkWords(file)...)
	cmd.Env = append(os.Environ(), program.Env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return sink{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return sink{}, err
	}
	if err := cmd.Start(); err != nil {
		return sink{}, fmt.Errorf("start a sink: %w", err)
	}
	s := sink{stop: func() { in.Close(); cmd.Wait() }}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return sink{}, fmt.Errorf("start a sink: %w", err)
	}
	s.addr = strings.TrimSpace(line)
	return s, nil
}

const sinkChain = "bench"

func newSinkHost(listen ...string) (*p2p.Host, error) {
	key, err := token.NewKey(cryptorand.Reader)
	if err != nil {
		return nil, err
	}
	return p2p.New(p2p.Config{Key: key.Ed25519(), Listen: listen, Hello: p2p.Hello{Chain: sinkChain, Version: "bench"}, Log: slog.New(slog.DiscardHandler)})
}

// Sink is the process that bytes are copied to: it prints where it listens and ends
// when in does.
func Sink(in io.Reader, out io.Writer, file string) error {
	host, err := newSinkHost("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		return err
	}
	defer host.Close()
	host.ServeCopy(file)
	if _, err := fmt.Fprintln(out, host.Addrs()[0]); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
