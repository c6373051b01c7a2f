package testnet

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet/adversary"
)

// nodeVariable makes the test binary a node: the tests start real processes, and
// this is the only program there is.
const nodeVariable = "WALRUS_TEST_NODE"

func TestMain(m *testing.M) {
	run := runNode
	switch {
	case os.Getenv(strangersVariable) != "":
		run = runStrangers
	case os.Getenv(nodeVariable) == "":
		testlevel.Beside(3)
		if testing.Short() { // an example starts a network, and cannot skip itself
			if err := flag.Set("test.skip", "^Example_"); err != nil {
				panic(err)
			}
		}
		os.Exit(m.Run())
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// runNode is `node run --dir DIR [--until-stdin-closes]`, or that of an adversary.
func runNode(args []string) error {
	var conduct node.Conduct
	switch {
	case len(args) >= 4 && args[0] == "node" && args[1] == "run" && args[2] == "--dir":
	case len(args) >= 6 && args[0] == "testnet" && args[1] == "node" && args[2] == "--dir" && args[4] == "--adversary":
		a, err := adversary.Parse(args[5])
		if err != nil {
			return err
		}
		conduct = a.Conduct()
		args = append(args[:4], args[6:]...)
	default:
		return fmt.Errorf("unknown words %q", args)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if len(args) > 4 {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	dir := args[3]
	file, err := node.LoadFile(dir)
	if err != nil {
		return err
	}
	network, err := file.LoadNetwork(dir)
	if err != nil {
		return err
	}
	config, err := file.Daemon(dir, network.Bootstrap, "test")
	if err != nil {
		return err
	}
	config.Conduct = conduct
	config.CountLoopback = os.Getenv(countLoopback) != ""
	comet.ForbidNames()
	return node.RunDaemon(ctx, config, network.Genesis, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// countLoopback makes nodes count loopback addresses as any others.
const countLoopback = "WALRUS_TEST_COUNT_LOOPBACK"

func testProgram() Command { return Command{Program: os.Args[0], Env: []string{nodeVariable + "=1"}} }
