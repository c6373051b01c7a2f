package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// SoakOptions say how long a network is watched, and how fast its time goes.
type SoakOptions struct {
	Nodes   int
	Block   time.Duration
	Epoch   time.Duration
	For     time.Duration
	Every   time.Duration // between two looks at the nodes
	Idle    bool          // no client stores anything
	Dir     string        // for the testnet; must not exist
	Program testnet.Command
	Log     io.Writer // told each look; nil: silent
}

// SoakResult is what running for long did to the nodes of a network whose clients store
// and read small blobs, the leases of which end. The figures of a look are means over the
// nodes. A ratio is the mean of the last quarter of the looks to that of the second one:
// what stays as it is has about 1, and the first quarter is the start.
type SoakResult struct {
	Nodes        int     `json:"nodes"`
	Blocks       uint64  `json:"blocks"`
	Epochs       uint64  `json:"epochs"`
	Seconds      float64 `json:"seconds"`
	BlockSeconds float64 `json:"block_seconds"` // mean
	Stored       int     `json:"stored"`        // blobs, each read back at once
	Failed       int     `json:"failed"`        // stores and reads that failed
	Ratio        struct {
		Memory     float64 `json:"memory"`
		OpenFiles  float64 `json:"open_files"`
		Goroutines float64 `json:"goroutines"`
		Fragments  float64 `json:"fragments"` // bytes of disk
	} `json:"ratio"`
	// LedgerBytesPerBlock is by how much a node's ledger grew on the disk, from the second
	// quarter on, for a block.
	LedgerBytesPerBlock float64    `json:"ledger_bytes_per_block"`
	LogBytesPerBlock    float64    `json:"log_bytes_per_block"`
	Looks               []SoakLook `json:"looks"`
}

// SoakLook is how the nodes are at one time, in the mean.
type SoakLook struct {
	Seconds    float64 `json:"s"`
	Height     uint64  `json:"height"`
	Memory     float64 `json:"memory_bytes"`
	OpenFiles  float64 `json:"open_files"`
	Goroutines float64 `json:"goroutines"`
	Ledger     float64 `json:"ledger_bytes"` // of disk, so with the next
	Fragments  float64 `json:"fragments_bytes"`
	Logs       float64 `json:"log_bytes"`
}

// soakBlob is the bytes of a blob, and soakLease its epochs.
const (
	soakBlob  = 20_000
	soakLease = 2
	logFile   = "node.log" // of a testnet's node
)

// Soak runs a testnet for long. It is over when the time is, when ctx ends, or when a node
// has ended; what was seen until then is in the result.
func Soak(ctx context.Context, o SoakOptions) (r SoakResult, err error) {
	made := testnet.Default()
	made.Dir, made.Nodes, made.Block, made.Epoch = o.Dir, o.Nodes, o.Block, o.Epoch
	net, err := testnet.Create(made, o.Program)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, net.Down(context.WithoutCancel(ctx)), net.Remove()) }()
	log := slog.New(slog.DiscardHandler)
	if err := net.Up(ctx, log); err != nil {
		return r, err
	}
	c, err := client.Connect(ctx, net.Network, client.ConnectOptions{Version: "bench", Log: log})
	if err != nil {
		return r, err
	}
	defer c.Close()
	s := soak{SoakOptions: o, net: net, began: time.Now(), result: &r}
	r.Nodes = o.Nodes
	err = s.run(ctx, c)
	r.finish()
	return r, err
}

type soak struct {
	SoakOptions
	net    *testnet.Testnet
	began  time.Time
	result *SoakResult
	first  node.Status // of node 0, at the first look

	stored, failed atomic.Int64
}

func (s *soak) run(ctx context.Context, c *client.Connection) error {
	ctx, cancel := context.WithTimeout(ctx, s.For)
	defer cancel()
	work := make(chan struct{})
	go func() {
		defer close(work)
		for n := uint64(0); !s.Idle && ctx.Err() == nil; n++ {
			if err := s.work(ctx, c, n); err == nil {
				s.stored.Add(1)
			} else if ctx.Err() == nil {
				s.failed.Add(1)
				s.say("store and read: %v", err)
			}
		}
	}()
	defer func() { <-work }()
	next := time.NewTicker(s.Every)
	defer next.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			cancel()
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
	}
}

// work stores a blob and reads it back.
func (s *soak) work(ctx context.Context, c *client.Connection, n uint64) error {
	content := make([]byte, soakBlob)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), 1}).Read(content)
	path := filepath.Join(s.Dir, "soak")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	source, err := client.NewFileSource(path)
	if err != nil {
		return err
	}
	stored, err := c.Store(ctx, s.net.Wallet, source, client.StoreOptions{Epochs: soakLease})
	if err != nil {
		return err
	}
	return c.ReadBlob(ctx, stored.ID, io.Discard)
}

func (s *soak) say(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, "%6.0f s  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
	}
}

// look adds a look at all nodes.
func (s *soak) look(ctx context.Context) error {
	l := SoakLook{Seconds: time.Since(s.began).Seconds()}
	for i := range s.Nodes {
		st, err := s.net.Status(ctx, i)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		if i == 0 {
			if l.Height = uint64(st.Height); len(s.result.Looks) == 0 {
				s.first = st
			}
			s.result.Blocks, s.result.Epochs, s.result.Seconds = uint64(st.Height-s.first.Height), uint64(st.Epoch-s.first.Epoch), l.Seconds
		}
		l.Memory += float64(st.Memory.Used) / float64(s.Nodes)
		l.OpenFiles += float64(st.OpenFiles) / float64(s.Nodes)
		l.Goroutines += float64(st.Goroutines) / float64(s.Nodes)
		for dir, to := range map[string]*float64{node.LedgerDir: &l.Ledger, node.FragmentsDir: &l.Fragments, logFile: &l.Logs} {
			n, err := kv.DiskUsage(filepath.Join(s.net.NodeDir(i), dir))
			if err != nil {
				return err
			}
			*to += float64(n) / float64(s.Nodes)
		}
	}
	s.result.Looks = append(s.result.Looks, l)
	s.result.Stored, s.result.Failed = int(s.stored.Load()), int(s.failed.Load())
	s.say("block %d, %.0f MiB, %.0f files, %.0f goroutines, ledger %.1f MiB, fragments %.1f MiB, log %.2f MiB; %d stored, %d failed", l.Height,
		l.Memory/(1<<20), l.OpenFiles, l.Goroutines, l.Ledger/(1<<20), l.Fragments/(1<<20), l.Logs/(1<<20), s.result.Stored, s.result.Failed)
	return nil
}

// finish works out the figures of all looks.
func (r *SoakResult) finish() {
	if r.Blocks > 0 {
		r.BlockSeconds = (r.Looks[len(r.Looks)-1].Seconds - r.Looks[0].Seconds) / float64(r.Blocks)
	}
	quarter := len(r.Looks) / 4
	if quarter == 0 {
		return
	}
	second, last := r.Looks[quarter:2*quarter], r.Looks[len(r.Looks)-quarter:]
	mean := func(looks []SoakLook, of func(SoakLook) float64) (sum float64) {
		for _, l := range looks {
			sum += of(l) / float64(len(looks))
		}
		return sum
	}
	for _, x := range []struct {
		to *float64
		of func(SoakLook) float64
	}{
		{&r.Ratio.Memory, func(l SoakLook) float64 { return l.Memory }}, {&r.Ratio.OpenFiles, func(l SoakLook) float64 { return l.OpenFiles }},
		{&r.Ratio.Goroutines, func(l SoakLook) float64 { return l.Goroutines }}, {&r.Ratio.Fragments, func(l SoakLook) float64 { return l.Fragments }},
	} {
		if before := mean(second, x.of); before > 0 {
			*x.to = mean(last, x.of) / before
		}
	}
	blocks := mean(last, func(l SoakLook) float64 { return float64(l.Height) }) - mean(second, func(l SoakLook) float64 { return float64(l.Height) })
	if blocks > 0 {
		r.LedgerBytesPerBlock = (mean(last, func(l SoakLook) float64 { return l.Ledger }) - mean(second, func(l SoakLook) float64 { return l.Ledger })) / blocks
		r.LogBytesPerBlock = (mean(last, func(l SoakLook) float64 { return l.Logs }) - mean(second, func(l SoakLook) float64 { return l.Logs })) / blocks
	}
}
