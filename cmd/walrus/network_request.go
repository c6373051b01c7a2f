package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// founderFile is the file in a node's directory with the entry that the node asked for in
// the genesis of a network to come.
const founderFile = "founder.json"

// founderFormat is the version of a founder's file.
const founderFormat = 1

// founder is a node that wants to be in the genesis of a network to come. There is no secret
// in it.
type founder struct {
	Format      int            `json:"walrus_founder"` // founderFormat
	Network     string         `json:"network"`        // name of the chain to come
	Node        staking.NodeID `json:"node"`
	Operator    token.Address  `json:"operator"`
	BLS         string         `json:"bls_key"`    // hex, so with the next one
	BLSProof    string         `json:"possession"` // signature of the BLS key over the network's name and the node
	Addresses   []string       `json:"addresses"`
	Ledger      string         `json:"ledger_address"`
	Name        string         `json:"name,omitempty"`
	CapacityKiB unit.KiB       `json:"capacity_kib"`
	Bond        token.Amount   `json:"bond_frost"`
	Commission  unit.Bps       `json:"commission_bps"`
}

// entry is the founder as a genesis has it.
func (f founder) entry() (n ledger.GenesisNode, err error) {
	n = ledger.GenesisNode{ID: f.Node, Operator: f.Operator, Addresses: f.Addresses, Comet: f.Ledger, Name: f.Name, CapacityKiB: f.CapacityKiB, Bond: f.Bond, CommissionBps: f.Commission}
	for _, k := range []struct {
		name, text string
		to         []byte
	}{{"bls_key", f.BLS, n.BLS[:]}, {"possession", f.BLSProof, n.BLSProof[:]}} {
		raw, err := hex.DecodeString(k.text)
		if err != nil || len(raw) != len(k.to) {
			return n, fmt.Errorf("%s: %d bytes in hex are wanted", k.name, len(k.to))
		}
		copy(k.to, raw)
	}
	return n, nil
}

func newFounder(network string, n ledger.GenesisNode) founder {
	return founder{Format: founderFormat, Network: network, Node: n.ID, Operator: n.Operator, BLS: hex.EncodeToString(n.BLS[:]), BLSProof: hex.EncodeToString(n.BLSProof[:]),
		Addresses: n.Addresses, Ledger: n.Comet, Name: n.Name, CapacityKiB: n.CapacityKiB, Bond: n.Bond, Commission: n.CommissionBps}
}

// readFounder reads the file of a founder that is not trusted.
func readFounder(path string) (f founder, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	fail := func(err error) (founder, error) { return f, fmt.Errorf("%s: %w", path, err) }
	raw, err := io.ReadAll(io.LimitReader(file, requestBytes+1))
	if err != nil || len(raw) > requestBytes {
		return fail(errors.Join(err, fmt.Errorf("no file of a founder: at most %d bytes", requestBytes)))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return fail(fmt.Errorf("what walrus network request writes is wanted: %w", err))
	}
	if f.Format != founderFormat {
		return fail(fmt.Errorf("a founder's file of format %d, this program knows %d: make it with a program of the same version", f.Format, founderFormat))
	}
	if _, err := f.entry(); err != nil {
		return fail(err)
	}
	return f, nil
}

// founderCommand is one `walrus network request`.
type founderCommand struct {
	nodeDescription
	network, operator, bond, commission, out string
	file                                     node.File
}

func (a *app) networkRequest() *cobra.Command {
	w := &founderCommand{nodeDescription: nodeDescription{a: a}, file: node.DefaultFile()}
	c := &cobra.Command{
		Use:   "request NAME --operator ADDRESS --address MULTIADDR",
		Short: "Make a node for a network to come, and write what its founder needs",
		Long: `Makes the directory of a node that shall be in a network from its first block on, and
writes its entry: its public keys, where others reach it, its operator and its bond. The
entry goes to the person who collects them, who runs walrus network create. It holds no
secret, and is good for a network of this name alone. A copy stays in the directory:
walrus network join holds the finished network against it.

Others must reach both ports, of the node and of its ledger, at the addresses given here.`,
		Example: "  walrus network request reef --dir n1 --operator wal1… --bond 100000WAL \\\n    --address /ip4/203.0.113.7/tcp/4001 --capacity 500GB -o n1.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.network = args[0]
			return w.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&w.dir, "dir", defaultNodeDir, "the node's directory")
	f.StringVar(&w.operator, "operator", "", "address of the wallet that will operate it")
	f.StringVar(&w.bond, "bond", "100000WAL", "the operator's own stake, paid out of nothing at the start")
	f.StringVar(&w.commission, "commission", "0", "part of the delegators' pay that the operator takes, in percent")
	f.StringVar(&w.name, "name", "", "what people shall call it")
	f.StringSliceVar(&w.addresses, "address", nil, "where others reach it, as multiaddrs")
	f.StringVar(&w.led, "ledger-address", "", "host:port where others reach its ledger (default: the first address's)")
	f.StringVar(&w.capacity, "capacity", "", "how much it will keep, like 500GB")
	f.StringSliceVar(&w.file.Listen, "listen", w.file.Listen, "where it listens, as multiaddrs")
	f.Lookup("listen").DefValue = "[" + strings.Join(w.file.Listen, ", ") + "]" // a help breaks lines at spaces
	f.StringVar(&w.file.LedgerListen, "ledger-listen", w.file.LedgerListen, "host:port where its ledger listens")
	f.StringVarP(&w.out, "out", "o", "", "file to write (default: standard output)")
	return c
}

func (w *founderCommand) run(ctx context.Context) error {
	if _, err := os.Lstat(filepath.Join(w.dir, networkCopy)); err == nil {
		return fmt.Errorf("a node of a network lies in %s already: choose another --dir", w.dir)
	}
	if _, err := os.Lstat(filepath.Join(w.dir, node.LedgerDir)); err == nil {
		return fmt.Errorf("a node has run in %s: choose another --dir", w.dir)
	}
	w.file.Network = networkCopy
	w.file.Capacity = w.capacity
	w.file.LedgerAddress = w.led
	if _, err := w.file.Daemon(w.dir, nil, version()); err != nil {
		return errUsage{err}
	}
	if err := node.CheckDir(w.dir); err != nil {
		return errUsage{err}
	}
	n, err := w.described()
	if err != nil {
		return err
	}
	secret, err := node.EnsureSecret(w.dir)
	if err != nil {
		return err
	}
	n = n.Prove(w.network, secret.Key(), secret.BLSKey())
	if n.Addresses, err = withPeer(w.addresses, n.ID); err != nil {
		return err
	}
	if n.Comet, err = w.ledgerAt(w.file, n.Addresses); err != nil {
		return err
	}
	if err := w.fits(n); err != nil {
		return errUsage{err}
	}
	f := newFounder(w.network, n)
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	text = append(escapeJSON(text), '\n')
	if err := errors.Join(client.WriteWhole(filepath.Join(w.dir, founderFile), text, 0o600), w.file.Save(w.dir)); err != nil {
		return err
	}
	if w.out = outputName(w.out); w.out == "" || w.out == "-" {
		return w.a.print(f, func(out io.Writer) error { _, err := out.Write(text); return err })
	}
	if err := writeWhole(ctx, w.out, 0o644, func(out io.Writer) error { _, err := out.Write(text); return err }); err != nil {
		return err
	}
	return w.a.print(map[string]string{"file": w.out, "node": f.Node.String()}, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "node %s\nits entry is in %s: send it to the person who collects them\n", f.Node, w.out)
		w.a.say("its key is its stake: keep a copy of %s\nnext: when network.toml comes back, walrus network join --dir %s network.toml", filepath.Join(w.dir, node.KeysDir), shellWord(w.dir))
		return err
	})
}

// described is the entry as far as the flags tell it.
func (w *founderCommand) described() (n ledger.GenesisNode, err error) {
	if w.operator == "" {
		return n, errUsage{errors.New("whose node will it be? say --operator with the address of the operator's wallet (walrus wallet new makes one)")}
	}
	if len(w.addresses) == 0 {
		return n, errUsage{errors.New("where do others reach the node? say --address /ip4/203.0.113.7/tcp/4001")}
	}
	n.Name = w.name
	if n.Operator, err = token.ParseAddress(w.operator); err != nil {
		return n, errUsage{err}
	}
	if n.Bond, err = token.ParseAmount(w.bond); err != nil {
		return n, errUsage{err}
	}
	if n.CommissionBps, err = parsePercent(w.commission); err != nil {
		return n, errUsage{err}
	}
	n.CapacityKiB, err = w.capacityKiB(w.file)
	return n, err
}

// fits tries the entry in a genesis of its own.
func (w *founderCommand) fits(n ledger.GenesisNode) error {
	p := ledger.Default()
	return ledger.Genesis{Name: w.network, Time: 1, Params: p, Nodes: []ledger.GenesisNode{n}}.Validate()
}

// sameEntry says whether a genesis has a node as its operator asked for it.
func sameEntry(want, got ledger.GenesisNode) error {
	for _, f := range []struct {
		name      string
		want, got any
	}{{"operator", want.Operator, got.Operator}, {"governance address", want.Governance, got.Governance}, {"payout address", want.Payout, got.Payout}, {"BLS key", want.BLS, got.BLS}, {"addresses", want.Addresses, got.Addresses},
		{"ledger address", want.Comet, got.Comet}, {"name", want.Name, got.Name}, {"capacity", want.CapacityKiB, got.CapacityKiB}, {"bond", want.Bond, got.Bond}, {"commission", want.CommissionBps, got.CommissionBps}} {
		if !reflect.DeepEqual(f.want, f.got) {
			return fmt.Errorf("its %s is %v in the network, and was asked for as %v", f.name, f.got, f.want)
		}
	}
	return nil
}

// ownEntry is the entry that the node in dir asked for, and its secret's node ID.
func (a *app) ownEntry(dir string) (founder, error) {
	f, err := readFounder(filepath.Join(dir, founderFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("the node in %s has asked for no place in a network to come: walrus network request does, walrus node init makes a node for a network that runs", dir)
	}
	if err != nil {
		return f, err
	}
	secret, err := a.nodeSecret(dir)
	if err != nil {
		return f, err
	}
	if f.Node != staking.NodeID(secret.Key().Public()) {
		return f, fmt.Errorf("%s is of node %s, and the key in %s of another one", founderFile, f.Node, dir)
	}
	return f, nil
}
