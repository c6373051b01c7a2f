package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/testnet"
)

// launchAsked starts a testnet whose nodes are asked for proof in short rounds.
func launchAsked(t *testing.T) *developer {
	home(t)
	d := &developer{t, t.TempDir(), filepath.Join(t.TempDir(), "net")}
	o := testnet.Default()
	o.Dir, o.Nodes, o.Shards, o.Block, o.Epoch = d.net, 5, 10, 200*time.Millisecond, 100*time.Second
	o.Difference = func(p *ledger.Params) {
		p.Challenged, p.RoundBlocks, p.RoundsPerEpoch = true, 100, 5
		c := &p.Challenge
		c.Start, c.Freeze, c.Deadline, c.Attest, c.Pull, c.Late, c.Second = 6, 5, 5, 3, 3, 10, 11
	}
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testnet.Create(o, program); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if got := walrus(t, "testnet", "down", "--wipe", "--dir", d.net); got.code != exitOK {
			t.Errorf("testnet down: %s", got.err)
		}
	})
	d.use(ok(t, "testnet", "up", "--dir", d.net))
	return d
}

// TestSomebodyWithAFile is one story, told in order, on one network that asks for proof.
func TestSomebodyWithAFile(t *testing.T) {
	d := launchAsked(t)
	path, _ := d.file("precious", 200_000, 30)
	id := d.store(path).ID.String()
	for _, step := range []struct {
		name string
		run  func(*developer, string)
	}{
		{"it is held before it was drawn", (*developer).undrawn},
		{"it is proven in a round", (*developer).provenInARound},
		{"a node that lost it all does not count", (*developer).unproven},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(&developer{t, d.dir, d.net}, id) })
		if t.Failed() {
			return
		}
	}
}

func (d *developer) undrawn(id string) {
	st := okJSON[blobStatus](d.T, "status", id)
	s := st.Safety
	if st.Safe == nil || !*st.Safe || s == nil || !s.Challenged || s.LastDraw != nil || s.Ready != 10 || s.Counted != 10 || s.SpareShards != 6 || len(s.Holders) != 5 || st.PaidUntil == nil {
		d.Fatalf("%+v, %+v", st, s)
	}
	out := ok(d.T, "status", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "safe: 10 of 10 shards on 5 nodes hold it; it outlives any 6 shards or 3 nodes\n") || !strings.Contains(out, "not drawn yet") {
		d.Errorf("%s", out)
	}
}

func (d *developer) provenInARound(id string) {
	var st blobStatus
	d.until("the blob is drawn", func() bool {
		st = okJSON[blobStatus](d.T, "status", id)
		return st.Safety.LastDraw != nil
	})
	s := st.Safety
	if l := s.LastDraw; l.Passed != 10 || l.Failed+l.Away+l.Unready != 0 || l.Stripes < 1 || l.Height == 0 || l.Height >= st.Ledger.Height || s.Verdict != client.Safe || s.DrawnEvery < 1 || s.RoundTime != 20 {
		d.Errorf("%+v, drawn %+v", s, l)
	}
	if s.PassRate != nil && s.PassRate.Rate <= 0 {
		d.Errorf("%+v", s.PassRate)
	}
	out := ok(d.T, "status", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "safe: 10 of 10 shards on 5 nodes proved it;") || !strings.Contains(out, "10 shards passed") {
		d.Errorf("%s", out)
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 81 && !strings.HasPrefix(line, "ledger") && !strings.HasPrefix(line, "blob") && !strings.HasPrefix(line, "lease") {
			d.Errorf("wider than a terminal: %s", line)
		}
	}
}

func (d *developer) unproven(id string) {
	ok(d.T, "testnet", "kill", "4", "--dir", d.net)
	var st blobStatus
	d.until("a round without the dead node is told", func() bool {
		st = okJSON[blobStatus](d.T, "status", id)
		return st.Safety.LastDraw.Away > 0
	})
	s := st.Safety
	if s.Counted != 8 || s.Ready != 10 || s.LastDraw.Passed != 8 || s.SpareShards != 4 || s.SpareNodes != 2 || s.Verdict != client.Safe {
		d.Errorf("%+v, drawn %+v", s, s.LastDraw)
	}
	out := ok(d.T, "status", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "safe: 8 of 10 shards on 4 nodes proved it; it outlives any 4 shards or 2 nodes") || !strings.Contains(out, "2 away") || !strings.Contains(out, "(proved 0)") {
		d.Errorf("%s", out)
	}
	ok(d.T, "testnet", "start", "4", "--dir", d.net)
}
