package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// nodeRequest is a node's request to its operator to register it: its keys and addresses,
// and signatures of its keys that name the operator. It holds no secret; a change of the
// operator, the node or its BLS key breaks the signatures.
type nodeRequest struct {
	Format      int            `json:"walrus_node_request"` // requestFormat
	Chain       token.ChainID  `json:"chain"`
	Operator    token.Address  `json:"operator"`
	Node        staking.NodeID `json:"node"`
	Signature   string         `json:"node_signature"` // hex, so with the next ones
	BLS         string         `json:"bls_key"`
	Possession  string         `json:"possession"`
	Addresses   []string       `json:"addresses"`
	Ledger      string         `json:"ledger_address"`
	CapacityKiB unit.KiB       `json:"capacity_kib"`
	Name        string         `json:"name,omitempty"`
	URL         string         `json:"url,omitempty"`
	About       string         `json:"about,omitempty"`
	// Opening is what the node's machine was measured to need, for the payer of the bond
	// to judge. It is not signed: an operator that lies here harms itself.
	Opening *doctor.OpeningTime `json:"opening,omitempty"`
	// Reached is what peers that dialed the node said, for the payer too, and not signed.
	Reached []doctor.Reach `json:"reached,omitempty"`
}

// Limits of the file of a request.
const (
	requestFormat = 3
	// longestOpening is beyond any machine, and small enough to be reckoned with.
	longestOpening = time.Hour
	mostAsked      = 1000     // peers that dialed a node
	requestBytes   = 64 << 10 // most; a request of the longest texts is a fifth of it
)

func newRequest(chain token.ChainID, operator token.Address, b ledger.RegisterNode) nodeRequest {
	return nodeRequest{Format: requestFormat, Chain: chain, Operator: operator, Node: b.Node, Signature: hex.EncodeToString(b.NodeSignature[:]), BLS: hex.EncodeToString(b.BLS[:]),
		Possession: hex.EncodeToString(b.BLSProof[:]), Addresses: b.Addresses, Ledger: b.Comet, CapacityKiB: b.CapacityKiB, Name: b.Name, URL: b.URL, About: b.About}
}

// body is the registration of the request, without bond, commission and the operator's keys.
func (r nodeRequest) body() (b ledger.RegisterNode, err error) {
	b = ledger.RegisterNode{Node: r.Node, Addresses: r.Addresses, Comet: r.Ledger, CapacityKiB: r.CapacityKiB, Name: r.Name, URL: r.URL, About: r.About}
	for _, f := range []struct {
		name, text string
		to         []byte
	}{{"node_signature", r.Signature, b.NodeSignature[:]}, {"bls_key", r.BLS, b.BLS[:]}, {"possession", r.Possession, b.BLSProof[:]}} {
		raw, err := hex.DecodeString(f.text)
		if err != nil || len(raw) != len(f.to) {
			return b, fmt.Errorf("%s: %d bytes in hex are wanted", f.name, len(f.to))
		}
		copy(f.to, raw)
	}
	return b, nil
}

// decodeRequest reads a request from a sender that is not trusted.
func decodeRequest(in io.Reader) (r nodeRequest, err error) {
	raw, err := io.ReadAll(io.LimitReader(in, requestBytes+1))
	if err != nil {
		return r, err
	}
	if len(raw) > requestBytes {
		return r, fmt.Errorf("longer than %d bytes: no request of a node", requestBytes)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("what walrus node request writes is wanted: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("more than one request in it")
	}
	if r.Format != requestFormat {
		return r, fmt.Errorf("a request of format %d, this program knows %d: make it with a program of the same version", r.Format, requestFormat)
	}
	if o := r.Opening; o != nil && (o.Prove <= 0 || o.Verify <= 0 || o.Prove > longestOpening || o.Verify > longestOpening) {
		return r, fmt.Errorf("opening: %s and %s are no times that were measured", o.Prove, o.Verify)
	}
	for _, x := range r.Reached {
		if x.Peers < 0 || x.Peers > x.Asked || x.Asked > mostAsked || len(x.Address) > requestBytes {
			return r, fmt.Errorf("reached: %d of %d peers are no count", x.Peers, x.Asked)
		}
	}
	_, err = r.body()
	return r, err
}

// nodeDescription is the description of a node for the ledger, from its directory and the
// flags.
type nodeDescription struct {
	a                          *app
	dir, name, url, about, led string
	addresses                  []string
	capacity                   string
	force                      bool
}

func (w *nodeDescription) flags(f *pflag.FlagSet) {
	f.StringVar(&w.dir, "dir", defaultNodeDir, "the node's directory")
	f.StringVar(&w.name, "name", "", "what people shall call it")
	f.StringVar(&w.url, "url", "", "where the operator can be read about")
	f.StringVar(&w.about, "about", "", "a line about it, in the operator's words")
	f.StringSliceVar(&w.addresses, "address", nil, "where others reach it, as multiaddrs (default: where it listens, or, if it runs, what it found out; relays too)")
	f.StringVar(&w.led, "ledger-address", "", "host:port where others reach its ledger (default: the node's first address)")
	f.StringVar(&w.capacity, "capacity", "", "how much it will keep, like 500GB (default: node.toml)")
	forcing(f, &w.force)
}

// described are the flags of a description that a request fixes.
var described = []string{"name", "url", "about", "address", "ledger-address", "capacity"}

// request signs with the node's keys that an operator may enter it, once peers have reached
// the node.
func (w *nodeDescription) request(ctx context.Context, operator token.Address) (nodeRequest, client.Network, error) {
	fail := func(err error) (nodeRequest, client.Network, error) { return nodeRequest{}, client.Network{}, err }
	file, err := node.LoadFile(w.dir)
	if err != nil {
		return fail(err)
	}
	secret, err := w.a.nodeSecret(w.dir)
	if err != nil {
		return fail(err)
	}
	network, err := file.LoadNetwork(w.dir)
	if err != nil {
		return fail(err)
	}
	body := ledger.RegisterNode{Name: w.name, URL: w.url, About: w.about}
	if body.CapacityKiB, err = w.capacityKiB(file); err != nil {
		return fail(err)
	}
	if body.Addresses, err = w.reachedAt(ctx, file, staking.NodeID(secret.Key().Public())); err != nil {
		return fail(err)
	}
	if body.Comet, err = w.ledgerAt(file, body.Addresses); err != nil {
		return fail(err)
	}
	if err := reachableFrom(network.Bootstrap, body.Addresses, body.Comet); err != nil {
		return fail(errUsage{err})
	}
	g := network.Genesis
	opening, err := w.a.measureOpening(ctx, w.dir, g.Params, w.force)
	if err != nil {
		return fail(err)
	}
	body = body.Prove(g.ChainID(), g.Name, operator, secret.Key(), secret.BLSKey())
	r := newRequest(g.ChainID(), operator, body)
	r.Opening = opening
	if r.Reached, err = w.a.reachedByPeers(ctx, w.dir, body.Addresses, w.force); err != nil {
		return fail(err)
	}
	return r, network, nil
}

// reachableFrom refuses addresses that can be dialed from less far away than the network's
// own: a node at a private address is reached by no node elsewhere, earns nothing, and has
// its home written into the ledger.
func reachableFrom(network, addresses []string, led string) error {
	scope := p2p.WidestScope(network)
	for _, a := range addresses {
		if got := p2p.ScopeOf(a); got < scope {
			return fmt.Errorf("address %s can be dialed from %s only, the network's nodes from %s: say --address /ip4/203.0.113.7/tcp/4001 with the address that the router has outside, and forward the port to this machine", a, got, scope)
		}
	}
	if got := p2p.ScopeOfHost(led); led != "" && got < scope {
		return fmt.Errorf("ledger address %q can be dialed from %s only, the network's nodes from %s: say --ledger-address 203.0.113.7:4002", led, got, scope)
	}
	return nil
}

func (w *nodeDescription) capacityKiB(file node.File) (unit.KiB, error) {
	text := w.capacity
	if text == "" {
		text = file.Capacity
	}
	if text == "" {
		return 0, errUsage{errors.New("how much will the node keep? say --capacity 500GB, or write capacity into node.toml")}
	}
	return parseCapacity(text)
}

// reachedAt is the addresses at which other nodes reach the node.
func (w *nodeDescription) reachedAt(ctx context.Context, file node.File, id staking.NodeID) ([]string, error) {
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
func (w *nodeDescription) ledgerAt(file node.File, addresses []string) (string, error) {
	if w.led != "" {
		return w.led, nil
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
	if len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !p2p.Relayed(a) }) {
		return "", nil // behind a router: its ledger dials the others
	}
	return "", errUsage{errors.New("where do others reach the node's ledger? say --ledger-address 203.0.113.7:4002")}
}

func (a *app) nodeRequest() *cobra.Command {
	w := &nodeDescription{a: a}
	var operator, out string
	c := &cobra.Command{
		Use:   "request --operator ADDRESS",
		Short: "Write what an operator elsewhere needs to enter this node on the ledger",
		Long: `Writes what an operator needs to enter this node on the ledger: its keys and addresses,
signed by these keys. There is no secret in it, and it is good for this operator alone.
The operator's wallet need not be on this machine: there the file goes to
walrus pool create --request FILE.

It measures how fast this machine proves, writes that into the request, and refuses where
a round would take more than half of its time, unless --force says to go on. Peers are
asked to dial the node, running or not, and one that none reaches is refused too: behind a
router that forwards no port, run it first, and wait until relays serve it.`,
		Example: "  walrus node request --dir n1 --operator wal1… --name mine -o request.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if operator == "" {
				return errUsage{errors.New("whose node will it be? say --operator with the address of the operator's wallet (walrus wallet show tells it)")}
			}
			address, err := token.ParseAddress(operator)
			if err != nil {
				return errUsage{err}
			}
			r, network, err := w.request(c.Context(), address)
			if err != nil {
				return err
			}
			note, err := enough(r.Opening, network.Genesis.Params, len(network.Genesis.Nodes), w.force)
			if err != nil {
				return err
			}
			if note != "" {
				a.say("%s", note)
			}
			return a.writeRequest(c.Context(), r, out)
		},
	}
	w.flags(c.Flags())
	c.Flags().StringVar(&operator, "operator", "", "address of the wallet that will operate it")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (default: standard output)")
	return c
}

func (a *app) writeRequest(ctx context.Context, r nodeRequest, file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	text = append(escapeJSON(text), '\n')
	if file = outputName(file); file == "" || file == "-" {
		return a.print(r, func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	if err := writeWhole(ctx, file, 0o644, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	return a.print(map[string]string{"file": file, "node": r.Node.String()}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "the request of node %s is in %s: on the operator's machine, walrus pool create --request %s\n", r.Node, file, shellWord(file))
		return err
	})
}
