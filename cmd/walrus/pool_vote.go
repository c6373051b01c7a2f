package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// voteCommand is `walrus pool vote` with its flags.
type voteCommand struct {
	a       *app
	price   string
	write   string
	sets    []string
	version uint64
	clear   bool
	dry     bool
}

// ballot is a node's ballot, for people and scripts.
type ballot struct {
	Price   token.Amount      `json:"price"` // 0: no opinion; so with the others
	Write   token.Amount      `json:"write_price"`
	Version uint64            `json:"rules"`
	Changes map[string]uint64 `json:"parameters"`
}

type voteResult struct {
	Node   staking.NodeID `json:"node"`
	Ballot ballot         `json:"ballot"`
	Shards int            `json:"shards"` // with which it counts now
	Of     int            `json:"of_shards"`
	Fee    token.Amount   `json:"most_fee"`
	Before token.Amount   `json:"balance"`       // of the wallet
	After  token.Amount   `json:"balance_after"` // at least
	Sent   bool           `json:"sent"`
	Height unit.Height    `json:"height,omitempty"`
}

func (a *app) poolVote() *cobra.Command {
	v := &voteCommand{a: a}
	c := &cobra.Command{
		Use:   "vote NODE",
		Short: "Vote for your node on prices, parameters and rules",
		Long: `Changes the ballot of a node, which stands until it is changed again. The wallet must
be the node's governance key. What is not named stays as it was voted; --clear forgets
all of it first.

A price is the lowest that more than two thirds of all shards accept, and moves within
a bound at each epoch's start. A parameter or a version of the rules that more than two
thirds want at an epoch's end acts from the next epoch but one; it is then off the
ballots. walrus params lists what can be voted, walrus explain price how a price came
about.`,
		Example: `  walrus pool vote 12D3Koo… --price 1100FROST --write-price 400FROST
  walrus pool vote 12D3Koo… --set registry.max_epochs=60 \
    --set fees.base=0.0002WAL
  walrus pool vote 12D3Koo… --price 0FROST --set fees.base=      take these back
  walrus pool vote 12D3Koo… --clear`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := parseNode(args[0])
			if err != nil {
				return err
			}
			return v.run(c.Context(), ref)
		},
	}
	f := c.Flags()
	f.StringVar(&v.price, "price", "", "least price of a stored KiB and epoch that the node accepts, like 1100FROST; 0FROST: no opinion")
	f.StringVar(&v.write, "write-price", "", "least price of writing a stored KiB; 0FROST: no opinion")
	f.StringArrayVar(&v.sets, "set", nil, "a parameter to change, as name=value; name= takes it back")
	f.Uint64Var(&v.version, "version", 0, "version of the rules to change to; 0: no opinion")
	f.BoolVar(&v.clear, "clear", false, "forget what was voted before")
	f.BoolVar(&v.dry, "dry-run", false, "show the ballot and the fee, send nothing")
	return c
}

func (v *voteCommand) run(ctx context.Context, ref nodeRef) error {
	if !v.clear && !v.named("price") && !v.named("write-price") && !v.named("set") && !v.named("version") {
		return errUsage{errors.New("vote for what? say --price, --write-price, --set name=value or --version, or --clear to take the ballot away")}
	}
	return v.a.withWallet(ctx, func(s *session) error { return v.vote(ctx, s, ref) })
}

// vote shows the new ballot, and sends it unless the run is dry.
func (v *voteCommand) vote(ctx context.Context, s *session, ref nodeRef) error {
	record, err := s.find(ref)
	id := record.ID
	if err == nil && record.Governance != s.key.Address() {
		err = fmt.Errorf("node %s is voted for with the key of %s, the wallet is %s: name the other with --wallet: %w", id, record.Governance, s.key.Address(), ledger.ErrNotGovernance)
	}
	if err != nil {
		return err
	}
	stands, _, err := s.View.Ballot(id)
	if err != nil {
		return err
	}
	body, err := v.body(id, stands)
	if err != nil {
		return err
	}
	plan, _, err := s.preview(s.View, move{body: body})
	if err != nil {
		return fmt.Errorf("vote for node %s: %w", id, err)
	}
	out, err := s.voted(body, plan)
	if err != nil {
		return err
	}
	v.a.say("the fee is at most %s; the wallet has %s, and at least %s after it", plan.Fee, plan.Before, plan.After)
	if !v.dry {
		receipt, err := s.send(ctx, body)
		if err != nil {
			return fmt.Errorf("vote for node %s: %w", id, err)
		}
		out.Sent, out.Height = true, receipt.Height
	}
	return v.a.print(out, out.print)
}

func (v *voteCommand) named(flag string) bool { return v.a.flags.Changed(flag) }

// body is the present ballot with the changes of the flags.
func (v *voteCommand) body(id staking.NodeID, b ledger.Ballot) (ledger.Vote, error) {
	if v.clear {
		b = ledger.Ballot{}
	}
	out := ledger.Vote{Node: id, Price: b.Price, WritePrice: b.WritePrice, Version: b.Version, Changes: slices.Clone(b.Changes)}
	for _, f := range []struct {
		flag, text string
		to         *token.Amount
	}{{"price", v.price, &out.Price}, {"write-price", v.write, &out.WritePrice}} {
		if !v.named(f.flag) {
			continue
		}
		price, err := token.ParseAmount(f.text)
		if err != nil {
			return out, errUsage{fmt.Errorf("--%s: %w", f.flag, err)}
		}
		*f.to = price
	}
	if v.named("version") {
		out.Version = v.version
	}
	for _, set := range v.sets {
		c, back, err := parseChange(set)
		if err != nil {
			return out, err
		}
		out.Changes = slices.DeleteFunc(out.Changes, func(old ledger.ParamChange) bool { return old.Name == c.Name })
		if !back {
			out.Changes = append(out.Changes, c)
		}
	}
	slices.SortFunc(out.Changes, func(a, b ledger.ParamChange) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// parseChange reads name=value; name= takes a change back.
func parseChange(text string) (c ledger.ParamChange, back bool, err error) {
	name, value, is := strings.Cut(text, "=")
	all := ledger.Votables()
	i := slices.IndexFunc(all, func(p ledger.Votable) bool { return p.Name == name })
	if !is || i < 0 {
		return c, false, errUsage{fmt.Errorf("--set %q: write it as name=value with a name that walrus params lists", text)}
	}
	c.Name = name
	if value == "" {
		return c, true, nil
	}
	if all[i].Unit == ledger.UnitFROST {
		amount, err := token.ParseAmount(value)
		if err != nil {
			return c, false, errUsage{fmt.Errorf("--set %s: %w", name, err)}
		}
		c.Value = uint64(amount)
		return c, false, nil
	}
	if c.Value, err = parseCount("--set "+name, value, math.MaxUint64); err != nil {
		return c, false, fmt.Errorf("%w (%s)", err, all[i].Unit)
	}
	return c, false, nil
}

// voted counts the shards with which a ballot counts, before it is sent.
func (s *session) voted(body ledger.Vote, plan moveResult) (voteResult, error) {
	committee, err := s.View.Committee(s.Head.Epoch)
	if err != nil {
		return voteResult{}, err
	}
	out := voteResult{Node: body.Node, Fee: plan.Fee, Before: plan.Before, After: plan.After, Shards: len(committee.Duty(body.Node)), Of: len(committee.Holder),
		Ballot: ballot{Price: body.Price, Write: body.WritePrice, Version: body.Version, Changes: map[string]uint64{}}}
	for _, c := range body.Changes {
		out.Ballot.Changes[c.Name] = c.Value
	}
	return out, nil
}

func (v voteResult) print(w io.Writer) error {
	t := newTable(w)
	what := "would be voted"
	if v.Sent {
		what = fmt.Sprintf("voted, in block %d", v.Height)
	}
	t.row("node", v.Node)
	t.row("ballot", what)
	t.row("weight", fmt.Sprintf("%d of %d shards now", v.Shards, v.Of))
	b := v.Ballot
	if b.Price > 0 {
		t.row("price", fmt.Sprintf("%d FROST for a stored KiB and epoch", uint64(b.Price)))
	}
	if b.Write > 0 {
		t.row("write price", fmt.Sprintf("%d FROST for a stored KiB", uint64(b.Write)))
	}
	if b.Version > 0 {
		t.row("rules", b.Version)
	}
	for _, p := range ledger.Votables() {
		if value, ok := b.Changes[p.Name]; ok {
			t.row(p.Name, valueText(p, value))
		}
	}
	if b.Price == 0 && b.Write == 0 && b.Version == 0 && len(b.Changes) == 0 {
		t.row("", "no opinion on anything")
	}
	return t.flush()
}

// valueText is the value of a parameter, as --set takes it, with its unit.
func valueText(p ledger.Votable, value uint64) string {
	if p.Unit == ledger.UnitFROST {
		return token.Amount(value).String()
	}
	return fmt.Sprintf("%d %s", value, p.Unit)
}
