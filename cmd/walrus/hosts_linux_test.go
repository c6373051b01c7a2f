package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// hosts is machines of a test: network namespaces on one switch, at addresses that count as
// public.
type hosts struct {
	t       *testing.T
	ctx     context.Context
	prefix  string
	program string
}

// newHosts needs root, iproute2 and nftables.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("makes network namespaces with %s, which is not here", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("makes network namespaces, which needs root")
	}
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*commandLimit)
	t.Cleanup(cancel)
	h := &hosts{t: t, ctx: ctx, prefix: fmt.Sprintf(hostPrefix, os.Getpid()), program: program.Program}
	sweepHosts(t)
	h.add("net")
	h.ip("-n", h.name("net"), "link", "add", "name", "sw", "type", "bridge")
	h.ip("-n", h.name("net"), "link", "set", "sw", "up")
	return h
}

// hostPrefix begins the name of a namespace; the number is the test's process.
const hostPrefix = "walrus-test-%d-"

// sweepHosts removes what tests that were killed have left: namespaces, and the nodes in them.
func sweepHosts(t *testing.T) {
	t.Helper()
	list, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		var test int
		if n, _ := fmt.Sscanf(name, hostPrefix, &test); n != 1 || syscall.Kill(test, 0) == nil {
			continue
		}
		pids, _ := exec.Command("ip", "netns", "pids", name).Output()
		for text := range strings.FieldsSeq(string(pids)) {
			if pid, err := strconv.Atoi(text); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Logf("%s of a test that was killed stays: %v: %s", name, err, out)
		}
	}
}

// A test that was killed leaves namespaces; the next one removes them.
func TestHostsOfKilledTestsAreRemoved(t *testing.T) {
	testlevel.Whole(t, "makes network namespaces")
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	left := &hosts{t: t, ctx: t.Context(), prefix: fmt.Sprintf(hostPrefix, ended.Process.Pid)}
	newHosts(t) // skips where there are none
	left.add("left")
	node := exec.Command("ip", "netns", "exec", left.name("left"), "sleep", "600")
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	for runs := false; !runs && left.ctx.Err() == nil; time.Sleep(10 * time.Millisecond) { // until it is there
		out, _ := exec.Command("ip", "netns", "pids", left.name("left")).Output()
		runs = len(out) > 0
	}
	sweepHosts(t)
	if err := node.Wait(); err == nil {
		t.Error("what ran there still ran")
	}
	if out, _ := exec.Command("ip", "netns", "list").Output(); strings.Contains(string(out), left.name("left")) {
		t.Error("its namespace is still there")
	}
}

func (h *hosts) name(host string) string { return h.prefix + host }

// ip runs the program ip.
func (h *hosts) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.CommandContext(h.ctx, "ip", args...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (h *hosts) add(host string) {
	h.t.Helper()
	h.ip("netns", "add", h.name(host))
	h.t.Cleanup(func() { exec.Command("ip", "netns", "del", h.name(host)).Run() })
	h.ip("-n", h.name(host), "link", "set", "lo", "up")
}

// public adds a host with addresses on the switch.
func (h *hosts) public(host string, addresses ...string) {
	h.t.Helper()
	h.add(host)
	h.cable(host, "net", "v"+host)
	h.ip("-n", h.name("net"), "link", "set", "v"+host, "master", "sw")
	h.address(host, "e0", addresses...)
}

// cable is a link from e0 of a host to a port of another.
func (h *hosts) cable(host, other, port string) {
	h.t.Helper()
	h.ip("link", "add", port, "netns", h.name(other), "type", "veth", "peer", "name", "e0", "netns", h.name(host))
	h.ip("-n", h.name(other), "link", "set", port, "up")
	h.ip("-n", h.name(host), "link", "set", "e0", "up")
}

func (h *hosts) address(host, port string, addresses ...string) {
	h.t.Helper()
	for _, a := range addresses {
		args := []string{"-n", h.name(host), "addr", "add", a, "dev", port}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		}
		h.ip(args...)
	}
}

// behind adds a host behind a router that translates addresses and lets nothing in that was
// not asked for from inside.
func (h *hosts) behind(router, host string) {
	h.t.Helper()
	h.add(host)
	h.cable(host, router, "in0")
	h.address(router, "in0", "192.168.1.1/24")
	h.address(host, "e0", "192.168.1.2/24")
	h.ip("-n", h.name(host), "route", "add", "default", "via", "192.168.1.1")
	h.ip("netns", "exec", h.name(router), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	cmd := exec.CommandContext(h.ctx, "ip", "netns", "exec", h.name(router), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(`table ip nat {
	chain out { type nat hook postrouting priority 100; oifname "e0" masquerade random; }
}
table ip filter {
	chain through { type filter hook forward priority 0; policy drop; iifname "in0" accept; ct state established,related accept; }
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Skipf("the kernel has no nftables: %v: %s", err, out)
	}
}

// run runs a command of walrus on a host until it ends.
func (h *hosts) run(host string, args ...string) (out string, code int) {
	h.t.Helper()
	cmd := exec.CommandContext(h.ctx, "ip", append([]string{"netns", "exec", h.name(host), h.program}, args...)...)
	raw, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		h.t.Fatalf("walrus %s on %s: %v", strings.Join(args, " "), host, err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// ok is the output of a command that succeeds.
func (h *hosts) ok(host string, args ...string) string {
	h.t.Helper()
	out, code := h.run(host, args...)
	if code != exitOK {
		h.t.Fatalf("walrus %s on %s: exit %d: %s", strings.Join(args, " "), host, code, out)
	}
	return out
}

// start runs a node on a host until stop is called or the test ends.
func (h *hosts) start(host, dir string) (stop func()) {
	h.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", h.name(host), h.program, "node", "run", "--dir", dir)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(commandLimit):
			cmd.Process.Kill()
			<-ended
		}
	}
	h.t.Cleanup(stop)
	return stop
}

// status waits until the status of a node is as it should be.
func (h *hosts) status(dir, what string, is func(node.Status) bool) node.Status {
	h.t.Helper()
	for {
		s, err := node.AskStatus(h.ctx, dir)
		if err == nil && is(s) {
			return s
		}
		if h.ctx.Err() != nil {
			h.t.Fatalf("%s: not so: %+v, %v", what, s, err)
		}
		time.Sleep(100 * time.Millisecond) // until nodes have met; the context bounds it
	}
}

// found makes a network of the preset local with a public node on each of some hosts, whose
// addresses are 45.0.0.1 and so on, and returns its file and the nodes' directories.
func (h *hosts) found(count int) (file string, dirs []string) {
	h.t.Helper()
	root := h.t.TempDir()
	h.t.Setenv(envPrefix+"WALLET", filepath.Join(root, "wallet"))
	ok(h.t, "wallet", "new", "--no-passphrase")
	operator := okJSON[walletShown](h.t, "wallet", "show", "--offline").Address.String()
	file = filepath.Join(root, "network.toml")
	create := []string{"network", "create", "reef", "--preset", "local", "--account", operator + "=1000000WAL", "-o", file}
	for i := range count {
		dir, ip := filepath.Join(root, fmt.Sprint("n", i)), fmt.Sprintf("45.0.0.%d", i+1)
		h.public(fmt.Sprint("n", i), ip+"/24")
		ok(h.t, "network", "request", "reef", "--dir", dir, "--operator", operator, "--capacity", "10GB", "-o", dir+".json", "--address", "/ip4/"+ip+"/tcp/4001")
		create, dirs = append(create, dir+".json"), append(dirs, dir)
	}
	made := okJSON[networkShown](h.t, create...)
	for i, dir := range dirs {
		ok(h.t, "network", "join", file, "--dir", dir, "--genesis", made.Genesis)
		h.start(fmt.Sprint("n", i), dir)
	}
	h.t.Setenv(envPrefix+"NETWORK", file)
	return file, dirs
}

// firewall replaces what a host drops of what comes in.
func (h *hosts) firewall(host string, drop ...string) {
	h.t.Helper()
	rules := "table ip cut\nflush table ip cut\ntable ip cut {\n\tchain in { type filter hook input priority 0;\n"
	for _, from := range drop {
		rules += "\t\tip saddr " + from + " drop;\n"
	}
	cmd := exec.CommandContext(h.ctx, "ip", "netns", "exec", h.name(host), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules + "\t}\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Skipf("the kernel has no nftables: %v: %s", err, out)
	}
}
