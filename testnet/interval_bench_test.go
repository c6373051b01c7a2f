package testnet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
)

// BenchmarkBlockInterval compares the time between blocks where votes carry reveals or
// attestations with that between the other blocks of the same rounds, on seven real
// processes whose rounds ask for 32 stripes of 64 blobs: medians and 90th percentiles.
func BenchmarkBlockInterval(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	r := startNet(ctx, b, Default())
	dir := b.TempDir()
	for i := range 64 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(fmt.Sprint("blob ", i)), 0o600); err != nil {
			b.Fatal(err)
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.c.Store(ctx, r.Wallet, source, client.StoreOptions{Epochs: 10}); err != nil {
			b.Fatal(err)
		}
	}
	const rounds = 4
	seen := r.follow(ctx, rounds*int(r.Network.Genesis.Params.RoundBlocks))
	for name, of := range map[string]func(block) bool{
		"reveal": func(k block) bool { return k.reveals }, "attest": func(k block) bool { return k.attests },
		"proof": func(k block) bool { return k.proofs }, "rest": func(k block) bool { return !k.reveals && !k.attests && !k.proofs },
	} {
		var ms []int64
		for _, k := range seen {
			if of(k) {
				ms = append(ms, k.ms)
			}
		}
		slices.Sort(ms)
		if len(ms) > 0 {
			b.ReportMetric(float64(ms[len(ms)/2]), "ms-"+name)
			b.ReportMetric(float64(ms[len(ms)*9/10]), "ms-"+name+"-p90")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// block is the time from the block before to it, and what its votes were for.
type block struct {
	ms                       int64
	reveals, attests, proofs bool
}

// follow watches so many blocks.
func (r *running) follow(ctx context.Context, blocks int) (out []block) {
	r.t.Helper()
	c := r.Network.Genesis.Params.Challenge
	last := ledger.Head{}
	for len(out) < blocks {
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		h, err := v.Head()
		if err != nil {
			r.t.Fatal(err)
		}
		round, _, err := v.Round()
		if err != nil {
			r.t.Fatal(err)
		}
		if last.Height > 0 && h.Height == last.Height+1 {
			t := round.T
			at := func(from, n uint64) bool { return t > 0 && h.Height >= t.Plus(from) && h.Height < t.Plus(from+n) }
			out = append(out, block{ms: h.TimeMs - last.TimeMs, reveals: t > 0 && h.Height+3 >= t && h.Height <= t,
				attests: at(c.Deadline, c.Attest+1) || at(c.Second, c.Attest+1), proofs: at(1, c.Deadline-1)})
		}
		if h.Height > last.Height {
			last = h
		}
		wait(ctx, 20*time.Millisecond)
	}
	return out
}
