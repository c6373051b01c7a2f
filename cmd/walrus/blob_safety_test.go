package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/testnet"
)

// launchAsked starts a testnet whose nodes are asked for proof in short rounds.
func launchAsked(t *testing.T) *developer {
	t.Helper()
	testlevel.Middle(t, "starts a network of nodes")
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

// TestAFileOwnerAsksWhetherABlobIsSafe is one story, told in order, on one network that asks for proof.
func TestAFileOwnerAsksWhetherABlobIsSafe(t *testing.T) {
	testlevel.Whole(t, "waits for three rounds of a network")
	d := launchAsked(t)
	path, _ := d.file("precious", 200_000, 30)
	id := d.store(path).ID.String()
	for _, step := range []struct {
		name string
		run  func(*developer, string)
	}{
		{"it is held before it was drawn", (*developer).undrawn},
		{"it is proven in a round", (*developer).provenInARound},
		{"an audit asks every node", (*developer).audited},
		{"a receipt can be checked offline", (*developer).receipts},
		{"info tells what challenges find", (*developer).strong},
		{"a node that is down does not count", (*developer).unproven},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(&developer{t, d.dir, d.net}, id) })
		if t.Failed() {
			return
		}
	}
}

func (d *developer) undrawn(id string) {
	st := okJSON[report.Blob](d.T, "status", id)
	s := st.Safety
	if st.Safe == nil || !*st.Safe || s == nil || !s.Challenged || s.LastDraw != nil || s.Ready != 10 || s.Counted != 10 || s.SpareShards != 6 || len(s.Holders) != 5 || st.PaidUntil == nil {
		d.Fatalf("%+v, %+v", st, s)
	}
	out := ok(d.T, "status", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "safe: 10 of 10 shards on 5 nodes show it now; it outlives any 6 shards or 3 nodes\n") || !strings.Contains(out, "not drawn yet") || !strings.Contains(out, "10 shards were shown") {
		d.Errorf("%s", out)
	}
}

func (d *developer) provenInARound(id string) {
	var st report.Blob
	d.until("the blob is drawn", func() bool {
		st = okJSON[report.Blob](d.T, "status", "--no-ask", id)
		return st.Safety.LastDraw != nil
	})
	s := st.Safety
	if l := s.LastDraw; l.Passed != 10 || l.Failed+l.Away+l.Unready != 0 || l.Stripes < 1 || l.Height == 0 || l.Height >= st.Ledger.Height || s.Verdict != report.Safe || s.DrawnEvery < 1 || s.RoundSeconds != 20 {
		d.Errorf("%+v, drawn %+v", s, l)
	}
	if s.PassRate != nil && s.PassRate.Rate <= 0 {
		d.Errorf("%+v", s.PassRate)
	}
	out := ok(d.T, "status", "--no-ask", id) // a challenge may run, in which nodes keep answers back
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
	var st report.Blob
	d.until("a round without the dead node is told", func() bool {
		st = okJSON[report.Blob](d.T, "status", "--no-ask", id)
		return st.Safety.LastDraw.Away > 0
	})
	s := st.Safety
	if s.Counted != 8 || s.Ready != 10 || s.LastDraw.Passed != 8 || s.SpareShards != 4 || s.SpareNodes != 2 || s.Verdict != report.Safe {
		d.Errorf("%+v, drawn %+v", s, s.LastDraw)
	}
	if out := ok(d.T, "status", id); !strings.Contains(strings.Split(out, "\n")[0], "silent now") {
		d.Errorf("a dead node is not told in the first line: %s", out)
	}
	out := ok(d.T, "status", "--no-ask", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "safe: 8 of 10 shards on 4 nodes proved it; it outlives any 4 shards or 2 nodes") || !strings.Contains(out, "2 away") || !strings.Contains(out, "(0 certain)") {
		d.Errorf("%s", out)
	}
	got := walrus(d.T, "audit", id)
	d.Log("\n" + got.out + got.err)
	if got.code != exitFail || !strings.HasPrefix(got.out, "8 of 10 shards proved it") || !strings.Contains(got.err, "not all shards proved") {
		d.Errorf("audit with a node down: exit %d: %s%s", got.code, got.out, got.err)
	}
	ok(d.T, "testnet", "kill", "0", "1", "2", "--dir", d.net)
	if got := walrus(d.T, "audit", id); got.code != exitLater || !strings.Contains(got.err, "4 are needed") {
		d.Errorf("audit with one node left: exit %d: %s%s", got.code, got.out, got.err)
	}
}

func (d *developer) audited(id string) {
	got := okJSON[auditShown](d.T, "audit", id, "--samples", "3")
	if !got.All || got.Held != 10 || got.Shards != 10 || got.Needed != 4 || len(got.Nodes) != 5 || got.Error != "" {
		d.Fatalf("%+v", got)
	}
	for _, n := range got.Nodes {
		if n.Verified != 6 || n.Asked != 6 || n.Held != 2 || n.Millis <= 0 || n.Name == "" {
			d.Errorf("%+v", n)
		}
	}
	out := ok(d.T, "audit", id)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "10 of 10 shards proved it, 4 samples each") {
		d.Errorf("%s", out)
	}
	refused(d.T, exitUsage, []string{"1 to 1000"}, "audit", id, "--samples", "0")
	refused(d.T, exitMissing, []string{"knows no such blob"}, "audit", nowhere)
}

// nowhere is the ID of a blob that no client stored.
const nowhere = "bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u"

func (d *developer) receipts(id string) {
	file := filepath.Join(d.dir, "r.json")
	made := okJSON[receiptShown](d.T, "receipt", id, "-o", file)
	if made.Blob.String() != id || made.Shards < 7 || made.ShardsOf != 10 || made.EndEpoch != 13 || made.From != 1 || made.Headers < 2 || made.Old {
		d.Errorf("%+v", made)
	}
	out := ok(d.T, "receipt", id, "-o", file)
	d.Log("\n" + out)
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 81 && !strings.HasPrefix(line, "wrote") {
			d.Errorf("wider than a terminal: %s", line)
		}
	}
	printed := ok(d.T, "receipt", id)
	// Offline: no node listens at the address in the network file.
	n, err := client.LoadNetwork(os.Getenv("WALRUS_NETWORK"))
	if err != nil {
		d.Fatal(err)
	}
	n.Bootstrap = []string{"/ip4/127.0.0.1/tcp/9/p2p/" + n.Genesis.Nodes[0].ID.String()}
	alone := filepath.Join(d.dir, "alone.toml")
	if err := n.Save(alone); err != nil {
		d.Fatal(err)
	}
	checked := okJSON[receiptShown](d.T, "verify", file, "--network", alone)
	if checked.Blob != made.Blob || checked.CertifiedAt != made.CertifiedAt || checked.NotShown == "" || checked.Height < made.Height {
		d.Errorf("%+v, made %+v", checked, made)
	}
	out = ok(d.T, "verify", file, "--network", alone)
	d.Log("\n" + out)
	if !strings.HasPrefix(out, "the receipt holds\n") || !strings.Contains(out, "that it is held now") {
		d.Errorf("%s", out)
	}
	if got := input(d.T, strings.NewReader(printed), "verify", "-", "--network", alone); got.code != exitOK {
		d.Errorf("from a pipe: %s", got.err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		d.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	changed := write(d.T, filepath.Join(d.dir, "changed.json"), string(raw))
	refused(d.T, exitFail, []string{"does not hold"}, "verify", changed, "--network", alone)
	refused(d.T, exitFail, []string{"does not hold", "no receipt"}, "verify", alone, "--network", alone)
	refused(d.T, exitFail, []string{"no such file"}, "verify", filepath.Join(d.dir, "none"))
	refused(d.T, exitUsage, []string{"-o"}, "receipt", id, "--json")
	refused(d.T, exitMissing, []string{"knows no such blob"}, "receipt", nowhere, "-o", filepath.Join(d.dir, "none"))
}

func (d *developer) strong(string) {
	i := okJSON[networkInfo](d.T, "info")
	s := i.Strength
	if s == nil || s.Blobs != 1 || s.RoundSeconds != 20 || s.Span != "hour" || s.Rounds != 180 || len(s.Caught) != 3 || s.Caught[0].Span <= s.Caught[0].Round || i.NoStrength != "" {
		d.Fatalf("%+v, %+v", i, s)
	}
	out := ok(d.T, "info")
	d.Log("\n" + out)
	if !strings.Contains(out, "a node that lost 1 % is caught within an hour with probability") {
		d.Errorf("%s", out)
	}
}
