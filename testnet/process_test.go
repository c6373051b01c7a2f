package testnet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// A process that was just started has no command line for a moment: it runs. One
// that ended and that nobody waited for has none either: it does not.
func TestAProcessRunsFromItsStartToItsEnd(t *testing.T) {
	net := &Testnet{Dir: t.TempDir()}
	program := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nread line; exit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		cmd := exec.Command(program, "--dir", net.NodeDir(0))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !net.isNode(cmd.Process.Pid, 0) {
			stat, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
			t.Fatalf("a process that was just started does not run: %s", stat)
		}
		in.Close()
		for net.isNode(cmd.Process.Pid, 0) { // a zombie from then on
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if net.isNode(cmd.Process.Pid, 0) {
			t.Fatal("a process that is gone runs")
		}
	}
}
