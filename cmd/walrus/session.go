package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

// network reads the network file that the settings name.
func (a *app) network() (client.Network, error) {
	h, err := a.setting(setNetwork)
	if err != nil {
		return client.Network{}, err
	}
	n, err := client.LoadNetwork(h.Value)
	if errors.Is(err, fs.ErrNotExist) {
		return n, fmt.Errorf("no network: %s (%s) is missing: name a network.toml with --network or WALRUS_NETWORK, or start a network on this machine with walrus testnet up", h.Value, h.Source)
	}
	return n, err
}

// trustDir is where the headers that commands verify are kept; empty: there is no place.
func trustDir() client.TrustDir {
	dir, err := configDir()
	if err != nil {
		return ""
	}
	return client.TrustDir(filepath.Join(dir, "trust"))
}

func (a *app) trusting() (bool, error) { return a.truth(setTrust) }

// loose says that files with secrets are read even if other users may read or write them.
func (a *app) loose() (bool, error) { return a.truth(setLoose) }

// nodeSecret reads the secret of the node in dir.
func (a *app) nodeSecret(dir string) (token.Secret, error) {
	loose, err := a.loose()
	if err != nil {
		return token.Secret{}, err
	}
	if loose {
		return node.LoadLooseSecret(dir)
	}
	return node.LoadSecret(dir)
}

func (a *app) truth(name string) (bool, error) {
	h, err := a.setting(name)
	if err != nil {
		return false, err
	}
	return strconv.ParseBool(h.Value)
}

// key opens the wallet, and asks for its passphrase if it has one.
func (a *app) key(ctx context.Context) (token.Key, error) {
	h, err := a.setting(setWallet)
	if err != nil {
		return token.Key{}, err
	}
	loose, err := a.loose()
	if err != nil {
		return token.Key{}, err
	}
	return wallet.Load(h.Value, loose, func() (string, error) { return a.passphrase(ctx, "Passphrase of "+h.Value+": ") })
}

// session is a connection, a wallet, and the figures of the ledger.
type session struct {
	*client.Connection
	report.Now
	key      token.Key
	verified bool // answers of the ledger are proven, not taken on a node's word
}

// look reads the head and the rules of the ledger.
func look(ctx context.Context, c *client.Connection, keys ...[]byte) (report.Now, error) {
	return lookAndList(ctx, c, nil, keys...)
}

// lookAndList is look, with the question for the keys that begin with prefix, if not empty,
// at the same time.
func lookAndList(ctx context.Context, c *client.Connection, prefix []byte, keys ...[]byte) (report.Now, error) {
	v, err := c.Remote.View(ctx)
	if err != nil {
		return report.Now{}, err
	}
	if len(prefix) > 0 {
		return report.LookAndList(v, time.Now(), prefix, keys...)
	}
	return report.Look(v, time.Now(), keys...)
}

// send signs with the wallet and waits until a block holds the transaction.
func (s *session) send(ctx context.Context, body ledger.Body) (ledger.TxReceipt, error) {
	return s.Send(ctx, s.key, body)
}

// withSession joins the network, looks at the ledger, and runs a command on that. keys are
// read in the same question as the rest: those that the command will need.
func (a *app) withSession(ctx context.Context, run func(*session) error, keys ...[]byte) error {
	return within(ctx, func(ctx context.Context) (*session, error) {
		n, err := a.network()
		if err != nil {
			return nil, err
		}
		return a.openOn(ctx, n, keys...)
	}, run)
}

// withSessionOn is withSession on a network that is known.
func (a *app) withSessionOn(ctx context.Context, n client.Network, run func(*session) error) error {
	return within(ctx, func(ctx context.Context) (*session, error) { return a.openOn(ctx, n) }, run)
}

// withWallet is withSession for a command that signs: it opens the wallet first.
func (a *app) withWallet(ctx context.Context, run func(*session) error) error {
	return within(ctx, a.open, run)
}

// withNode is withWallet for a command about a node, named as it was typed. A name that
// makes no sense is refused before anything is opened.
func (a *app) withNode(ctx context.Context, typed string, run func(*session, ledger.NodeRecord) error) error {
	ref, err := parseNode(typed)
	if err != nil {
		return err
	}
	return a.withWallet(ctx, func(s *session) error {
		n, err := s.find(ref)
		if err != nil {
			return err
		}
		return run(s, n)
	})
}

func within(ctx context.Context, open func(context.Context) (*session, error), run func(*session) error) error {
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return run(s)
}

// open opens the wallet, joins the network and looks at the ledger. The caller closes it.
func (a *app) open(ctx context.Context) (*session, error) {
	key, err := a.key(ctx)
	if err != nil {
		return nil, err
	}
	n, err := a.network()
	if err != nil {
		return nil, err
	}
	s, err := a.openOn(ctx, n, ledger.KeyAccount(key.Address()))
	if err != nil {
		return nil, err
	}
	s.key, s.Sent, s.Resumed = key, a.waitsFor, a.resumes
	if s.Outbox, err = a.outbox(s.Network.Genesis.ChainID()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openWithout is open without a wallet.
func (a *app) openWithout(ctx context.Context) (*session, error) {
	n, err := a.network()
	if err != nil {
		return nil, err
	}
	return a.openOn(ctx, n)
}

// openOn is open on a network that is known, without a wallet. keys are read with the rest.
func (a *app) openOn(ctx context.Context, network client.Network, keys ...[]byte) (*session, error) {
	c, trust, err := a.connect(ctx, network)
	if err != nil {
		return nil, err
	}
	if a.connected != nil {
		keys = append(slices.Clone(keys), a.connected(ctx, c)...)
	}
	done := a.slowly(waitsForLedger, network.Genesis.ChainID())
	n, err := lookAndList(ctx, c, a.lists, keys...)
	done()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &session{Connection: c, Now: n, verified: !trust}, nil
}

// waitsForLedger is what a command waits for that has not heard of the ledger yet.
const waitsForLedger = "waiting for an answer of the ledger from the nodes of %s"

// connect joins a network that is known. trust says that a node's word is taken.
func (a *app) connect(ctx context.Context, network client.Network) (c *client.Connection, trust bool, err error) {
	if trust, err = a.trusting(); err != nil {
		return nil, false, err
	}
	c, err = client.Connect(ctx, network, client.ConnectOptions{TrustNode: trust, Version: version(), Log: a.log(), TrustDir: trustDir()})
	if err == nil && a.needsNodes {
		c.Prepare()
	}
	return c, trust, err
}

// withConnection joins the network and runs a command that asks the ledger itself: each
// look at it is a round trip.
func (a *app) withConnection(ctx context.Context, run func(*client.Connection) error) error {
	network, err := a.network()
	if err != nil {
		return err
	}
	c, _, err := a.connect(ctx, network)
	if err != nil {
		return err
	}
	defer c.Close()
	return run(c)
}
