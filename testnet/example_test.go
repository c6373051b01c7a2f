package testnet_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/testnet"
)

// network starts four nodes of this program, and a client that is connected to them.
func network() (t *testnet.Testnet, c *client.Connection, stop func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "walrus-example-*")
	check(err)
	o := testnet.Default()
	o.Dir, o.Nodes = filepath.Join(dir, "net"), 4
	t, err = testnet.Create(o, testnet.Command{Program: os.Args[0], Env: []string{"WALRUS_TEST_NODE=1"}})
	check(err)
	check(t.Up(ctx, slog.New(slog.DiscardHandler)))
	c, err = client.Connect(ctx, t.Network, client.ConnectOptions{Version: "example"})
	check(err)
	check(c.Ready(ctx))
	return t, c, func() {
		check(c.Close())
		check(t.Down(ctx))
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// file is a file with a text.
func file(text string) string {
	path := filepath.Join(os.TempDir(), "walrus-example.txt")
	check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// A file is stored for two epochs and read back. Store returns when the ledger holds a
// certificate: from then on the blob outlives a third of the shards on a write and two
// thirds (less one) on a read.
func Example_storeAndRead() {
	t, c, stop := network()
	defer stop()
	ctx := context.Background()

	source, err := client.NewFileSource(file("the walrus and the carpenter"))
	check(err)
	stored, err := c.Store(ctx, t.Wallet, source, client.StoreOptions{Epochs: 2})
	check(err)
	var text bytes.Buffer
	check(c.ReadBlob(ctx, stored.ID, &text))

	fmt.Println(stored.ID)
	fmt.Println(text.String())
	// Output:
	// bafyr4idu7lup3o3dztpxqamt2a7fopuvlu4cpdsexrnuyz6ygmd2volbeq
	// the walrus and the carpenter
}

// A range of a blob is read without the rest of it: each symbol under the range comes
// with a proof of its own.
func Example_readRange() {
	t, c, stop := network()
	defer stop()
	ctx := context.Background()
	source, err := client.NewFileSource(file("the walrus and the carpenter"))
	check(err)
	stored, err := c.Store(ctx, t.Wallet, source, client.StoreOptions{Epochs: 1})
	check(err)

	_, commitment, directory, err := c.Find(ctx, stored.ID)
	check(err)
	check(c.ReadRange(ctx, directory, commitment, 4, 6, os.Stdout))
	// Output: walrus
}

// A receipt shows offline, with the genesis alone, that a blob was certified and until
// which epoch it was paid.
func Example_verifyReceipt() {
	t, c, stop := network()
	defer stop()
	ctx := context.Background()
	source, err := client.NewFileSource(file("the walrus and the carpenter"))
	check(err)
	stored, err := c.Store(ctx, t.Wallet, source, client.StoreOptions{Epochs: 2})
	check(err)
	receipt, err := c.Remote.Receipt(ctx, stored.ID)
	check(err)
	toFile := receipt.Encode()

	again, err := light.DecodeBlobReceipt(toFile)
	check(err)
	shown, err := again.Verify(t.Network.Genesis, nil, time.Now())
	check(err)
	fmt.Println("certified:", shown.Entry.Certified())
	fmt.Println("by more than two thirds of the shards:", 3*shown.Shards > 2*t.Network.Genesis.Params.Shards)
	// Output:
	// certified: true
	// by more than two thirds of the shards: true
}

// Each view of the ledger is read with proofs. Here a round of challenges is watched until its beacon is drawn.
func Example_watchRound() {
	_, c, stop := network()
	defer stop()
	ctx := context.Background()
	for {
		view, err := c.Remote.View(ctx)
		check(err)
		round, known, err := view.Round()
		check(err)
		if known && round.Drawn {
			fmt.Println("a beacon was drawn:", round.Beacon != [32]byte{})
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	// Output: a beacon was drawn: true
}
