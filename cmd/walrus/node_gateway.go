package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/node"
)

// besideNode runs a node with a gateway that only reads in the same process. The gateway is a
// client like all others: it believes the node no more than the ledger proves.
func (a *app) besideNode(ctx context.Context, dir, address string, run func(context.Context) error) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return errUsage{fmt.Errorf("--gateway %s: name a host and a port, as 127.0.0.1:31415", address)}
	}
	file, err := node.LoadFile(dir)
	if err != nil {
		return err
	}
	network, err := file.LoadNetwork(dir)
	if err != nil {
		return err
	}
	c, err := client.Connect(ctx, network, client.ConnectOptions{Version: version(), Log: a.log()})
	if err != nil {
		return err
	}
	f := gatewayFlags{readOnly: true}
	f.addReading(pflag.NewFlagSet("", pflag.ContinueOnError)) // the flags' defaults
	f.dir, f.listen = filepath.Join(dir, "gateway"), address
	f.epochs = 1
	log := a.serviceLog()
	g, err := a.openGateway(f, &session{Connection: c, verified: true}, log)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- g.serve(ctx, func(up gatewayUp) error { log.Info("gateway", "http", up.HTTP); return nil })
		cancel() // an address that cannot be used ends the node too: the operator asked for it
	}()
	err = run(ctx)
	cancel()
	return errors.Join(err, <-served, g.close(), c.Close())
}
