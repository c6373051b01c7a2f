package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// networkCopy is the network's file in a node's directory.
const networkCopy = "network.toml"

// initCommand is `walrus node init` with its flags.
type initCommand struct {
	a       *app
	dir     string
	genesis string // the genesis hash that the operator typed
	begin   string // the checkpoint that the operator typed
	file    node.File
}

type initResult struct {
	Dir     string         `json:"dir"`
	Node    staking.NodeID `json:"node"`
	Chain   token.ChainID  `json:"chain"`
	Genesis string         `json:"genesis_hash"`
}

func (a *app) nodeInit() *cobra.Command {
	w := &initCommand{a: a, file: node.DefaultFile()}
	c := &cobra.Command{
		Use:   "init --network FILE|ADDRESS",
		Short: "Make a node's directory: its keys, node.toml and network.toml",
		Long: `Makes the directory of a new node. The network is named by its network.toml, or
by the address of any node of it: then its genesis is fetched and its hash shown.
Compare the hash with one from a source you trust: the giver of the genesis
decides what network you are on. In a script say --genesis HASH.

From the address of a node it also learns the newest block and keeps it as the
checkpoint of network.toml. Where the network is older than its trust period,
the genesis cannot lead to that block: compare its hash too, or say
--checkpoint HEIGHT:HASH as walrus checkpoint shows it on another machine.

The next steps are walrus node run, walrus node doctor and walrus node register.`,
		Example: "  walrus node init --dir n1 --network /ip4/203.0.113.7/tcp/4001/p2p/12D3Koo…",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return w.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&w.dir, "dir", defaultNodeDir, "the node's directory")
	f.StringVar(&w.genesis, "genesis", "", "hash of the genesis that you expect: do not ask")
	f.StringVar(&w.begin, "checkpoint", "", "HEIGHT:HASH of a block that you trust: do not ask")
	f.StringSliceVar(&w.file.Listen, "listen", w.file.Listen, "where it listens, as multiaddrs")
	f.Lookup("listen").DefValue = "[" + strings.Join(w.file.Listen, ", ") + "]" // a help breaks lines at spaces
	f.StringVar(&w.file.LedgerListen, "ledger-listen", w.file.LedgerListen, "host:port where its ledger listens")
	f.StringVar(&w.file.Capacity, "capacity", w.file.Capacity, "most it keeps, like 500GB (default: what the disk takes)")
	f.BoolVar(&w.file.Reachable, "reachable", w.file.Reachable, "get through the router: UPnP, relays, hole punching; a node that peers reach relays for others")
	return c
}

func (w *initCommand) run(ctx context.Context) error {
	if _, err := os.Lstat(filepath.Join(w.dir, node.FileName)); err == nil {
		return fmt.Errorf("a node lies in %s already: choose another --dir", w.dir)
	}
	if _, err := w.file.Daemon(w.dir, nil, version()); err != nil {
		return errUsage{err}
	}
	if err := node.CheckDir(w.dir); err != nil {
		return errUsage{err}
	}
	network, err := w.network(ctx)
	if err != nil {
		return err
	}
	if err := w.fits(network); err != nil {
		return err
	}
	// An interrupted init has left no node.toml: its key is used.
	secret, err := node.EnsureSecret(w.dir)
	if err != nil {
		return err
	}
	if err := network.Save(filepath.Join(w.dir, networkCopy)); err != nil {
		return err
	}
	w.file.Network = networkCopy
	if err := w.file.Save(w.dir); err != nil { // the commit point
		return err
	}
	g := network.Genesis
	out := initResult{w.dir, staking.NodeID(secret.Key().Public()), g.ChainID(), g.Hash().String()}
	return w.a.print(out, func(io.Writer) error {
		_, err := fmt.Fprintf(w.a.out, "node %s of %s\n", out.Node, out.Chain)
		w.a.say("its key is its stake: keep a copy of %s\nnext: walrus node run --dir %s, walrus node doctor --dir %s, and walrus node register --dir %s", filepath.Join(w.dir, node.KeysDir), shellWord(w.dir), shellWord(w.dir), shellWord(w.dir))
		return err
	})
}

// fits refuses a directory without node.toml in which a node of another network has run.
func (w *initCommand) fits(n client.Network) error {
	if _, err := os.Stat(filepath.Join(w.dir, node.LedgerDir)); err != nil {
		return nil
	}
	old, err := client.LoadNetwork(filepath.Join(w.dir, networkCopy))
	if err == nil && old.Genesis.ChainID() == n.Genesis.ChainID() {
		return nil
	}
	return fmt.Errorf("a node has run in %s, not known to be of %s, and its %s is missing: put that file back, or choose another --dir", w.dir, n.Genesis.ChainID(), node.FileName)
}

// network is the named network, once its genesis is confirmed.
func (w *initCommand) network(ctx context.Context) (client.Network, error) {
	h, err := w.a.setting(setNetwork)
	if err != nil {
		return client.Network{}, err
	}
	if !strings.Contains(h.Value, "/p2p/") {
		n, err := w.a.network()
		if err != nil {
			return n, err
		}
		if hash := n.Genesis.Hash().String(); w.genesis != "" && w.genesis != hash {
			return n, fmt.Errorf("the genesis in %s is %s, you expect %s", h.Value, hash, w.genesis)
		}
		return n, nil
	}
	n, err := w.fetch(ctx, h.Value)
	if err != nil {
		return n, err
	}
	if err := w.confirm(ctx, n); err != nil {
		return n, err
	}
	return w.checkpoint(ctx, n)
}

// checkpoint is the network with its newest block as the checkpoint: verified from the
// genesis or from the block that the operator typed, else confirmed by the operator.
func (w *initCommand) checkpoint(ctx context.Context, n client.Network) (client.Network, error) {
	if w.begin != "" {
		c, err := light.ParseCheckpoint(w.begin)
		if err != nil {
			return n, errUsage{err}
		}
		n.Checkpoint = &c
	}
	conn, err := client.Connect(ctx, n, client.ConnectOptions{Version: version(), Log: w.a.log()})
	if err != nil {
		return n, err
	}
	defer conn.Close()
	_, err = look(ctx, conn)
	if err == nil {
		c, _, _ := conn.Remote.NewestKnown()
		n.Checkpoint = &c
		return n, nil
	}
	untrusted := errors.Is(err, light.ErrUntrusted) || errors.Is(err, light.ErrClock) || errors.Is(err, light.ErrAhead)
	switch {
	case ctx.Err() != nil || untrusted || w.begin != "":
		return n, err
	case !errors.Is(err, light.ErrExpired): // as where the chain has no block yet
		w.a.say("no checkpoint was written, the node will begin with the genesis: %v", err)
		return n, nil
	}
	c, at, err := conn.Remote.Claimed(ctx)
	if err != nil {
		return n, err
	}
	how := fmt.Sprintf("the genesis is older than headers are trusted, so it cannot prove block %d of %s, which a node calls the newest, hash %s", c.Height, at.UTC().Format(time.RFC3339), c.Hash)
	word, err := w.a.ask(ctx, how+"\nDo others of this network have that block? Ask for what their walrus checkpoint shows. Type yes: ")
	switch {
	case errors.Is(err, errNoTerminal):
		return n, fmt.Errorf("%s: compare it with what walrus checkpoint shows on a machine that you trust, then say --checkpoint %s", how, c)
	case err != nil:
		return n, err
	case word != "yes":
		return n, errors.New("nothing was written")
	}
	n.Checkpoint = &c
	return n, nil
}

// fetch asks the node at an address for the genesis of its network.
func (w *initCommand) fetch(ctx context.Context, address string) (client.Network, error) {
	if err := p2p.CheckBootstrap([]string{address}); err != nil {
		return client.Network{}, errUsage{err}
	}
	key, err := token.NewKey(rand.Reader)
	if err != nil {
		return client.Network{}, err
	}
	host, err := p2p.New(p2p.Config{Key: key.Ed25519(), Bootstrap: []string{address}, Log: w.a.log(), Hello: p2p.Hello{Version: version()}})
	if err != nil {
		return client.Network{}, err
	}
	var g ledger.Genesis
	for _, b := range host.Bootstrap() { // of a name any node does
		if g, err = light.FetchGenesis(ctx, host, b.ID); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err = errors.Join(err, host.Close()); err != nil {
		return client.Network{}, fmt.Errorf("fetch the genesis from %s: %w", address, err)
	}
	return client.Network{Genesis: g, Bootstrap: []string{address}}, nil
}

func (w *initCommand) confirm(ctx context.Context, n client.Network) error {
	hash := n.Genesis.Hash().String()
	if w.genesis != "" {
		if w.genesis != hash {
			return fmt.Errorf("the node's genesis is %s, you expect %s: it belongs to another network, or lies", hash, w.genesis)
		}
		return nil
	}
	prompt := fmt.Sprintf("chain    %s\nshards   %d\ngenesis  %s\nIs this hash what others of this network have? Type yes: ", n.Genesis.ChainID(), n.Genesis.Params.Shards, hash)
	word, err := w.a.ask(ctx, prompt)
	if errors.Is(err, errNoTerminal) {
		return fmt.Errorf("the genesis of %s is %s: compare it with one from a source you trust, then say --genesis %s", n.Genesis.ChainID(), hash, hash)
	}
	if err != nil {
		return err
	}
	if word != "yes" {
		return errors.New("nothing was written")
	}
	return nil
}
