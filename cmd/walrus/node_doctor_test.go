package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// check is one of a diagnosis, by name.
func (d diagnosis) check(t *testing.T, name string) doctor.Check {
	t.Helper()
	for _, c := range d.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Errorf("no check %q in %+v", name, d.Checks)
	return doctor.Check{}
}

// examined runs doctor, whatever comes of it: what a disk of this machine has free is
// not the test's to say.
func examined(t *testing.T, code int, dir string) diagnosis {
	t.Helper()
	got := walrus(t, "node", "doctor", "--dir", dir, "--json")
	d := object[diagnosis](t, got.out)
	if code >= 0 && got.code != code || (got.code == exitOK) != (d.Fail == 0) || (d.Error == "") != (d.Fail == 0) || d.OK+d.Warn+d.Fail != len(d.Checks) {
		t.Errorf("exit %d, want %d: %s%s", got.code, code, got.out, got.err)
	}
	return d
}

// TestDoctorOnANodeThatRunsAndThatDoesNot is one story on one network: the doctor's
// verdicts, and then those of a bond.
func TestDoctorOnANodeThatRunsAndThatDoesNot(t *testing.T) {
	d := startTestnet(t)
	dir := filepath.Join(d.net, "nodes", "0")
	for _, running := range []bool{true, false} {
		if !running {
			ok(t, "testnet", "kill", "0", "--dir", d.net)
		}
		got := examined(t, -1, dir)
		if got.Running != running || got.Proof == nil || got.Proof.Shards == 0 || got.Disk == nil {
			t.Errorf("%+v", got)
		}
		for _, name := range []string{"keys", "last sign", "wallet apart", "network", "ledger", "registration", "versions", "clock", "proof time", "dial-back"} {
			if c := got.check(t, name); c.Health != doctor.Healthy {
				t.Errorf("running %v: %+v", running, c)
			}
		}
		if c := got.check(t, "dial-back"); !strings.Contains(c.Figure, "3 of 3 peers") && !strings.Contains(c.Figure, "2 of 2 peers") && !strings.Contains(c.Figure, "1 of 1 peers") {
			t.Errorf("%+v", c)
		}
		left, err := filepath.Glob(filepath.Join(dir, node.FragmentsDir, "doctor-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	}
	if out := walrus(t, "node", "doctor", "--dir", dir).out; !strings.Contains(out, "proof time") || !strings.Contains(out, "margin ") || strings.Contains(out, "%!") {
		t.Errorf("for people: %s", out)
	}
	other := object[diagnosis](t, walrus(t, "node", "doctor", "--dir", dir, "--address", "/ip4/127.0.0.1/tcp/1,/ip4/203.0.113.7/tcp/1", "--json").out)
	if c := other.check(t, "dial-back"); c.Health != doctor.Failing || !strings.Contains(c.Figure, "/tcp/1 answers none of") || !strings.Contains(c.Figure, "you come from 127.0.0.1") {
		t.Errorf("%+v", c)
	}
	ok(t, "testnet", "start", "0", "--dir", d.net)
	d.slowRequest()
	d.bonds(dir)
}

// slowRequest enters a node whose machine was measured to be too slow.
func (d *developer) slowRequest() {
	dir, file := filepath.Join(d.dir, "node"), filepath.Join(d.dir, "request.json")
	ok(d.T, "node", "init", "--dir", dir, "--listen", "/ip4/127.0.0.1/tcp/4391", "--ledger-listen", "127.0.0.1:4392", "--capacity", "1GB")
	me := okJSON[walletShown](d.T, "wallet", "show", "--offline").Address.String()
	if got := walrus(d.T, "node", "request", "--dir", dir, "--operator", me, "-o", file); got.code != exitOK || !strings.Contains(got.err, "in time: margin") {
		d.Fatalf("exit %d: %s", got.code, got.err)
	}
	if plan := okJSON[registeredNode](d.T, "pool", "create", "--request", file, "--dry-run"); !strings.Contains(strings.Join(plan.Notes, "\n"), "in time: margin") {
		d.Errorf("planned %+v", plan)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		d.Fatal(err)
	}
	for what, change := range map[string]func(*nodeRequest){
		"margin below 0.1x":  func(r *nodeRequest) { r.Opening.Prove = time.Minute },
		"nothing is known":   func(r *nodeRequest) { r.Opening = nil },
		"no times":           func(r *nodeRequest) { r.Opening.Verify = -1 },
		"no peer has dialed": func(r *nodeRequest) { r.Reached = nil },
		"do not reach":       func(r *nodeRequest) { r.Reached[0].Peers = 0 },
		"no count":           func(r *nodeRequest) { r.Reached[0].Peers = -1 },
	} {
		var r nodeRequest
		if err := json.Unmarshal(text, &r); err != nil {
			d.Fatal(err)
		}
		change(&r)
		other, err := json.Marshal(r)
		if err != nil {
			d.Fatal(err)
		}
		write(d.T, file, string(other))
		refused(d.T, exitFail, []string{what}, "pool", "create", "--request", file, "--dry-run")
		if what == "no times" || what == "no count" {
			continue
		}
		refused(d.T, exitFail, []string{"--force"}, "pool", "create", "--request", file, "--dry-run")
		if plan := okJSON[registeredNode](d.T, "pool", "create", "--request", file, "--dry-run", "--force"); !strings.Contains(strings.Join(plan.Notes, "\n"), "forced: ") {
			d.Errorf("planned %+v", plan)
		}
	}
}

// bonds adds to a bond on the node's machine, and elsewhere.
func (d *developer) bonds(dir string) {
	id := examined(d.T, -1, dir).Node.String()
	for words, args := range map[string][]string{"not the node's machine": nil, "in time: margin": {"--dir", dir}} {
		m := okJSON[moveResult](d.T, append([]string{"pool", "bond", id, "1WAL", "--dry-run"}, args...)...)
		if !strings.Contains(strings.Join(m.Notes, "\n"), words) {
			d.Errorf("%v: %+v", args, m)
		}
	}
	refused(d.T, exitUsage, []string{"another node"}, "pool", "bond", id, "1WAL", "--dry-run", "--dir", filepath.Join(d.dir, "node"))
	refused(d.T, exitUsage, []string{"walrus node init"}, "pool", "bond", id, "1WAL", "--dry-run", "--dir", d.dir)
}

// TestAMachineThatProvesTooSlowlyIsRefused is a network whose rounds leave no machine the time.
func TestAMachineThatProvesTooSlowlyIsRefused(t *testing.T) {
	testlevel.Middle(t, "starts a network of nodes")
	home(t)
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	o := testnet.Default()
	o.Dir, o.Nodes, o.Shards, o.Block = filepath.Join(t.TempDir(), "net"), 4, 64, 100*time.Millisecond
	o.Difference = func(p *ledger.Params) { p.Challenge.Deadline, p.Challenge.Pull, p.Challenge.ByBytes = 2, 1, 56 }
	made, err := testnet.Create(o, program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ok(t, "testnet", "down", "--dir", o.Dir) })
	d := &developer{t, t.TempDir(), o.Dir}
	d.use(ok(t, "testnet", "up", "--dir", o.Dir))
	dir := filepath.Join(d.dir, "node")
	ok(t, "node", "init", "--dir", dir, "--listen", "/ip4/127.0.0.1/tcp/4391", "--ledger-listen", "127.0.0.1:4392", "--capacity", "1GB")
	me := made.Wallet.Address().String()
	request := []string{"node", "request", "--dir", dir, "--operator", me}
	said := []string{"too slow", "margin ", "proving 21 shards took", "at least 2.0x", "walrus node doctor", "--force"}
	refused(t, exitFail, said, request...)
	ok(t, append(request, "--force")...)
	register := []string{"node", "register", "--dir", dir}
	refused(t, exitFail, said, register...)
	if plan := okJSON[registeredNode](t, append(register, "--force", "--dry-run")...); !strings.Contains(strings.Join(plan.Notes, "\n"), "forced: ") {
		t.Errorf("planned %+v", plan)
	}
	id := made.Network.Genesis.Nodes[0].ID.String()
	bond := []string{"pool", "bond", id, "1WAL", "--dry-run", "--dir", made.NodeDir(0)}
	refused(t, exitFail, said, bond...)
	ok(t, append(bond, "--force")...)
	if c := examined(t, exitFail, dir).check(t, "proof time"); c.Health != doctor.Failing || !strings.Contains(c.Advice, "faster disk") {
		t.Errorf("%+v", c)
	}
}

func TestDoctorSaysWhatIsWrongInADirectory(t *testing.T) {
	home(t)
	made := laidNet(t)
	dir := made.NodeDir(0)
	fails := func(dir, name, says string) {
		t.Helper()
		c := examined(t, exitFail, dir).check(t, name)
		if c.Health != doctor.Failing || !strings.Contains(c.Figure+c.Advice, says) {
			t.Errorf("%+v, want %q", c, says)
		}
	}
	key, config := filepath.Join(dir, node.KeysDir, "node.key"), filepath.Join(dir, node.FileName)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	// No node answers either, which takes a while: one examination serves both checks.
	got := examined(t, exitFail, dir)
	for name, says := range map[string]string{"keys": "chmod 600 " + key, "network": "0 of 3", "ledger": "bootstrap"} {
		if c := got.check(t, name); c.Health != doctor.Failing || !strings.Contains(c.Figure+c.Advice, says) {
			t.Errorf("%+v, want %q", c, says)
		}
	}
	if c := got.check(t, "dial-back"); c.Health != doctor.Doubtful || !strings.Contains(c.Figure, "no peer answers") {
		t.Errorf("%+v", c)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, "garbage")
	fails(dir, "keys", "not a node's key file")
	write(t, key, string(secret))
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, strings.Replace(string(text), "log_level", "log_levle", 1))
	fails(dir, "config", "log_levle")
	write(t, config, strings.Replace(string(text), "capacity = ''", "capacity = 'much'", 1))
	fails(dir, "config", "much")
	write(t, config, string(text))
	write(t, made.NetworkFile(), "garbage")
	fails(dir, "network", "network.toml")
	fails(t.TempDir(), "config", "walrus node init")
}
