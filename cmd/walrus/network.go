package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// leastFounders is the least number of nodes of a network in which one may fail.
const leastFounders = 4

// preset is a choice of parameters with what it is for.
type preset struct {
	params func() ledger.Params
	what   string
}

var presets = map[string]preset{
	"local": {ledger.Testnet, "a trial: blocks of 0.5 s, rounds of 1 min, epochs of 10 min, 28 shards"},
	"small": {ledger.Small, "4 to 40 nodes of people that know each other: blocks of 1 s, rounds of 20 min, epochs of a day, 40 shards"},
	"main":  {ledger.Default, "a public network: blocks of 3 s, rounds of 1 h, epochs of two weeks, 100 shards"},
}

func presetNames() string { return strings.Join(slices.Sorted(maps.Keys(presets)), ", ") }

func presetHelp() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(presets)) {
		fmt.Fprintf(&out, "  %-6s %s\n", name, presets[name].what)
	}
	return out.String()
}

func (a *app) networkCommand() *cobra.Command {
	return a.group("network", "Start a network on several hosts: create, show, verify and join",
		a.networkRequest(), a.networkCreate(), a.networkShow(), a.networkVerify(), a.networkJoin())
}

// createCommand is one `walrus network create`.
type createCommand struct {
	a                           *app
	preset, grant, subsidy, out string
	shards                      int
	accounts, bootstrap         []string
	dry                         bool
}

func (a *app) networkCreate() *cobra.Command {
	w := &createCommand{a: a}
	c := &cobra.Command{
		Use:   "create NAME FOUNDER...",
		Short: "Make the genesis of a network out of its founders' entries",
		Long: `Makes network.toml, which holds the genesis, out of the entries that the founders made
with walrus network request. All that is in it is fixed for ever: who has money and stake,
and the parameters that no vote changes. Show it to all founders; each runs walrus network
join with it on the node's host, and then walrus node run. The network begins as soon as
nodes with more than two thirds of the shards run.

Presets:
` + presetHelp() + `
With --dry-run it shows all and writes nothing.`,
		Example: "  walrus network create reef n1.json n2.json n3.json n4.json --preset small \\\n    --account wal1…=1000000WAL -o network.toml",
		Args:    cobra.MinimumNArgs(2),
		RunE:    func(c *cobra.Command, args []string) error { return w.run(args[0], args[1:]) },
	}
	f := c.Flags()
	f.StringVar(&w.preset, "preset", "small", "parameters: "+presetNames())
	f.IntVar(&w.shards, "shards", 0, "shards, for ever (default: the preset's)")
	f.StringSliceVar(&w.accounts, "account", nil, "money at the start, as ADDRESS=AMOUNT; may be repeated")
	f.StringVar(&w.grant, "grant", "1000WAL", "money at the start of each founder's operator, to pay fees with")
	f.StringVar(&w.subsidy, "subsidy", "0WAL", "fund out of which epochs are paid in addition")
	f.StringSliceVar(&w.bootstrap, "bootstrap", nil, "addresses by which others find the network, as multiaddrs, or /dnsaddr/NAME (default: all founders')")
	f.StringVarP(&w.out, "out", "o", networkCopy, "file to write")
	f.BoolVar(&w.dry, "dry-run", false, "show the network; write nothing")
	return c
}

func (w *createCommand) run(name string, files []string) error {
	n, err := w.network(name, files)
	if err != nil {
		return err
	}
	out := newNetworkShown(n)
	if out.DryRun = w.dry; !w.dry {
		if err := n.Create(w.out); err != nil {
			return err
		}
		out.File = w.out
	}
	return w.a.print(out, out.print)
}

// network is the network of the flags and the founders' files.
func (w *createCommand) network(name string, files []string) (n client.Network, err error) {
	of, ok := presets[w.preset]
	if !ok {
		return n, errUsage{fmt.Errorf("--preset %q: there are %s", w.preset, presetNames())}
	}
	if len(files) < leastFounders {
		return n, errUsage{fmt.Errorf("%d founders: at least %d, or no node may fail", len(files), leastFounders)}
	}
	g := ledger.Genesis{Name: name, Time: time.Now().UnixMilli(), Params: of.params()}
	if w.shards != 0 {
		g.Params.Shards = w.shards
	}
	if len(files) > g.Params.Shards {
		return n, errUsage{fmt.Errorf("%d founders for %d shards: say --shards with as many at least", len(files), g.Params.Shards)}
	}
	grant, err1 := token.ParseAmount(w.grant)
	subsidy, err2 := token.ParseAmount(w.subsidy)
	if err := errors.Join(err1, err2); err != nil {
		return n, errUsage{err}
	}
	g.Subsidy = subsidy
	money := map[token.Address]token.Amount{}
	for _, file := range files {
		f, err := readFounder(file)
		if err != nil {
			return n, err
		}
		if f.Network != name {
			return n, fmt.Errorf("%s: made for a network of the name %q, not %q", file, f.Network, name)
		}
		entry, err := f.entry()
		if err != nil {
			return n, err
		}
		g.Nodes = append(g.Nodes, entry)
		n.Bootstrap = append(n.Bootstrap, entry.Addresses...)
		money[f.Operator] = grant
	}
	for _, x := range g.Nodes {
		if err := reachableFrom(n.Bootstrap, x.Addresses, x.Comet); err != nil {
			return n, fmt.Errorf("node %s: %w", x.ID, err)
		}
	}
	for _, text := range w.accounts {
		address, amount, err := parseGrant(text)
		if err != nil {
			return n, errUsage{fmt.Errorf("--account %s: %w", text, err)}
		}
		if money[address], err = money[address].Add(amount); err != nil {
			return n, errUsage{fmt.Errorf("--account %s: %w", text, err)}
		}
	}
	for _, address := range slices.SortedFunc(maps.Keys(money), func(a, b token.Address) int { return strings.Compare(a.String(), b.String()) }) {
		if money[address] > 0 {
			g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: address, Amount: money[address]})
		}
	}
	// The order of the files makes no other network.
	slices.SortFunc(g.Nodes, func(a, b ledger.GenesisNode) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	if len(w.bootstrap) > 0 {
		n.Bootstrap = w.bootstrap
	}
	n.Genesis = g
	return n, n.Validate()
}

func parseGrant(text string) (address token.Address, amount token.Amount, err error) {
	left, right, ok := strings.Cut(text, "=")
	if !ok {
		return address, 0, errors.New("write ADDRESS=AMOUNT, like wal1…=1000WAL")
	}
	if address, err = token.ParseAddress(left); err == nil {
		amount, err = token.ParseAmount(right)
	}
	return address, amount, err
}

// networkShown is what a network's file says.
type networkShown struct {
	Chain     token.ChainID  `json:"chain"`
	Genesis   string         `json:"genesis_hash"`
	Time      time.Time      `json:"time"`
	Nodes     []founderShown `json:"nodes"`
	Shards    int            `json:"shards"`
	Faults    int            `json:"f"` // shards that may fail or lie
	Block     float64        `json:"block_seconds"`
	Round     float64        `json:"round_seconds"`
	Epoch     float64        `json:"epoch_seconds"`
	Trust     float64        `json:"trust_seconds"` // how long a header is trusted
	Supply    token.Amount   `json:"supply"`
	Subsidy   token.Amount   `json:"subsidy"`
	Accounts  []moneyShown   `json:"accounts"`
	Bootstrap []string       `json:"bootstrap"`
	File      string         `json:"file,omitempty"`
	DryRun    bool           `json:"dry_run,omitempty"` // not written: the hash holds the time, and will be another one
}

type founderShown struct {
	Node     staking.NodeID `json:"node"`
	Name     string         `json:"name"`
	Operator token.Address  `json:"operator"`
	Bond     token.Amount   `json:"bond"`
	Capacity unit.KiB       `json:"capacity_kib"`
	Address  []string       `json:"addresses"`
	Ledger   string         `json:"ledger_address"`
}

type moneyShown struct {
	Address token.Address `json:"address"`
	Amount  token.Amount  `json:"amount"`
}

func newNetworkShown(n client.Network) networkShown {
	g, p := n.Genesis, n.Genesis.Params
	shape, _ := p.Shape()   // of a genesis that was checked
	supply, _ := g.Supply() // likewise
	block := float64(p.BlockMs) / 1000
	out := networkShown{Chain: g.ChainID(), Genesis: g.Hash().String(), Time: time.UnixMilli(g.Time).UTC(), Shards: shape.N, Faults: shape.F,
		Block: block, Round: block * float64(p.RoundBlocks), Epoch: block * float64(p.EpochBlocks()), Trust: light.TrustPeriod(p).Seconds(),
		Supply: supply, Subsidy: g.Subsidy, Nodes: []founderShown{}, Accounts: []moneyShown{}, Bootstrap: n.Bootstrap}
	for _, x := range g.Nodes {
		out.Nodes = append(out.Nodes, founderShown{x.ID, x.Name, x.Operator, x.Bond, x.CapacityKiB, x.Addresses, x.Comet})
	}
	for _, x := range g.Accounts {
		out.Accounts = append(out.Accounts, moneyShown{x.Address, x.Amount})
	}
	return out
}

// longText is a time of seconds to months.
func longText(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.String()
	}
	return fmt.Sprintf("%.3g days", d.Hours()/24)
}

func (s networkShown) print(w io.Writer) error {
	lasts := func(seconds float64) string { return longText(time.Duration(seconds * float64(time.Second))) }
	t := newTable(w)
	t.row("chain", s.Chain)
	t.row("genesis", s.Genesis)
	t.row("time", s.Time.Format(time.RFC3339))
	t.row("shards", fmt.Sprintf("%d, of which %d may fail or lie; fixed for ever", s.Shards, s.Faults))
	t.row("block", fmt.Sprintf("%s; fixed for ever", lasts(s.Block)))
	t.row("round", fmt.Sprintf("%s: as often nodes are asked for proofs", lasts(s.Round)))
	t.row("epoch", fmt.Sprintf("%s: as long one committee stands, and one price", lasts(s.Epoch)))
	t.row("trust", fmt.Sprintf("%s: a machine that looks less often needs a checkpoint", lasts(s.Trust)))
	t.row("supply", fmt.Sprintf("%s, %s of it to be paid out over the epochs", s.Supply, s.Subsidy))
	for _, m := range s.Accounts {
		t.row("account", fmt.Sprintf("%s has %s", m.Address, m.Amount))
	}
	for _, n := range s.Nodes {
		t.row("node", fmt.Sprintf("%s %s, bond %s, %s", n.Node, n.Name, n.Bond, bytesText(int64(n.Capacity)<<10)))
		t.row("", "operated by "+n.Operator.String())
		t.row("", "at "+strings.Join(n.Address, " ")+", ledger at "+n.Ledger)
	}
	if s.DryRun {
		t.row("rehearsal", "nothing was written; the hash will be another one, it holds the time")
	}
	if err := t.flush(); err != nil || s.File == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "written into %s: send it to all founders, and tell them the genesis hash another way\n", s.File)
	return err
}

func (a *app) networkShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show what a network.toml says: genesis, nodes, money, parameters",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := a.networkOf(args)
			if err != nil {
				return err
			}
			out := newNetworkShown(n)
			return a.print(out, out.print)
		},
	}
}

// networkOf is the network of the file that was named, or else of the settings.
func (a *app) networkOf(args []string) (client.Network, error) {
	if len(args) == 0 {
		return a.network()
	}
	return client.LoadNetwork(args[0])
}

// verifiedNetwork is what a founder's look at the finished network has shown.
type verifiedNetwork struct {
	Chain   token.ChainID  `json:"chain"`
	Genesis string         `json:"genesis_hash"`
	Node    staking.NodeID `json:"node"`
	Dir     string         `json:"dir"`
	Joined  bool           `json:"joined"`
}

// verify holds a network against the entry that the node in dir asked for.
func (a *app) verify(n client.Network, dir, genesis string) (out verifiedNetwork, err error) {
	out = verifiedNetwork{Chain: n.Genesis.ChainID(), Genesis: n.Genesis.Hash().String(), Dir: dir}
	if genesis != "" && genesis != out.Genesis {
		return out, fmt.Errorf("the genesis is %s, you expect %s: it is another network", out.Genesis, genesis)
	}
	own, err := a.ownEntry(dir)
	if err != nil {
		return out, err
	}
	out.Node = own.Node
	want, err := own.entry()
	if err != nil {
		return out, err
	}
	i := slices.IndexFunc(n.Genesis.Nodes, func(x ledger.GenesisNode) bool { return x.ID == own.Node })
	if i < 0 {
		return out, fmt.Errorf("node %s is not in the genesis of %s: its entry was left out, or lost on the way", own.Node, out.Chain)
	}
	if err := sameEntry(want, n.Genesis.Nodes[i]); err != nil {
		return out, fmt.Errorf("node %s is not in %s as it asked to be: %w: do not join, and ask the person who made the network", own.Node, out.Chain, err)
	}
	return out, nil
}

func (a *app) networkVerify() *cobra.Command {
	var dir, genesis string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check that a network has your node as you asked for it",
		Long: `Checks network.toml against the entry that the node in --dir asked for: its keys,
operator, bond and addresses. What others have is for you to judge: walrus network show.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := client.LoadNetwork(args[0])
			if err != nil {
				return err
			}
			out, err := a.verify(n, dir, genesis)
			if err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s has node %s as it asked to be\ngenesis %s\n", out.Chain, out.Node, out.Genesis)
				return err
			})
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	c.Flags().StringVar(&genesis, "genesis", "", "hash of the genesis that you expect")
	return c
}

func (a *app) networkJoin() *cobra.Command {
	var dir, genesis string
	c := &cobra.Command{
		Use:   "join FILE",
		Short: "Let a founder's node join the network that was made with its entry",
		Long: `Checks network.toml as walrus network verify does, shows the hash of the genesis, and
writes the file into the node's directory. Compare the hash with what the other founders
have before you type yes; in a script say --genesis HASH. The next step is walrus node run.

A network that runs already is joined with walrus node init.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := a.join(c.Context(), args[0], dir, genesis)
			if err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "node %s of %s\n", out.Node, out.Chain)
				a.say("next: walrus node run --dir %s", shellWord(dir))
				return err
			})
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	c.Flags().StringVar(&genesis, "genesis", "", "hash of the genesis that you expect: do not ask")
	return c
}

// chainOr is the chain of a network's file, or why it cannot be read.
func chainOr(n client.Network, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(n.Genesis.ChainID())
}

func (a *app) join(ctx context.Context, file, dir, genesis string) (out verifiedNetwork, err error) {
	n, err := client.LoadNetwork(file)
	if err != nil {
		return out, err
	}
	if out, err = a.verify(n, dir, genesis); err != nil {
		return out, err
	}
	own := filepath.Join(dir, networkCopy)
	if _, err := os.Stat(filepath.Join(dir, node.LedgerDir)); err == nil {
		// What that file says beside the genesis, as a checkpoint, is the operator's.
		if old, err := client.LoadNetwork(own); err != nil || old.Genesis.ChainID() != out.Chain {
			return out, fmt.Errorf("the node in %s has run, and not for %s as far as its %s shows (%s): a node that has run joins no other network", dir, out.Chain, networkCopy, chainOr(old, err))
		}
		out.Joined = true
		return out, nil
	}
	if err := (&initCommand{a: a, dir: dir, genesis: genesis}).confirm(ctx, n); err != nil {
		return out, err
	}
	if err := n.Save(own); err != nil {
		return out, err
	}
	out.Joined = true
	return out, nil
}
