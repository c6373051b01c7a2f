package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// Network is all a process must know to reach a network: its genesis and where some of
// its nodes listen. Its file is network.toml.
type Network struct {
	Genesis     ledger.Genesis
	Bootstrap   []string          // multiaddrs ending in /p2p/<peer ID>, or /dnsaddr/NAME; one suffices
	TrustPeriod time.Duration     // 0: as long as the signers can be punished
	Checkpoint  *light.Checkpoint // nil: the genesis
}

// networkFile is the file as people see it.
type networkFile struct {
	Chain       string          `toml:"chain" comment:"the name of the chain and the first digits of its genesis hash"`
	Bootstrap   []string        `toml:"bootstrap" comment:"where nodes of the network listen, or /dnsaddr/NAME for a name that stands for such addresses; one suffices"`
	TrustPeriod string          `toml:"trust_period,omitempty" comment:"how old a header may be that is trusted without looking again"`
	Genesis     string          `toml:"genesis" comment:"canonical CBOR in base64; the chain's ID is checked against it"`
	Checkpoint  *checkpointFile `toml:"checkpoint,omitempty" comment:"a header you trust, for a chain older than its trust period"`
}

type checkpointFile struct {
	Height int64  `toml:"height"`
	Hash   string `toml:"hash"`
}

// Validate says why no network can be reached with n.
func (n Network) Validate() error {
	if err := n.Genesis.Validate(); err != nil {
		return err
	}
	if len(n.Bootstrap) == 0 {
		return fmt.Errorf("no bootstrap address: name at least one node")
	}
	return p2p.CheckBootstrap(n.Bootstrap)
}

// Create writes network.toml where no file is.
func (n Network) Create(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w: choose another file", path, fs.ErrExist)
	}
	return n.Save(path)
}

// Save writes network.toml.
func (n Network) Save(path string) error {
	f := networkFile{Chain: string(n.Genesis.ChainID()), Bootstrap: n.Bootstrap, Genesis: base64.StdEncoding.EncodeToString(n.Genesis.Encode())}
	if n.TrustPeriod != 0 {
		f.TrustPeriod = n.TrustPeriod.String()
	}
	if c := n.Checkpoint; c != nil {
		f.Checkpoint = &checkpointFile{c.Height, c.Hash.String()}
	}
	b, err := toml.Marshal(f)
	if err != nil {
		return err
	}
	return WriteWhole(path, b, 0o644)
}

// WriteWhole writes a file that is there whole or not at all, whatever interrupts it.
func WriteWhole(path string, b []byte, mode os.FileMode) error {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(b)
	if err == nil {
		err = part.Chmod(mode)
	}
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

// Bounds on the trust period in network.toml. Below a minute no header is trusted long
// enough to be used; beyond ten years none is ever looked at again.
const (
	leastTrust = time.Minute
	mostTrust  = 10 * 365 * 24 * time.Hour
)

func parseTrust(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < leastTrust || d > mostTrust {
		return 0, fmt.Errorf("trust_period = %q: write a time from 1m to 87600h, like 336h for two weeks, or leave the line out: then it is as long as signers can be punished", s)
	}
	return d, nil
}

// LoadNetwork reads network.toml and checks that it is whole.
func LoadNetwork(path string) (n Network, err error) {
	fail := func(err error) (Network, error) { return Network{}, fmt.Errorf("network file %s: %w", path, err) }
	r, err := os.Open(path)
	if err != nil {
		return Network{}, fmt.Errorf("network file: %w", err)
	}
	defer r.Close()
	var f networkFile
	if err := toml.NewDecoder(r).DisallowUnknownFields().Decode(&f); err != nil {
		return fail(err)
	}
	raw, err := base64.StdEncoding.DecodeString(f.Genesis)
	if err != nil {
		return fail(fmt.Errorf("genesis: %w", err))
	}
	if n.Genesis, err = ledger.DecodeGenesis(raw); err != nil {
		return fail(err)
	}
	if id := string(n.Genesis.ChainID()); id != f.Chain {
		return fail(fmt.Errorf("the genesis is that of %s, the file says %s: get the file again", id, f.Chain))
	}
	n.Bootstrap = f.Bootstrap
	if err := n.Validate(); err != nil {
		return fail(err)
	}
	if f.TrustPeriod != "" {
		if n.TrustPeriod, err = parseTrust(f.TrustPeriod); err != nil {
			return fail(err)
		}
	}
	if f.Checkpoint != nil {
		c, err := light.ParseCheckpoint(fmt.Sprintf("%d:%s", f.Checkpoint.Height, f.Checkpoint.Hash))
		if err != nil {
			return fail(fmt.Errorf("[checkpoint]: %w", err))
		}
		n.Checkpoint = &c
	}
	return n, nil
}

// ConnectOptions say how a client joins.
type ConnectOptions struct {
	TrustNode bool // take the ledger's answers on the word of the node that is asked
	Version   string
	Log       *slog.Logger // nil: silent
	TrustDir  TrustDir     // where verified headers and the committee are kept from one process to the next; empty: nowhere
}

// Connection is a client process on a network.
type Connection struct {
	*Client
	Network Network
	Host    *p2p.Host
	Remote  *light.Remote
	kept    *recollection // nil: the committee is kept nowhere
}

// Connect joins a network as a client: it listens nowhere and keeps nothing.
func Connect(ctx context.Context, n Network, o ConnectOptions) (*Connection, error) {
	key, err := token.NewKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	chain := n.Genesis.ChainID()
	host, err := p2p.New(p2p.Config{Key: key.Ed25519(), Bootstrap: n.Bootstrap, Log: o.Log, Hello: p2p.Hello{Chain: string(chain), Version: o.Version}})
	if err != nil {
		return nil, err
	}
	options := light.RemoteOptions{TrustNode: o.TrustNode, TrustPeriod: n.TrustPeriod, Checkpoint: n.Checkpoint}
	if o.TrustDir != "" {
		o.TrustDir.serve(chain, &options, o.Log)
	}
	remote := light.NewRemote(host, n.Genesis, options)
	c := &Connection{Client: New(host, remote, chain, o.Log), Network: n, Host: host, Remote: remote}
	if c.Shape, err = n.Genesis.Params.Shape(); err != nil {
		return nil, errors.Join(err, host.Close())
	}
	if o.TrustDir != "" && !o.TrustNode {
		c.recall(o.TrustDir, trustName(chain, n.Checkpoint), o.Log)
	}
	return c, nil
}

// Prepare begins to dial the nodes that reading or storing a blob will need, before the
// ledger has said which these are. It does not wait.
func (c *Connection) Prepare() { c.Host.PrepareBootstrap() }

// Ready waits until a blob could be stored: the ledger has a block, and members
// with more than two thirds of the shards can be reached.
func (c *Connection) Ready(ctx context.Context) error {
	for {
		err := c.reachable(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the network is not ready: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *Connection) reachable(ctx context.Context) error {
	v, err := c.Remote.View(ctx)
	if err != nil {
		return err
	}
	d, err := readCommittee(v)
	if err != nil {
		return err
	}
	c.seated.set(d)
	failures := make([]error, len(d.Members))
	var called sync.WaitGroup
	for i, m := range d.Members {
		called.Go(func() { failures[i] = c.Host.Connect(ctx, m.Peer, m.Addrs) })
	}
	called.Wait()
	weight := 0
	for i, m := range d.Members {
		if failures[i] == nil {
			weight += m.Shards
		}
	}
	if weight < d.Shape.Quorum() {
		return fmt.Errorf("%d of %d shards can be reached: %w", weight, d.Shape.N, errors.Join(failures...))
	}
	return nil
}

// Close leaves the network. It waits, for a few blocks at most, until the next connection
// can read what this one wrote.
func (c *Connection) Close() error {
	c.keepCommittee()
	_ = c.Remote.Settle(context.Background()) // bounded; a ledger that stands still is left as it is
	c.Client.Close()
	return c.Host.Close()
}
