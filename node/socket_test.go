package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTheOperatorIsToldHowTheNodeIs(t *testing.T) {
	n := startNetwork(t, 4, 4)
	ctx, cancel := context.WithCancel(within(t))
	stored := n.store(ctx, n.client(), random(10_000, 1))
	dir := t.TempDir()
	if _, err := AskStatus(ctx, dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no node runs there: %v", err)
	}
	done := make(chan error, 1)
	socket := newSocket(func() string { return opens })
	socket.answer(n.nodes[1].node.operatorHandler())
	go func() { done <- socket.serve(ctx, dir, quiet()) }()
	var s Status
	n.until(ctx, func() (ok bool) {
		var err error
		s, err = AskStatus(ctx, dir)
		return err == nil
	})
	want := n.ledger.AppHash().String()
	if s.AppHash != want || s.ID != n.nodes[1].node.ID() || s.Chain != n.ledger.ChainID() || len(s.Shards) != 1 {
		t.Errorf("status %+v, app hash %s", s, want)
	}
	if s.Possession.Bytes == 0 || s.Possession.Blobs != 1 || s.Recovery.BacklogBlobs != 0 {
		t.Errorf("holds %+v, lacks %+v after %s", s.Possession, s.Recovery, stored.ID)
	}
	if s.Memory.Used == 0 || s.Memory.Limit == 0 {
		t.Errorf("memory %+v", s.Memory)
	}
	if info, err := os.Stat(filepath.Join(dir, SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v: for its operator alone", info, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
