package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// registering is one `walrus node register`.
type registering struct {
	a          *app
	dir        string
	name       string
	addresses  []string
	ledger     string
	capacity   string
	bond       string
	commission float64 // percent
}

type registeredNode struct {
	Node      staking.NodeID `json:"node"`
	Operator  token.Address  `json:"operator"`
	Bond      token.Amount   `json:"bond"`
	Addresses []string       `json:"addresses"`
	Ledger    string         `json:"ledger_address"`
	Height    uint64         `json:"height"`
	Epoch     uint64         `json:"may_have_shards_from_epoch"`
}

func (a *app) nodeRegister() *cobra.Command {
	w := &registering{a: a}
	c := &cobra.Command{
		Use:   "register",
		Short: "Enter the node on the ledger, with a bond from the wallet",
		Long:  "Enters the node of a directory on the ledger. The wallet becomes its operator and pays the bond, which can be asked back with walrus stake unbond. Shards are given at the turn of an epoch, by stake and capacity.",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return w.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&w.dir, "dir", defaultNodeDir, "the node's directory")
	f.StringVar(&w.name, "name", "", "what people shall call it")
	f.StringSliceVar(&w.addresses, "address", nil, "where others reach it, as multiaddrs (default: where it listens, or, if it runs, what it found out)")
	f.StringVar(&w.ledger, "ledger-address", "", "host:port where others reach its ledger (default: the node's first address)")
	f.StringVar(&w.capacity, "capacity", "", "how much it will keep, like 500GB (default: node.toml)")
	f.StringVar(&w.bond, "bond", "", "your own stake, like 1000WAL (default: the least for which shards are given)")
	f.Float64Var(&w.commission, "commission", 0, "percent of what its delegators earn that you keep")
	return c
}

func (w *registering) run(ctx context.Context) error {
	file, err := node.LoadFile(w.dir)
	if err != nil {
		return err
	}
	secret, err := node.LoadSecret(w.dir)
	if err != nil {
		return err
	}
	network, err := loadNodeNetwork(w.dir, file)
	if err != nil {
		return err
	}
	id := staking.NodeID(secret.Key().Public())
	body := ledger.RegisterNode{Name: w.name, CommissionBps: uint64(w.commission*100 + 0.5)}
	if w.commission < 0 || w.commission > 100 {
		return errUsage{fmt.Errorf("--commission %v: 0 to 100 percent", w.commission)}
	}
	if body.CapacityKiB, err = w.capacityKiB(file); err != nil {
		return err
	}
	if body.Addresses, err = w.reachedAt(ctx, file, id); err != nil {
		return err
	}
	if body.Comet, err = w.ledgerAt(file, body.Addresses); err != nil {
		return err
	}
	key, err := w.a.key(ctx)
	if err != nil {
		return err
	}
	s, err := w.a.openOn(ctx, network)
	if err != nil {
		return err
	}
	defer s.Close()
	s.key = key
	if body.Bond = s.params.Staking.MinBond; w.bond != "" {
		if body.Bond, err = token.ParseAmount(w.bond); err != nil {
			return errUsage{err}
		}
	}
	body = body.Prove(network.Genesis.ChainID(), network.Genesis.Name, key.Address(), secret.Key(), secret.BLSKey())
	receipt, err := s.send(ctx, body)
	if err != nil {
		return fmt.Errorf("register node %s: %w", id, err)
	}
	// The next committee is chosen at mid-epoch.
	epoch := s.head.Epoch + 1
	if receipt.Height >= s.head.Middle() {
		epoch++
	}
	out := registeredNode{id, key.Address(), body.Bond, body.Addresses, body.Comet, receipt.Height, epoch}
	return w.a.print(out, func(o io.Writer) error {
		_, err := fmt.Fprintf(o, "registered node %s with a bond of %s, in block %d\n", id, body.Bond, receipt.Height)
		w.a.say("it can have shards from epoch %d on (about %s), if it runs then and its stake suffices", epoch, timeText(s.begins(epoch)))
		return err
	})
}

func (w *registering) capacityKiB(file node.File) (uint64, error) {
	text := w.capacity
	if text == "" {
		text = file.Capacity
	}
	if text == "" {
		return 0, errUsage{errors.New("how much will the node keep? say --capacity 500GB, or write capacity into node.toml")}
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1024 {
		return 0, errUsage{fmt.Errorf("capacity %q: write it as 500GB or 2TiB", text)}
	}
	return n / 1024, nil
}

// reachedAt is where others reach the node.
func (w *registering) reachedAt(ctx context.Context, file node.File, id staking.NodeID) ([]string, error) {
	if len(w.addresses) > 0 {
		return withPeer(w.addresses, id)
	}
	from := file.Listen
	if s, err := node.AskStatus(ctx, w.dir); err == nil {
		from = s.Addrs
	}
	if from = p2p.Dialable(from); len(from) == 0 {
		return nil, errUsage{errors.New("where do others reach the node? say --address /ip4/203.0.113.7/tcp/4001, or run the node first: then it tells")}
	}
	return withPeer(from, id)
}

func withPeer(addresses []string, id staking.NodeID) ([]string, error) {
	var out []string
	for _, a := range addresses {
		named, err := p2p.WithPeer(a, id.String())
		if err != nil {
			return nil, errUsage{err}
		}
		out = append(out, named)
	}
	return out, nil
}

// ledgerAt is where others reach the node's ledger: what node.toml says, on the
// node's first address if that only says everywhere.
func (w *registering) ledgerAt(file node.File, addresses []string) (string, error) {
	if w.ledger != "" {
		return w.ledger, nil
	}
	if file.LedgerAddress != "" {
		return file.LedgerAddress, nil
	}
	host, port, err := net.SplitHostPort(file.LedgerListen)
	if err != nil {
		return "", fmt.Errorf("ledger_listen = %q in node.toml: %w", file.LedgerListen, err)
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return file.LedgerListen, nil
	}
	for _, a := range addresses {
		if ip, ok := p2p.IPOf(a); ok {
			return net.JoinHostPort(ip, port), nil
		}
	}
	return "", errUsage{errors.New("where do others reach the node's ledger? say --ledger-address 203.0.113.7:4002")}
}
