package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/node"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// All seven nodes of a network lie on one disk, which fills up while they run. They stop in
// order, stay there, and make blocks again by themselves when there is room.
func TestAFullDiskStopsNodesInOrderAndRoomLetsThemGoOn(t *testing.T) {
	testlevel.Middle(t, "starts a network of nodes")
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system to fill")
	}
	ctx := soon(t)
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=1200m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	o := small(filepath.Join(disk, "net"))
	o.Nodes, o.Shards = 7, 7
	net, err := Create(o, testProgram())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Down(context.Background()) })
	if err := net.Up(ctx, quiet()); err != nil {
		t.Fatal(err)
	}
	before, err := net.Status(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	if err := fill(filler); err != nil {
		t.Fatal(err)
	}
	r := &running{Testnet: net, t: t}
	for i := range net.Nodes {
		r.until(ctx, fmt.Sprintf("node %d says that it waits for room", i), func() error {
			_, err := net.Status(ctx, i)
			if errors.Is(err, node.ErrWaiting) && strings.Contains(err.Error(), "make room") {
				return nil
			}
			answers(t, net, i, err)
			return fmt.Errorf("it says %v", err)
		})
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for i := range net.Nodes {
		r.until(ctx, fmt.Sprintf("node %d has new blocks", i), func() error {
			s, err := net.Status(ctx, i)
			if err == nil && s.Height <= before.Height+2 {
				err = fmt.Errorf("block %d", s.Height)
			}
			answers(t, net, i, err)
			return err
		})
	}
}

// answers ends the test where node i, which gave err when it was asked how it is, has ended
// or has no socket: it answers while it works, closes, waits and opens.
func answers(t *testing.T, net *Testnet, i int, err error) {
	t.Helper()
	if err != nil && !net.Running(i) {
		t.Fatalf("node %d has ended: %s", i, net.LastLine(i))
	}
	if errors.Is(err, node.ErrSilent) && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "within") {
		t.Fatalf("node %d has no socket: %v", i, err)
	}
}

// fill writes a file until its file system is full: it is a small one of the test's own.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	piece := make([]byte, 1<<20)
	const most = 1 << 11 // pieces, if the disk should not be the test's
	for range most {
		if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return errors.New("the disk is larger than it should be")
}
