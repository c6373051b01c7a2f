package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/testnet"
)

// spare is a copy of a node's directory on another machine: other ports, the same keys.
func (d *developer) spare(from string) (dir string) {
	d.Helper()
	dir = filepath.Join(d.dir, "spare")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		d.Fatal(err)
	}
	keys := filepath.Join(dir, node.KeysDir) // CopyFS gives everybody what it copies
	entries, err := os.ReadDir(keys)
	if err != nil {
		d.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chmod(filepath.Join(keys, e.Name()), 0o600); err != nil {
			d.Fatal(err)
		}
	}
	file, err := node.LoadFile(dir)
	if err != nil {
		d.Fatal(err)
	}
	ports, err := port.Testnets.Free(1)
	if err != nil {
		d.Fatal(err)
	}
	file.Listen, file.LedgerListen = []string{"/ip4/127.0.0.1/tcp/0"}, net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	file.Network = filepath.Join(d.net, "network.toml") // it was beside the first directory
	if err := file.Save(dir); err != nil {
		d.Fatal(err)
	}
	return dir
}

// process runs a node of a directory until the returned function is called.
func (d *developer) process(ctx context.Context, dir string) (stop func()) {
	d.Helper()
	program, err := testnet.Self()
	if err != nil {
		d.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program.Program, "node", "run", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			d.Errorf("%s: %v\n%s", dir, err, &said)
		}
	}
}

// An operator copies a node's directory to a spare machine and starts it there while
// the first still runs. The network finds out, takes the node's power, and goes on.
func TestANodeThatRunsTwiceIsExpelled(t *testing.T) {
	d := launch(t, "--nodes", "5", "--shards", "10", "--block-time", "200ms")
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	net5, err := testnet.Open(d.net, program)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	const twice = 4
	id := net5.Network.Genesis.Nodes[twice].ID
	find := func() report.Node {
		for _, n := range okJSON[nodeList](t, "nodes", "--no-call").Nodes {
			if n.ID == id {
				return n
			}
		}
		t.Fatalf("%s is not listed", id)
		return report.Node{}
	}
	if before := find(); before.Out || before.Power == 0 || before.Power != before.Shards {
		t.Fatalf("before: %+v", before)
	}
	if err := net5.Stop(ctx, twice); err != nil {
		t.Fatal(err)
	}
	// The spare takes over, and meets all others. Then the first machine comes back. Each
	// of the others talks to one node of a name only: those that are started again meet
	// the first, under the address that the ledger knows. So both live, apart.
	spare := d.spare(net5.NodeDir(twice))
	defer d.process(ctx, spare)()
	d.until("the spare signs", func() bool {
		s, err := node.AskStatus(ctx, spare)
		return err == nil && s.AtTip
	})
	ok(t, "testnet", "start", "4", "--dir", d.net)
	tries := 0
	for !find().Out {
		if tries++; ctx.Err() != nil {
			t.Fatalf("not expelled after %d rounds of starts", tries-1)
		}
		for _, i := range []string{"0", "1"} {
			ok(t, "testnet", "kill", i, "--dir", d.net)
			ok(t, "testnet", "start", i, "--dir", d.net)
		}
		for end := time.Now().Add(10 * time.Second); !find().Out && time.Now().Before(end); {
			<-time.After(200 * time.Millisecond)
		}
	}
	t.Logf("expelled after %d rounds of starts", tries)
	if after := find(); after.Power != 0 || after.Shards == 0 {
		t.Errorf("after: %+v", after)
	}
	listed := ""
	for line := range strings.Lines(ok(t, "nodes")) {
		if strings.Contains(line, shortID(id)) {
			listed = line
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(listed), "expelled") {
		t.Errorf("walrus nodes says %q", listed)
	}
	if j := okJSON[jailShown](t, "pool", "jail-status", id.String()); !j.Out || !strings.Contains(j.Advice[0], "for good") {
		t.Errorf("jail-status: %+v", j)
	}
	refused(t, exitFail, []string{"expelled for good"}, "stake", "delegate", shortID(id), "5WAL", "--dry-run")
	path, content := d.file("after", 10_000, 1)
	stored := d.store(path)
	d.certified(stored.ID)
	d.reads(stored.ID, content)
	if i := okJSON[networkInfo](t, "info"); i.Nodes != 5 {
		t.Errorf("%d nodes hold shards", i.Nodes)
	}
}
