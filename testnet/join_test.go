package testnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
)

// layJoiner makes the directory of a node that the genesis does not name, and that
// knows one bootstrap address only.
func (r *running) layJoiner(ctx context.Context, i int) ledger.RegisterNode {
	r.t.Helper()
	ports, err := port.Testnets.Free(2)
	if err != nil {
		r.t.Fatal(err)
	}
	g := r.Network.Genesis
	record, err := r.layNode(Options{}, i, g.Name, ports[0], ports[1])
	if err != nil {
		r.t.Fatal(err)
	}
	network := r.Network
	network.Bootstrap = network.Bootstrap[:1]
	file, err := node.LoadFile(r.NodeDir(i))
	if err != nil {
		r.t.Fatal(err)
	}
	file.Network = filepath.Join(r.NodeDir(i), networkName)
	if err := errors.Join(network.Save(file.Network), file.Save(r.NodeDir(i))); err != nil {
		r.t.Fatal(err)
	}
	secret, err := node.LoadSecret(r.NodeDir(i))
	if err != nil {
		r.t.Fatal(err)
	}
	r.Nodes++
	return ledger.RegisterNode{Addresses: record.Addresses, Comet: record.Comet, CapacityKiB: record.CapacityKiB, Name: "joiner", Bond: record.Bond}.
		Prove(g.ChainID(), g.Name, r.Wallet.Address(), secret.Key(), secret.BLSKey())
}

// A fresh node with one bootstrap address catches up with a chain that is epochs
// old, registers, is given shards at an epoch's turn, fetches their fragments, and
// the old holders let go only when the ledger knows it. A node that has moved to
// another port is found again meanwhile.
func TestAFreshNodeJoinsAndTakesShardsOver(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	o := Default()
	o.Nodes, o.Block, o.Epoch = 4, 200*time.Millisecond, 8*time.Second
	r := startNet(ctx, t, o)
	content := make([]byte, 300_000)
	rand.Read(content)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := client.NewFileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := r.c.Store(ctx, r.Wallet, source, client.StoreOptions{Epochs: 30})
	if err != nil {
		t.Fatal(err)
	}
	registration := r.layJoiner(ctx, 4)
	r.start(4)
	r.caughtUp(ctx, 4)
	if _, err := r.c.Send(ctx, r.Wallet, registration); err != nil {
		t.Fatal(err)
	}
	r.until(ctx, "the joiner is given shards", func() error {
		s, err := r.Status(ctx, 4)
		if err == nil && len(s.Shards) == 0 {
			err = fmt.Errorf("no shard in epoch %d", s.Epoch)
		}
		return err
	})
	r.until(ctx, "its shards are ready", func() error {
		s, err := r.Status(ctx, 4)
		if err == nil && (len(s.Moving) > 0 || len(s.Shards) == 0 || s.Possession.Fragments == 0) {
			err = fmt.Errorf("shards %v, moving %v, %d fragments", s.Shards, s.Moving, s.Possession.Fragments)
		}
		return err
	})
	joined, err := r.Status(ctx, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range o.Nodes {
		s, err := r.Status(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(s.Shards, func(b blob.Shard) bool { return slices.Contains(joined.Shards, b) }) && s.Epoch == joined.Epoch {
			t.Errorf("node %d holds %v in epoch %d, the joiner %v", i, s.Shards, s.Epoch, joined.Shards)
		}
	}
	// It is a validator now: the ledger needs it where one of the four is away.
	r.kill(ctx, 0)
	if err := r.pay(ctx, 1); err != nil {
		t.Errorf("with the joiner for one of the four: %v", err)
	}
	r.start(0)
	r.caughtUp(ctx, 0)
	var out bytes.Buffer
	if err := r.c.ReadBlob(ctx, stored.ID, &out); err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Errorf("the blob came back as %d bytes of %d: %v", out.Len(), len(content), err)
	}
	if inv, err := r.Check(ctx, r.c); err != nil {
		t.Errorf("%+v: %v", inv, err)
	}
}
