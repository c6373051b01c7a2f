package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

func TestANodeEndsCleanlyOnASignal(t *testing.T) {
	home(t)
	made := laidNet(t)
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
		defer cancel()
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, program.Program, "node", "run", "--dir", made.NodeDir(0))
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(made.NodeDir(0), node.SocketName)); err == nil {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %s: %v\n%s", signal, err, &said)
		}
		os.Remove(filepath.Join(made.NodeDir(0), node.SocketName))
	}
}
