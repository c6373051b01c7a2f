package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func (a *app) poolCommand() *cobra.Command {
	return a.group("pool", "Run the pool behind your node: bond, commission, keys, votes",
		a.poolCreate(), a.poolBond(), a.poolUnbond(), a.poolWithdraw(), a.poolCommission(), a.poolKeys(), a.poolUpdate(), a.poolVote(), a.poolJailStatus())
}

// poolAmount is a command about a node and an amount.
func (a *app) poolAmount(c *cobra.Command, m func(*session, ledger.NodeRecord, token.Amount) (move, error)) *cobra.Command {
	c.Args = cobra.ExactArgs(2)
	c.RunE = func(c *cobra.Command, args []string) error {
		amount, err := token.ParseAmount(args[1])
		if err != nil {
			return errUsage{err}
		}
		return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
			m, err := m(s, n, amount)
			if err != nil {
				return err
			}
			return a.move(c.Context(), s, m)
		})
	}
	return moving(c)
}

func (a *app) poolBond() *cobra.Command {
	b := bondCheck{}
	c := &cobra.Command{
		Use:   "bond NODE AMOUNT",
		Short: "Add to the operator's own stake",
		Long:  "Adds to the operator's own stake of a node. It earns and is at risk at once, before what is delegated; it counts for shards in the next committee that is chosen. On the node's own machine (--dir) it is measured first whether that proves in time, and peers are asked to dial it; elsewhere, this machine dials it. A node that is too slow or not reached is refused, unless --force says to go on.",
	}
	c.Flags().StringVar(&b.dir, "dir", defaultNodeDir, "the node's directory, if this is its machine")
	forcing(c.Flags(), &b.force)
	return a.poolAmount(c, func(s *session, n ledger.NodeRecord, amount token.Amount) (move, error) {
		b.named = c.Flags().Changed("dir")
		note, err := b.check(c.Context(), a, s, n)
		m := move{act: "bond", text: fmt.Sprintf("add %s to the bond of %s", amount, called(n)), node: &n.ID, amount: &amount, body: ledger.Bond{Node: n.ID, Amount: amount},
			acts: func(_ ledger.View, height unit.Height) (effect, error) {
				return effect{s.CountsFrom(height), "it is at risk and earns at once, and counts for shards from"}, nil
			}}
		if note != "" {
			m.notes = append(m.notes, note)
		}
		return m, err
	})
}

func (a *app) poolUnbond() *cobra.Command {
	return a.poolAmount(&cobra.Command{
		Use:   "unbond NODE AMOUNT",
		Short: "Ask for the operator's own stake back",
		Long:  "Asks for the operator's own stake of a node back. It stays at risk until it can be drawn, with walrus pool withdraw: some epochs later, and not while the node keeps shards for others, or has shards and too little bond without it.",
	}, func(s *session, n ledger.NodeRecord, amount token.Amount) (move, error) {
		pool, _, err := s.View.Pool(n.ID)
		m := move{act: "unbond", text: fmt.Sprintf("ask for %s of the bond of %s back", amount, called(n)), node: &n.ID, amount: &amount, body: ledger.Unbond{Node: n.ID, Amount: amount}}
		after := pool
		after.Bond -= min(pool.Bond, amount)
		if s.Params.Staking.Seated(pool) && !s.Params.Staking.Seated(after) {
			m.notes = append(m.notes, fmt.Sprintf("less than the least bond of %s stays: the node gets no shards in the next committee, and the bond comes free when it has handed over those it has", s.Params.Staking.MinBond))
		}
		if backed, err := (pool.Bond - min(pool.Bond, amount)).MulDiv(unit.Whole, uint64(s.Params.Staking.BondBps)); err == nil && backed < pool.Stake(s.Head.Epoch+1) {
			m.notes = append(m.notes, fmt.Sprintf("what stays backs %s of stake: what is delegated beyond that counts for no shards", backed))
		}
		m.acts = func(v ledger.View, _ unit.Height) (effect, error) {
			pool, _, err := v.Pool(n.ID)
			at := effect{what: "it is at risk until, and can be drawn (walrus pool withdraw) from"}
			for _, d := range pool.BondLeaving {
				at.epoch = max(at.epoch, d.Epoch)
			}
			return at, err
		}
		return m, err
	})
}

func (a *app) poolWithdraw() *cobra.Command {
	return moving(&cobra.Command{
		Use:   "withdraw NODE",
		Short: "Draw what the node has earned, and bond whose time has come, to its payout address",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
				if me := s.key.Address(); me != n.Operator && me != n.Payout {
					return fmt.Errorf("%s is operated by %s and pays out to %s, the wallet is %s: name one of these with --wallet: %w", called(n), n.Operator, n.Payout, me, ledger.ErrNotOperator)
				}
				m, err := s.withdraw(n)
				if err != nil {
					return err
				}
				return a.move(c.Context(), s, m)
			})
		},
	})
}

func (a *app) poolCommission() *cobra.Command {
	return moving(&cobra.Command{
		Use:   "commission NODE PERCENT",
		Short: "Announce what the operator keeps of the node's pay",
		Long:  "Announces what the operator keeps of the node's pay before the rest is shared. A lower commission acts from the next epoch on; a higher one some epochs later, so that delegators that do not agree can leave first. It takes the place of what was announced before.",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			bps, err := parsePercent(args[1])
			if err != nil {
				return err
			}
			return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
				pool, _, err := s.View.Pool(n.ID)
				if err != nil {
					return err
				}
				m := move{act: "commission", text: fmt.Sprintf("keep %s of the pay of %s", bps.Percent(), called(n)), node: &n.ID, body: ledger.SetCommission{Node: n.ID, Bps: bps},
					notes: []string{fmt.Sprintf("it is %s now", pool.CommissionBps.Percent())},
					acts: func(v ledger.View, _ unit.Height) (effect, error) {
						p, _, err := v.Pool(n.ID)
						at := effect{what: "it is kept of the pay from"}
						for _, c := range p.NextCommission {
							at.epoch = c.Epoch
						}
						return at, err
					}}
				return a.move(c.Context(), s, m)
			})
		},
	})
}

func (a *app) poolKeys() *cobra.Command {
	keys := map[string]*string{"operator": new(string), "governance": new(string), "payout": new(string)}
	c := &cobra.Command{
		Use:   "keys NODE",
		Short: "Hand the rights over a node to other addresses",
		Long: `Hands the rights over a node to other addresses. The operator moves the bond and
changes the node's record and its keys; the governance key votes for it; the payout
address gets what it earns. An operator that gives its rights away cannot take them
back.`,
		Example: "  walrus pool keys 12D3Koo… --payout wal1…",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(keys["operator"], "operator", "", "address that moves the bond and changes the node's record")
	c.Flags().StringVar(keys["governance"], "governance", "", "address that votes for the node")
	c.Flags().StringVar(keys["payout"], "payout", "", "address that is paid")
	c.RunE = func(c *cobra.Command, args []string) error {
		body := ledger.SetNodeKeys{}
		text := ""
		for _, k := range []struct {
			name string
			to   *token.Address
		}{{"operator", &body.Operator}, {"governance", &body.Governance}, {"payout", &body.Payout}} {
			if *keys[k.name] == "" {
				continue
			}
			var err error
			if *k.to, err = token.ParseAddress(*keys[k.name]); err != nil {
				return errUsage{fmt.Errorf("--%s: %w", k.name, err)}
			}
			text += fmt.Sprintf(" %s to %s,", k.name, *k.to)
		}
		if text == "" {
			return errUsage{fmt.Errorf("hand over what? say --operator, --governance or --payout with an address")}
		}
		return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
			body.Node = n.ID
			m := move{act: "keys", text: fmt.Sprintf("of %s set%s", called(n), text[:len(text)-1]), node: &n.ID, body: body}
			if body.Operator != (token.Address{}) && body.Operator != s.key.Address() {
				m.notes = append(m.notes, "this wallet will not be able to move the bond or take the node back")
			}
			return a.move(c.Context(), s, m)
		})
	}
	return moving(c)
}

func (a *app) poolUpdate() *cobra.Command {
	var name, url, about, capacity, comet string
	var addresses []string
	var force bool
	c := &cobra.Command{
		Use:     "update NODE",
		Short:   "Change what a node says of itself: name, addresses, capacity",
		Long:    "Changes what a node says of itself; what is not named stays. More capacity acts at once, less as shards leave. New addresses are dialed from this machine first, and refused if none answers, unless --force says to go on.",
		Example: "  walrus pool update 12D3Koo… --name mine --url https://example.org \\\n    --capacity 2TB",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "what people shall call it")
	f.StringVar(&url, "url", "", "where the operator can be read about")
	f.StringVar(&about, "about", "", "a line about it, in the operator's words")
	f.StringVar(&capacity, "capacity", "", "how much it will keep, like 500GB")
	f.StringSliceVar(&addresses, "address", nil, "where others reach it, as multiaddrs: all of them, they replace those of before")
	f.StringVar(&comet, "ledger-address", "", "host:port where others reach its ledger")
	forcing(f, &force)
	c.RunE = func(c *cobra.Command, args []string) error {
		named := func(flag string) bool { return f.Changed(flag) }
		if !slices.ContainsFunc([]string{"name", "url", "about", "capacity", "address", "ledger-address"}, named) {
			return errUsage{fmt.Errorf("change what? say --name, --url, --about, --capacity, --address or --ledger-address")}
		}
		var kib unit.KiB
		if named("capacity") {
			var err error
			if kib, err = parseCapacity(capacity); err != nil {
				return err
			}
		}
		return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
			b := ledger.UpdateNode{Node: n.ID, Addresses: n.Addresses, Comet: n.Comet, CapacityKiB: n.CapacityKiB, Name: n.Name, URL: n.URL, About: n.About}
			set(&b.Name, name, named("name"))
			set(&b.URL, url, named("url"))
			set(&b.About, about, named("about"))
			set(&b.Comet, comet, named("ledger-address"))
			set(&b.CapacityKiB, kib, named("capacity"))
			if named("address") {
				var err error
				if b.Addresses, err = withPeer(addresses, n.ID); err != nil {
					return err
				}
			}
			if named("address") || named("ledger-address") {
				if err := reachableFrom(s.Network.Bootstrap, b.Addresses, b.Comet); err != nil {
					return errUsage{err}
				}
			}
			if named("address") {
				if note, reached := s.dialed(c.Context(), n.ID, b.Addresses); !reached && !force {
					return fmt.Errorf("%s%s", note, forceReachHelp)
				}
			}
			return a.move(c.Context(), s, move{act: "update", text: "change the record of " + called(n), node: &n.ID, body: b, notes: changes(n, b)})
		})
	}
	return moving(c)
}

// changes lists the old and the new value of each field that an update changes.
func changes(n ledger.NodeRecord, b ledger.UpdateNode) (out []string) {
	was := func(what, old, new string) {
		if old != new {
			out = append(out, fmt.Sprintf("%s: %s, was %s", what, new, old))
		}
	}
	capacity := func(kib unit.KiB) string { return fmt.Sprintf("%s (%d KiB)", bytesText(kib.Bytes()), kib) }
	was("name", strconv.Quote(n.Name), strconv.Quote(b.Name))
	was("url", strconv.Quote(n.URL), strconv.Quote(b.URL))
	was("about", strconv.Quote(n.About), strconv.Quote(b.About))
	was("capacity", capacity(n.CapacityKiB), capacity(b.CapacityKiB))
	was("addresses", strconv.Quote(strings.Join(n.Addresses, " ")), strconv.Quote(strings.Join(b.Addresses, " ")))
	was("ledger address", strconv.Quote(n.Comet), strconv.Quote(b.Comet))
	if out == nil {
		out = []string{"it changes nothing: the record says all of that already"}
	}
	return out
}

func set[T any](to *T, value T, named bool) {
	if named {
		*to = value
	}
}
