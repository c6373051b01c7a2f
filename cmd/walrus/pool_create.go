package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// poolTerms are the terms of a pool that its operator sets, not the node's request.
type poolTerms struct{ bond, commission, governance, payout string }

func (t *poolTerms) flags(f *pflag.FlagSet) {
	f.StringVar(&t.bond, "bond", "", "your own stake, like 1000WAL (default: the least for which shards are given)")
	f.StringVar(&t.commission, "commission", "0", "percent of the node's pay that you keep before it is shared, like 5 or 2.75")
	f.StringVar(&t.governance, "governance", "", "address that votes for the node (default: the wallet)")
	f.StringVar(&t.payout, "payout", "", "address that gets what you earn (default: the wallet)")
}

// fill sets the terms in a registration. Bond 0 stands for the least bond, which only the
// ledger knows.
func (t *poolTerms) fill(b *ledger.RegisterNode) (err error) {
	if b.CommissionBps, err = parsePercent(t.commission); err != nil {
		return fmt.Errorf("--commission %w", err)
	}
	for _, f := range []struct {
		flag, text string
		to         *token.Address
	}{{"governance", t.governance, &b.Governance}, {"payout", t.payout, &b.Payout}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = token.ParseAddress(f.text); err != nil {
			return errUsage{fmt.Errorf("--%s: %w", f.flag, err)}
		}
	}
	if t.bond == "" {
		return nil
	}
	if b.Bond, err = token.ParseAmount(t.bond); err != nil {
		return errUsage{fmt.Errorf("--bond: %w", err)}
	}
	if b.Bond == 0 {
		return errUsage{errors.New("--bond 0WAL: a node without a bond gets no shards")}
	}
	return nil
}

// registeredNode is a node on the ledger, with its pool.
type registeredNode struct {
	moveResult
	Operator  token.Address `json:"operator"`
	Bond      token.Amount  `json:"bond"`
	Addresses []string      `json:"addresses"`
	Ledger    string        `json:"ledger_address"`
	Epoch     unit.Epoch    `json:"may_have_shards_from_epoch"`
}

func (a *app) poolCreate() *cobra.Command {
	w, terms, request := &nodeDescription{a: a}, &poolTerms{}, ""
	c := &cobra.Command{
		Use:   "create --request FILE | --dir DIR",
		Short: "Enter a node on the ledger with a bond from the wallet: you become its operator",
		Long: `Enters a node on the ledger. The wallet becomes its operator and pays the bond, which
can be asked back with walrus pool unbond. The node is named by a request that was made
on its machine with walrus node request (- reads it from standard input), or by its
directory if that is on this machine. Shards are given at the turn of an epoch, by stake
and capacity. A machine that proves too slowly for the network's rounds is refused, by what
was measured on it, and so is one that no peer reached, unless --force says to go on.`,
		Example: "  walrus pool create --request request.json --bond 1000WAL --commission 5",
		Args:    cobra.NoArgs,
	}
	w.flags(c.Flags())
	terms.flags(c.Flags())
	c.Flags().StringVar(&request, "request", "", "file that walrus node request wrote")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if (request == "") == !c.Flags().Changed("dir") {
			return errUsage{errors.New("which node? say --request with the file of its request, or --dir with its directory")}
		}
		if request == "" {
			return a.createFromDir(c.Context(), w, terms)
		}
		for _, flag := range described {
			if c.Flags().Changed(flag) {
				return errUsage{fmt.Errorf("--%s goes with --dir or walrus node request: what a request says is taken as it is; walrus pool update changes it later", flag)}
			}
		}
		return a.createFromFile(c.Context(), request, terms, w.force)
	}
	return moving(c)
}

func (a *app) nodeRegister() *cobra.Command {
	w, terms := &nodeDescription{a: a}, &poolTerms{}
	c := &cobra.Command{
		Use:   "register",
		Short: "Enter the node on the ledger, with a bond from a wallet on this machine",
		Long:  "Enters the node of a directory on the ledger. The wallet becomes its operator and pays the bond, which can be asked back with walrus pool unbond. Shards are given at the turn of an epoch, by stake and capacity. A machine that proves too slowly or that peers do not reach is refused, unless --force says to go on. It is walrus pool create --dir; keep the operator's wallet on another machine with walrus node request.",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.createFromDir(c.Context(), w, terms) },
	}
	w.flags(c.Flags())
	terms.flags(c.Flags())
	return moving(c)
}

// createFromDir registers the node of a directory.
func (a *app) createFromDir(ctx context.Context, w *nodeDescription, terms *poolTerms) error {
	if err := terms.fill(new(ledger.RegisterNode)); err != nil {
		return err // before a passphrase is asked for
	}
	key, err := a.key(ctx)
	if err != nil {
		return err
	}
	r, network, err := w.request(ctx, key.Address())
	if err != nil {
		return err
	}
	return a.create(ctx, network, key, r, terms, w.force)
}

// createFromFile registers the node of a request in a file.
func (a *app) createFromFile(ctx context.Context, file string, terms *poolTerms, force bool) error {
	in, err := a.input(ctx, file, "the request")
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := decodeRequest(in)
	if err != nil {
		return fmt.Errorf("%s: %w", nameText(file), err)
	}
	network, err := a.network()
	if err != nil {
		return err
	}
	if chain := network.Genesis.ChainID(); r.Chain != chain {
		return fmt.Errorf("the request is for %s, the network is %s: name the right one with --network", r.Chain, chain)
	}
	if err := reachableFrom(network.Bootstrap, r.Addresses, r.Ledger); err != nil {
		return err
	}
	key, err := a.key(ctx)
	if err != nil {
		return err
	}
	if r.Operator != key.Address() {
		return fmt.Errorf("the node asks for the operator %s, the wallet is %s: name the other with --wallet, or make the request again with --operator %s", r.Operator, key.Address(), key.Address())
	}
	return a.create(ctx, network, key, r, terms, force)
}

// create registers a node by its request.
func (a *app) create(ctx context.Context, network client.Network, key token.Key, r nodeRequest, terms *poolTerms, force bool) error {
	body, err := r.body()
	if err == nil {
		err = terms.fill(&body)
	}
	if err != nil {
		return err
	}
	return a.withSessionOn(ctx, network, func(s *session) error {
		s.key = key
		return a.enter(ctx, s, r, body, force)
	})
}

// enter shows the registration of a node, and sends it unless the run is dry.
func (a *app) enter(ctx context.Context, s *session, r nodeRequest, body ledger.RegisterNode, force bool) error {
	nodes, err := s.seats()
	if err != nil {
		return err
	}
	note, err := enough(r.Opening, s.Params, nodes, force)
	if err != nil {
		return err
	}
	reach, err := reachEnough(r.Reached, force)
	if err != nil {
		return err
	}
	if body.Bond == 0 {
		body.Bond = s.Params.Staking.MinBond
	}
	m := move{act: "create", text: fmt.Sprintf("register %s with a bond of %s and a commission of %s", called(ledger.NodeRecord{ID: r.Node, Name: r.Name}), body.Bond, body.CommissionBps.Percent()),
		node: &r.Node, amount: &body.Bond, body: body}
	m.notes = append(m.notes, fmt.Sprintf("%s of the bond are set aside for good: they stand for dead shares, which have no owner", s.Params.Staking.MinDelegation),
		fmt.Sprintf("others reach it at %v, its ledger at %s; it declares %s", body.Addresses, cmp.Or(body.Comet, "no address (it dials the others)"), bytesText(body.CapacityKiB.Bytes())), reach)
	if note != "" {
		m.notes = append(m.notes, note)
	}
	m.acts = func(_ ledger.View, height unit.Height) (effect, error) {
		return effect{s.CountsFrom(height), "if it runs then and its stake suffices, it can have shards from"}, nil
	}
	done, err := a.do(ctx, s, m)
	if err != nil {
		return err
	}
	out := registeredNode{done, s.key.Address(), body.Bond, body.Addresses, body.Comet, *done.Acts}
	return a.print(out, func(w io.Writer) error { return out.print(w) })
}
