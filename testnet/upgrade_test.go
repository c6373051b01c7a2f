package testnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// lastRelease is the commit of the release before this one: 0.3.0.
const lastRelease = "99d84ce"

// buildReleased makes a walrus of the sources of a commit.
func buildReleased(ctx context.Context, t *testing.T, commit string) release {
	t.Helper()
	if err := exec.CommandContext(ctx, "git", "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("the release before this one is not in the history of this clone: git cat-file -e %s: %v", commit, err)
	}
	dir := t.TempDir()
	archive := exec.CommandContext(ctx, "git", "archive", "--format=tar", commit)
	archive.Dir = ".."
	source, err := archive.Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(source)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(dir, "walrus-released")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "./cmd/walrus")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, out)
	}
	return release{Command{Program: path}, t}
}

// worker stores files and reads them back, with one release each, for as long as it is let.
type worker struct {
	t             *testing.T
	net           *Testnet
	store, read   release
	mu            sync.Mutex // guards done
	done          int
	longest       time.Duration
	stored        []string
	contents      map[string][]byte
	stop, stopped chan struct{}
}

func (w *worker) run(ctx context.Context) {
	defer close(w.stopped)
	dir := w.t.TempDir()
	for n := 0; ; n++ {
		select {
		case <-w.stop:
			return
		default:
		}
		began := time.Now()
		content := make([]byte, 20_000)
		rand.Read(content)
		path := filepath.Join(dir, fmt.Sprint("file-", n))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			w.t.Error(err)
			return
		}
		id, err := w.storeFile(ctx, path)
		if err == nil {
			err = w.readBack(ctx, id, content)
		}
		if err != nil {
			w.t.Errorf("file %d: %v", n, err)
			return
		}
		w.mu.Lock()
		w.done++
		w.longest = max(w.longest, time.Since(began))
		w.stored = append(w.stored, id)
		w.contents[id] = content
		w.mu.Unlock()
	}
}

func (w *worker) storeFile(ctx context.Context, path string) (id string, err error) {
	out, err := w.store.try(ctx, w.net, "store", path)
	if err != nil {
		return "", err
	}
	id, _ = out["blobs"].([]any)[0].(map[string]any)["blob"].(string)
	return id, nil
}

func (w *worker) readBack(ctx context.Context, id string, want []byte) error {
	path := filepath.Join(w.t.TempDir(), "back")
	if _, err := w.read.try(ctx, w.net, "read", id, "-o", path); err != nil {
		return err
	}
	got, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %d bytes that are not those that were stored", id, len(got))
	}
	return err
}

func (w *worker) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// A network goes from the release before this one to this one, node by node, and then to
// new rules by a vote, while clients of both releases store and read. None of them fails.
func TestANetworkIsUpgradedNodeByNode(t *testing.T) {
	testlevel.Whole(t, "builds two releases and carries a network from one to the other")
	ctx := within(t, 15*time.Minute) // the builds included
	older, newer := buildReleased(ctx, t, lastRelease), build(ctx, t, "walrus-next", "walrus_rules2")
	o := Default()
	o.Nodes, o.Block, o.Epoch = 4, 200*time.Millisecond, 12*time.Second
	r := startNetOf(ctx, t, o, older.Command)
	workers := []*worker{{store: older, read: newer}, {store: newer, read: older}}
	for _, w := range workers {
		w.t, w.net, w.contents, w.stop, w.stopped = t, r.Testnet, map[string][]byte{}, make(chan struct{}), make(chan struct{})
		go w.run(ctx)
	}
	end := sync.OnceFunc(func() {
		for _, w := range workers {
			close(w.stop)
			<-w.stopped
		}
	})
	defer end()
	works := func(when string) {
		t.Helper()
		var before [2]int
		for i, w := range workers {
			before[i] = w.count()
		}
		r.until(ctx, "clients store and read "+when, func() error {
			for i, w := range workers {
				if w.count() < before[i]+2 {
					return fmt.Errorf("client %d has done %d of %d", i, w.count(), before[i]+2)
				}
			}
			return nil
		})
	}
	works("with the old release alone")
	r.command = newer.Command
	for i := range o.Nodes {
		if err := r.Stop(ctx, i); err != nil {
			t.Fatal(err)
		}
		works(fmt.Sprintf("without node %d", i))
		r.start(i)
		r.caughtUp(ctx, i)
		works(fmt.Sprintf("with %d nodes of the new release", i+1))
	}
	for i := range 3 { // 21 of 28 shards
		newer.run(ctx, r.Testnet, "pool", "vote", r.Network.Genesis.Nodes[i].ID.String(), "--version", "2")
	}
	r.until(ctx, "the rules are new", func() error {
		if h := r.head(ctx); h.RuleVersion != 2 {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	works("under the new rules")
	end()
	for i, w := range workers {
		t.Logf("client %d stored and read %d files, the slowest in %s", i, w.done, w.longest.Round(time.Millisecond))
	}
	for _, w := range workers {
		if err := w.readBack(ctx, w.stored[0], w.contents[w.stored[0]]); err != nil {
			t.Errorf("the first file, at the end: %v", err)
		}
	}
	if inv, err := r.Check(ctx, r.c); err != nil {
		t.Errorf("%+v: %v", inv, err)
	}
}
