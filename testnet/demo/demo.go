package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// Options say what is shown and to whom.
type Options struct {
	File  string // what is stored; empty: 64 MiB of the demo's own making
	Began time.Time
	Out   io.Writer // the story, for people
	Log   *slog.Logger
}

const (
	fileBytes  = 64 << 20
	laterBytes = 8 << 20
)

// The nodes that die first, and those that die after them; the last one also loses
// its disk.
var (
	firstKilled  = []int{2, 5}
	secondKilled = []int{1, 6}
)

const wiped = 5

type demo struct {
	t      *testnet.Testnet
	o      Options
	c      *client.Connection
	result Result
	source client.Source
	first  client.StoreResult
}

// Run shows on real processes that a blob survives. Children end in every case;
// the directory stays when a step failed.
func Run(ctx context.Context, t *testnet.Testnet, o Options) (Result, error) {
	d := &demo{t: t, o: o, result: Result{Nodes: t.Nodes, Shards: t.Network.Genesis.Params.Shards}}
	steps := []func(context.Context) error{d.start, d.store, d.degrade, d.readBack, d.heal, d.check}
	var err error
	for i, step := range steps {
		if err = step(ctx); err != nil {
			d.result.Failed = &FailedStep{Step: i + 1, Why: err.Error()}
			err = fmt.Errorf("step %d is not true: %w", i+1, err)
			break
		}
	}
	if d.c != nil {
		err = errors.Join(err, d.c.Close())
	}
	err = errors.Join(err, t.Down(context.WithoutCancel(ctx)))
	if err == nil {
		err = t.Remove()
	} else {
		fmt.Fprintf(o.Out, "the nodes' logs stay in %s\n", t.Dir)
	}
	return d.result, err
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.o.Out, format+"\n", args...) }

// start: seven processes, one ledger, a funded wallet.
func (d *demo) start(ctx context.Context) (err error) {
	d.say("1  start %d nodes with %d shards, one process each", d.t.Nodes, d.result.Shards)
	if err := d.startNodes(ctx, all(d.t.Nodes)); err != nil {
		return err
	}
	if d.c, err = client.Connect(ctx, d.t.Network, client.ConnectOptions{Version: "demo", Log: d.o.Log}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := d.c.Ready(ctx); err != nil {
		return err
	}
	d.result.ReadySeconds = seconds(d.o.Began)
	d.say("   ready after %.1f s: chain %s, wallet %s", d.result.ReadySeconds, d.t.Network.Genesis.ChainID(), d.t.Wallet.Address())
	return nil
}

func (d *demo) startNodes(ctx context.Context, list []int) error {
	for _, i := range list {
		if _, err := d.t.Start(i, false); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, i := range list {
		for {
			if _, err := d.t.Status(ctx, i); err == nil {
				break
			}
			if !d.t.Running(i) {
				return fmt.Errorf("node %d ended; its last words: %s", i, d.t.LastLine(i))
			}
			if ctx.Err() != nil {
				return fmt.Errorf("node %d does not answer", i)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func all(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }

// store: the first blob, and where its fragments went.
func (d *demo) store(ctx context.Context) (err error) {
	path := d.o.File
	if path == "" {
		path = filepath.Join(d.t.Dir, "demo.bin")
		if err := writeRandom(path, fileBytes, 1); err != nil {
			return err
		}
	}
	if d.source, err = client.NewFileSource(path); err != nil {
		return err
	}
	d.say("2  store %s (%s)", filepath.Base(path), mib(d.source.Size()))
	began := time.Now()
	if d.first, err = d.c.Store(ctx, d.t.Wallet, d.source, client.StoreOptions{}); err != nil {
		return err
	}
	d.result.Store = &Store{Blob: d.first.ID, Bytes: d.first.Size, EncodedBytes: d.first.EncodedBytes, Seconds: seconds(began), Requests: d.first.Requests}
	d.say("   %s", d.first.ID)
	d.say("   certified after %.1f s: %s became %s on %d nodes, %d requests", d.result.Store.Seconds, mib(d.first.Size), mib(d.first.EncodedBytes), d.t.Nodes, d.first.Requests)
	for i := range d.t.Nodes {
		s, err := d.t.Status(ctx, i)
		if err != nil {
			return err
		}
		d.say("   node %d  shards %-14s %8s in %d fragments", i, fmt.Sprint(s.Shards), mib(int64(s.Possession.Bytes)), s.Possession.Fragments)
	}
	return nil
}

// degrade: two nodes die, and the network takes another blob.
func (d *demo) degrade(ctx context.Context) error {
	d.say("3  kill nodes %v (SIGKILL), store %s while they are down", firstKilled, mib(laterBytes))
	if err := d.kill(ctx, firstKilled); err != nil {
		return err
	}
	path := filepath.Join(d.t.Dir, "later.bin")
	if err := writeRandom(path, laterBytes, 2); err != nil {
		return err
	}
	source, err := client.NewFileSource(path)
	if err != nil {
		return err
	}
	began := time.Now()
	stored, err := d.c.Store(ctx, d.t.Wallet, source, client.StoreOptions{})
	if err != nil {
		return err
	}
	d.result.Degraded = &Store{Blob: stored.ID, Bytes: stored.Size, Seconds: seconds(began)}
	d.say("   certified after %.1f s with the shards of %d nodes", d.result.Degraded.Seconds, d.t.Nodes-len(firstKilled))
	return nil
}

func (d *demo) kill(ctx context.Context, list []int) error {
	for _, i := range list {
		if err := d.t.Kill(ctx, i); err != nil {
			return err
		}
		d.result.Killed = append(d.result.Killed, i)
	}
	return nil
}

// readBack: two more die, the ledger stands still, and the first blob is read.
func (d *demo) readBack(ctx context.Context) error {
	d.say("4  kill nodes %v too, read the first blob from the %d that are left", secondKilled, d.t.Nodes-len(d.result.Killed)-len(secondKilled))
	if err := d.kill(ctx, secondKilled); err != nil {
		return err
	}
	want, err := d.source.Open(0)
	if err != nil {
		return err
	}
	defer want.Close()
	began := time.Now()
	if err := d.c.ReadBlob(ctx, d.first.ID, &comparer{want: want}); err != nil {
		return err
	}
	if n, _ := want.Read(make([]byte, 1)); n != 0 {
		return errors.New("the blob that came back is shorter than the file")
	}
	d.result.Read = &Read{OK: true, Seconds: seconds(began), NodesUp: d.t.Nodes - len(d.result.Killed)}
	d.say("   %s came back byte for byte in %.1f s, while the ledger stood still", mib(d.first.Size), d.result.Read.Seconds)
	return nil
}

// comparer takes bytes and compares them with what they should be.
type comparer struct{ want io.Reader }

func (c *comparer) Write(b []byte) (int, error) {
	want := make([]byte, len(b))
	if _, err := io.ReadFull(c.want, want); err != nil {
		return 0, fmt.Errorf("the blob that came back is longer than the file: %w", err)
	}
	if !bytes.Equal(b, want) {
		return 0, errors.New("the blob that came back differs from the file")
	}
	return len(b), nil
}

// heal: the four come back, one of them without its fragments; no message asks for a
// repair.
func (d *demo) heal(ctx context.Context) error {
	d.say("5  start nodes %v again, node %d with its fragments wiped", d.result.Killed, wiped)
	before := make([]node.Recovery, d.t.Nodes)
	for i := range d.t.Nodes {
		if d.t.Running(i) {
			s, err := d.t.Status(ctx, i)
			if err != nil {
				return err
			}
			before[i] = s.Recovery
		}
	}
	if err := d.t.Wipe(wiped); err != nil {
		return err
	}
	began := time.Now()
	if err := d.startNodes(ctx, d.result.Killed); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	after, err := d.t.Healed(ctx)
	if err != nil {
		return err
	}
	d.result.Heal = &Heal{OK: true, Seconds: seconds(began)}
	for i := range after {
		lost, moved := after[i].Recovery.HealedBytes-before[i].HealedBytes, after[i].Recovery.MovedBytes-before[i].MovedBytes
		d.result.Heal.LostBytes += lost
		d.result.Heal.MovedBytes += moved
		if lost > 0 {
			d.say("   node %d  lacked %8s, moved %8s, holds %8s now", i, mib(lost), mib(moved), mib(int64(after[i].Possession.Bytes)))
		}
	}
	d.say("   healed after %.1f s: %s were lost, %s moved", d.result.Heal.Seconds, mib(d.result.Heal.LostBytes), mib(d.result.Heal.MovedBytes))
	return nil
}

// check: what must hold, holds.
func (d *demo) check(ctx context.Context) error {
	d.say("6  check the invariants")
	inv, err := d.t.Check(ctx, d.c)
	d.result.Check = &inv
	if err != nil {
		return err
	}
	d.say("   supply conserved, app hashes equal, every certified blob readable")
	return nil
}

// writeRandom makes a file that cannot be compressed and is the same every time.
func writeRandom(path string, size int64, seed byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{seed}), size)
	return errors.Join(err, f.Close())
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
