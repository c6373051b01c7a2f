package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/walrus-network/walrus/bench/emulator"
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/testnet"
)

// WanOptions say what distance is measured.
type WanOptions struct {
	RTT     time.Duration   // from any host to any other and back
	Bits    int64           // bits a second of each host's link, each way
	Loss    float64         // part of the packets that is lost, each way
	Slow    int             // node whose link has SlowBits; -1: none
	Stopped int             // node whose process is stopped once the network runs; -1: none
	Size    int64           // bytes of the large blob; 0: none is stored or read
	Runs    int             // how often each small operation is measured
	Rounds  int             // of challenges that are waited for, and nothing else measured; 0: challenges are off
	Relays  bool            // distance is made by relays, also where this machine has namespaces
	Trace   string          // file that tells the packets of each measured command; empty: none
	Program testnet.Command // nodes and clients are started with it
	Log     io.Writer       // told what is measured; nil: silent
}

// SlowBits is the link of a slow node.
const SlowBits = 1_000_000

// wanNodes is the nodes. The standing client is the host after them, commands run on the
// last one.
const wanNodes = 7

// WanResult is what operations cost at a distance.
type WanResult struct {
	RTT          float64       `json:"rtt_s"`
	BlockSeconds float64       `json:"block_seconds"`
	RoundTrips   WanOperations `json:"round_trips"` // the most of all runs
	OnLine       WanOperations `json:"on_the_line"` // time in which a packet was on its way, in round trips, the most of all runs
	Store        WanStore      `json:"store"`
	Read         WanRead       `json:"read"`
	Seconds      WanOperations `json:"seconds"` // of the same operations, medians, waits for blocks included
	Emulator     WanEmulator   `json:"emulator"`
	Challenges   *WanRounds    `json:"challenges,omitempty"`
}

// WanOperations is a figure for each operation on the ledger or on a blob of 1 KB. Cold is a
// new process on a machine that has seen nothing of the network, cached one on a machine
// where another process was before, warm a client that stands.
type WanOperations struct {
	StoreCold   float64 `json:"store_cold"`
	StoreCached float64 `json:"store_cached"`
	StoreWarm   float64 `json:"store_warm"`
	ReadCold    float64 `json:"read_cold"`
	ReadCached  float64 `json:"read_cached"`
	ReadWarm    float64 `json:"read_warm"`
	Status      float64 `json:"status"`
	Info        float64 `json:"info"`
	List        float64 `json:"list"`
	Nodes       float64 `json:"nodes"`
}

// all is the figures by their names in JSON.
func (o *WanOperations) all() map[string]*float64 {
	return map[string]*float64{"store_cold": &o.StoreCold, "store_cached": &o.StoreCached, "store_warm": &o.StoreWarm,
		"read_cold": &o.ReadCold, "read_cached": &o.ReadCached, "read_warm": &o.ReadWarm,
		"status": &o.Status, "info": &o.Info, "list": &o.List, "nodes": &o.Nodes}
}

// WanStore is storing the large blob with a new process. The copy is of the encoded bytes,
// over plain TCP to all nodes that are well at once.
type WanStore struct {
	Seconds   float64 `json:"seconds"`
	RatioCopy float64 `json:"ratio_copy"` // copy to store
	Copy      float64 `json:"copy_seconds"`
}

// WanRead is reading the large blob with a new process. The copy is of its rows' bytes.
type WanRead struct {
	Seconds   float64 `json:"seconds"`
	RatioCopy float64 `json:"ratio_copy"` // copy to read
	Copy      float64 `json:"copy_seconds"`
	FirstByte float64 `json:"first_byte_round_trips"`
	Received  float64 `json:"received_ratio"` // bytes that came over the line to bytes of the rows
}

// WanEmulator is what the distance is made of.
type WanEmulator struct {
	Kind              string  `json:"kind"`
	MbitPerSecond     float64 `json:"mbit_per_s"`
	Loss              float64 `json:"loss"`
	Slow              *int    `json:"slow_node,omitempty"`
	Stopped           *int    `json:"stopped_node,omitempty"`
	CongestionControl string  `json:"congestion_control"`
	SizeBytes         int64   `json:"size_bytes"`
}

// Wan measures a network of seven processes and a client far from each other: in network
// namespaces, or behind relays where there are none.
//
// Round trips are counted in the emulator's trace of the client's packets: see emulator.Trips.
// What the client or a node works, and the time until a block comes, is in no count. Beside
// them stands the time on the line (emulator.OnLine), which has packets that come while a block
// is waited for; seconds have all.
func Wan(ctx context.Context, o WanOptions) (r WanResult, err error) {
	w, err := newWanWorld(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	b := wanBench{wanWorld: w, r: &r}
	steps := []func() error{b.start, b.blocks, b.small}
	if o.Size > 0 {
		steps = append(steps, b.large)
	}
	if o.Rounds > 0 {
		steps = []func() error{b.start, b.blocks, b.rounds}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return r, err
		}
	}
	r.RTT = o.RTT.Seconds()
	r.Emulator = WanEmulator{Kind: b.e.Kind(), MbitPerSecond: float64(o.Bits) / 1e6, Loss: o.Loss, SizeBytes: o.Size, CongestionControl: "imitated"}
	if !b.isRelayed() {
		r.Emulator.CongestionControl = congestionControl()
	}
	if o.Slow >= 0 {
		r.Emulator.Slow = &o.Slow
	}
	if o.Stopped >= 0 {
		r.Emulator.Stopped = &o.Stopped
	}
	return r, nil
}

func congestionControl() string {
	b, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	return strings.TrimSpace(string(b))
}

type wanBench struct {
	*wanWorld
	r     *WanResult
	seeds uint64
}

// start waits until the standing client can store, then stops the node that is to be silent.
func (b *wanBench) start() error {
	if _, err := b.ask(wanQuestion{Op: opReady}); err != nil {
		return fmt.Errorf("the network does not start: %w", err)
	}
	return b.freeze()
}

// blocks measures the time of a block while nothing is stored.
func (b *wanBench) blocks() error {
	const long = 8 * time.Second
	first, err := b.ask(wanQuestion{Op: opHead})
	if err != nil {
		return err
	}
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(long):
	}
	last, err := b.ask(wanQuestion{Op: opHead})
	if err == nil && last.Height > first.Height {
		b.r.BlockSeconds = float64(last.TimeMs-first.TimeMs) / 1000 / float64(last.Height-first.Height)
	}
	return err
}

// file makes a file of noise that no file before it had.
func (b *wanBench) file(size int64) (string, error) {
	b.seeds++
	var seed [32]byte
	seed[0], seed[1] = byte(b.seeds), byte(b.seeds>>8)
	path := filepath.Join(b.dir, "blob")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	_, err = io.CopyN(f, rand.NewChaCha8(seed), size)
	return path, errors.Join(err, f.Close())
}

// figures takes an operation's figures over its runs.
type figures struct{ trips, line, seconds []float64 }

func (f *figures) add(name string, b *wanBench, o operation) {
	trips, line := emulator.Trips(o.flights, o.began, o.ended), emulator.OnLine(o.flights, o.began, o.ended, b.o.RTT)
	b.say("%-12s %.1f round trips, %.2f on the line, %.2f s", name, trips, line, o.seconds())
	b.trace(name, o)
	f.trips, f.line, f.seconds = append(f.trips, trips), append(f.line, line), append(f.seconds, o.seconds())
}

const smallSize = 1000

// small measures each operation on a blob of 1 KB.
func (b *wanBench) small() error {
	all := map[string]*figures{}
	note := func(name string, o operation) {
		if all[name] == nil {
			all[name] = &figures{}
		}
		all[name].add(name, b, o)
	}
	for range b.o.Runs {
		if err := b.smallRun(note); err != nil {
			return err
		}
	}
	trips, line, seconds := b.r.RoundTrips.all(), b.r.OnLine.all(), b.r.Seconds.all()
	for name, f := range all {
		*trips[name], *line[name], *seconds[name] = slices.Max(f.trips), math.Round(slices.Max(f.line)*100)/100, middle(f.seconds)
	}
	return nil
}

// smallRun stores a blob with a new process, one with the next process on that machine and one
// with the standing client, reads the first in three ways, and asks for what the ledger says.
func (b *wanBench) smallRun(note func(string, operation)) error {
	path, err := b.file(smallSize)
	if err != nil {
		return err
	}
	stored := b.fresh()
	o, err := b.command(stored, "store", path)
	if err != nil {
		return err
	}
	note("store_cold", o)
	id := strings.Fields(o.out.kept.String())[0]
	if path, err = b.file(smallSize); err != nil {
		return err
	}
	if o, err = b.command(stored, "store", path); err != nil {
		return err
	}
	note("store_cached", o)
	if path, err = b.file(smallSize); err != nil {
		return err
	}
	if o, err = b.standing(wanQuestion{Op: opStore, File: path}); err != nil {
		return err
	}
	note("store_warm", o)
	seen := b.fresh()
	for _, c := range []struct {
		name, config string
		words        []string
	}{
		{"read_cold", seen, []string{"read", id}}, {"read_cached", seen, []string{"read", id}},
		{"status", b.fresh(), []string{"status", id}}, {"info", b.fresh(), []string{"info"}},
		{"list", b.fresh(), []string{"list"}}, {"nodes", b.fresh(), []string{"nodes"}},
	} {
		if o, err = b.command(c.config, c.words...); err != nil {
			return err
		}
		note(c.name, o)
	}
	if _, err := b.standing(wanQuestion{Op: opRead, ID: id}); err != nil { // the client has been at every holder
		return err
	}
	if o, err = b.standing(wanQuestion{Op: opRead, ID: id}); err != nil {
		return err
	}
	note("read_warm", o)
	return nil
}

// middle is the median of all, unlike median, which leaves the first one out.
func middle(all []float64) float64 { return median(append([]float64{0}, all...)) }

// large stores and reads the large blob, each with a new process, and copies the same bytes.
func (b *wanBench) large() error {
	l, err := b.layout()
	if err != nil {
		return err
	}
	path, err := b.file(b.o.Size)
	if err != nil {
		return err
	}
	copied, err := b.copies(opCopyTo, l.EncodedBytes()/wanNodes, b.well())
	if err != nil {
		return err
	}
	o, err := b.command(b.fresh(), "store", path)
	if err != nil {
		return err
	}
	b.trace("store large", o)
	b.r.Store = WanStore{Seconds: o.seconds(), Copy: copied, RatioCopy: copied / o.seconds()}
	b.say("store        %.1f s, a plain copy %.1f s", o.seconds(), copied)
	id := strings.Fields(o.out.kept.String())[0]

	var rows int64
	for i := range l.Stripes {
		rows += int64(l.K1) * int64(l.FragmentBytes(i, blob.Row))
	}
	holders := b.well()
	holders = holders[:min(len(holders), (wanNodes*l.K1+l.N-1)/l.N)]
	if copied, err = b.copies(opCopyFrom, rows/int64(len(holders)), holders); err != nil {
		return err
	}
	if o, err = b.command(b.fresh(), "read", id); err != nil {
		return err
	}
	b.trace("read large", o)
	b.r.Read = WanRead{Seconds: o.seconds(), Copy: copied, RatioCopy: copied / o.seconds(),
		FirstByte: emulator.OnLine(o.flights, o.began, o.out.first, b.o.RTT),
		Received:  float64(emulator.Received(o.flights, o.began, o.ended)) / float64(rows)}
	b.say("read         %.1f s, a plain copy %.1f s", o.seconds(), copied)
	if o.out.kept.Len() != int(b.o.Size) {
		return fmt.Errorf("read %d bytes of %d", o.out.kept.Len(), b.o.Size)
	}
	return nil
}

func (b *wanBench) layout() (blob.Layout, error) {
	shape, err := b.t.Network.Genesis.Params.Shape()
	if err != nil {
		return blob.Layout{}, err
	}
	return shape.Layout(b.o.Size)
}

// well is the nodes that are neither slow nor stopped.
func (b *wanBench) well() (out []int) {
	for i := range wanNodes {
		if i != b.o.Slow && i != b.o.Stopped {
			out = append(out, i)
		}
	}
	return out
}

// copies measures copying so many bytes to or from each of some nodes' hosts at once, over
// plain TCP.
func (b *wanBench) copies(op string, each int64, nodes []int) (seconds float64, err error) {
	var addrs []string
	for _, i := range nodes {
		addr, stop, err := b.startSink(i)
		if err != nil {
			return 0, err
		}
		defer stop()
		addrs = append(addrs, addr)
	}
	o, err := b.standing(wanQuestion{Op: op, Addrs: addrs, Bytes: each})
	return o.seconds(), err
}

// trace writes an operation's packets down.
func (b *wanBench) trace(name string, o operation) {
	if b.traced == nil {
		return
	}
	fmt.Fprintf(b.traced, "%s from %s to %s\n", name, o.began.Format("05.000"), o.ended.Format("05.000"))
	for _, f := range o.flights {
		fmt.Fprintf(b.traced, "%s\n", f)
	}
}

func (b *wanBench) say(format string, args ...any) {
	if b.o.Log != nil {
		fmt.Fprintf(b.o.Log, format+"\n", args...)
	}
}

// decodeLine reads an answer of the standing client.
func decodeLine(line []byte) (a wanAnswer, err error) {
	if err = json.Unmarshal(line, &a); err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}
