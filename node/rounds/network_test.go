package rounds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/p2p/p2ptest"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	leak.Main(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

// network is participants on a network in memory that share one ledger, which keeps no
// blob: a round asks each shard no question, and its proof holds. It is started in a
// bubble, in which waiting costs nothing.
type network struct {
	t       *testing.T
	air     *p2ptest.Network
	genesis ledger.Genesis
	ledger  local
	wallet  token.Key
	nodes   []*running
}

// local is a ledger.Local as a participant wants it.
type local struct{ *ledger.Local }

func (local) AtTip() bool { return true }

// running is a participant with its host.
type running struct {
	secret  token.Secret
	host    *p2p.Host
	part    *Participant
	conduct Conduct
	stop    func() // nil: it does not run
}

func (r *running) id() staking.NodeID { return staking.NodeID(r.secret.Key().Public()) }

// empty is the possession of a node without fragments.
type empty struct{}

var errEmpty = errors.New("no fragment is held")

func (empty) Fragment(blob.Position) (v blob.VerifiedFragment, err error) { return v, errEmpty }

func (empty) Witness(blob.ID, uint32, blob.Place) (w blob.Witness, err error) { return w, errEmpty }

func quiet() *slog.Logger {
	if os.Getenv("WALRUS_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// payout is the account of a node's earnings: not the wallet that operates all nodes.
func payout(secret token.Secret) token.Address { return token.KeyFromSeed(secret).Address() }

// startNetwork starts 4 nodes and their ledger, with numbers changed by change.
func startNetwork(t *testing.T, shards int, change func(*ledger.Params)) *network {
	t.Helper()
	n := &network{t: t, air: p2ptest.NewNetwork(t, time.Millisecond, 0), wallet: token.KeyFromSeed([32]byte{42})}
	n.genesis = ledger.Genesis{Name: "test", Time: time.Now().UnixMilli(), Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: n.wallet.Address(), Amount: 1_000_000 * token.WAL}}}
	n.genesis.Params.Shards = shards
	n.genesis.Params.Challenged = false // no blocks come by themselves
	change(&n.genesis.Params)
	for i := range 4 {
		secret := token.Secret{byte(i + 1), 77}
		n.genesis.Nodes = append(n.genesis.Nodes, ledger.GenesisNode{Operator: n.wallet.Address(), Payout: payout(secret),
			Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Name: fmt.Sprintf("node-%d", i), CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL}.Prove("test", secret.Key(), secret.BLSKey()))
		n.nodes = append(n.nodes, &running{secret: secret})
	}
	l, err := ledger.NewLocal(n.genesis, state.NewMemory(), n.clock())
	if err != nil {
		t.Fatal(err)
	}
	n.ledger = local{l}
	for i := range n.nodes {
		n.start(i)
	}
	t.Cleanup(func() {
		for i := range n.nodes {
			n.stop(i)
		}
	})
	return n
}

// clock makes each block one block's time later than the last, so that no round is void
// because the machine is slow.
func (n *network) clock() func() int64 {
	now, block := n.genesis.Time, int64(n.genesis.Params.BlockMs)
	return func() int64 {
		now += block
		return now
	}
}

// host opens a host and connects it to the nodes that run.
func (n *network) host(key token.Key, listens bool) *p2p.Host {
	n.t.Helper()
	at, listen := n.air.Place(), []string(nil)
	if listens {
		listen = []string{at.Listen}
	}
	h, err := p2p.New(p2p.Config{Key: key.Ed25519(), Listen: listen, Wire: at.Wire, Hello: p2p.Hello{Chain: string(n.ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, r := range n.nodes {
		if r.stop == nil {
			continue
		}
		if err := h.Connect(n.t.Context(), r.host.ID(), r.host.Addrs()); err != nil {
			n.t.Fatal(err)
		}
	}
	return h
}

// stranger is a host that is no node's.
func (n *network) stranger(seed byte) *p2p.Host {
	n.t.Helper()
	h := n.host(token.KeyFromSeed([32]byte{seed, 99}), false)
	n.t.Cleanup(func() { h.Close() })
	return h
}

// config is that of node i, with another host and ledger.
func (n *network) config(i int, h *p2p.Host, l Ledger) Config {
	return Config{Chain: n.ledger.ChainID(), Key: n.nodes[i].secret.Key(), Host: h, Ledger: l, Fragments: empty{}, Freeze: new(Freeze), Log: quiet().With("node", i)}
}

func (n *network) start(i int) {
	n.t.Helper()
	r := n.nodes[i]
	r.host = n.host(r.secret.Key(), true)
	r.part = New(n.config(i, r.host, n.ledger))
	r.part.Behave(r.conduct)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- r.host.Run(ctx) }()
	go func() { ended <- r.part.Run(ctx) }()
	r.stop = func() {
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				n.t.Errorf("node %d: %v", i, err)
			}
		}
		if err := r.host.Close(); err != nil {
			n.t.Errorf("close node %d: %v", i, err)
		}
	}
}

func (n *network) stop(i int) {
	if r := n.nodes[i]; r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// judging is a network whose ledger asks, and whose nodes vote yes on everything, as
// this test has them do: their inboxes do not matter for it.
func judging(t *testing.T) *network {
	n := startNetwork(t, 10, func(p *ledger.Params) {
		p.Challenged = true
		p.Challenge = challenge.Default()
		p.Challenge.Start, p.Challenge.Freeze, p.Challenge.Deadline, p.Challenge.Attest, p.Challenge.Pull = 5, 5, 2, 2, 1
		p.Challenge.Late, p.Challenge.Second = 5, 6
		p.RoundBlocks, p.RoundsPerEpoch = 120, 4
		p.BlockMs = 100
	})
	n.meet()
	return n
}

// until waits until what lists no node, and fails with that node otherwise.
func (n *network) until(missing string, what func() int) {
	n.t.Helper()
	for range 1500 {
		if what() < 0 {
			return
		}
		time.Sleep(20 * time.Millisecond) // while the hosts talk
	}
	n.t.Fatalf("node %d %s", what(), missing)
}

// meet waits until every node hears every other: no block waits for that here.
func (n *network) meet() {
	n.t.Helper()
	n.until("does not hear all others", func() int {
		for i, x := range n.nodes {
			if len(x.part.gossip.Peers(x.part.topic)) < len(n.nodes)-1 {
				return i
			}
		}
		return -1
	})
}

// proven waits until every node has the proofs of its own shards.
func (n *network) proven(r ledger.RoundState) {
	n.t.Helper()
	n.have(r, "has not proven its shards", func(i int, s blob.Shard) bool { return n.holder(s) == i })
}

// heard waits until every node has every shard's proof.
func (n *network) heard(r ledger.RoundState) {
	n.t.Helper()
	n.have(r, "has not received every proof", func(int, blob.Shard) bool { return true })
}

// have waits until every node has the proofs of the shards that it is to have.
func (n *network) have(r ledger.RoundState, missing string, due func(i int, s blob.Shard) bool) {
	n.t.Helper()
	n.until(fmt.Sprintf("%s of round %d", missing, r.Ordinal), func() int {
		for i, x := range n.nodes {
			b := x.part.inbox(r.Round)
			if b == nil {
				return i
			}
			for s := range blob.Shard(n.genesis.Params.Shards) {
				if _, ok := b.message(s); !ok && due(i, s) {
					return i
				}
			}
		}
		return -1
	})
}

// block runs one with what it must carry.
func (n *network) block(pending []ledger.VoteExtension) []ledger.VoteExtension {
	n.t.Helper()
	m := n.ledger.Machine()
	w, err := m.Wants(m.Height() + 1)
	if err != nil {
		n.t.Fatal(err)
	}
	var b ledger.Block
	if w.Carry {
		b.Extensions = pending
	}
	if w.Last {
		s := n.nodes[0].secret
		b.Proposer, b.Last = n.nodes[0].id(), s.BLSKey().Sign(challenge.LastMessage(n.ledger.ChainID(), w.Round))
	}
	var votes []ledger.VoteExtension
	for _, r := range n.nodes {
		v := ledger.VoteExtension{Node: r.id(), Power: 1}
		switch {
		case w.Reveal:
			v.Extension = challenge.NewReveal(n.ledger.ChainID(), r.secret.BLSKey(), w.Round).Encode()
		case w.Closer == v.Node:
			v.Extension = challenge.NewClosing(n.ledger.ChainID(), r.secret.BLSKey(), w.Round, w.Turn).Encode()
		case w.Attest:
			v.Extension = challenge.NewAttest(w.Round, true, blob.Hash{}, []byte{0xff, 3}).Encode()
		}
		votes = append(votes, v)
	}
	if _, err := n.ledger.Run(b); err != nil {
		n.t.Fatal(err)
	}
	return votes
}

// tallied runs until a round is over whose proofs all nodes have received: by gossip, or
// by the pull in the block after the draw, when their holders have them.
func (n *network) tallied() ledger.RoundState {
	n.t.Helper()
	var votes []ledger.VoteExtension
	for range 1000 {
		votes = n.block(votes)
		r, known, err := n.view().Round()
		if err != nil {
			n.t.Fatal(err)
		}
		if known && r.Drawn && r.Over {
			return r
		}
		if !known || !r.Drawn {
			continue
		}
		if n.ledger.Machine().Height() == r.T {
			n.proven(r)
		} else {
			n.heard(r)
		}
	}
	n.t.Fatal("no round was tallied")
	return ledger.RoundState{}
}

func (n *network) view() ledger.View {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return v
}

// holder is the node that holds a shard.
func (n *network) holder(s blob.Shard) int {
	n.t.Helper()
	c, err := n.view().Committee(0)
	if err != nil {
		n.t.Fatal(err)
	}
	for i, r := range n.nodes {
		if r.id() == c.Holder[s] {
			return i
		}
	}
	n.t.Fatalf("nobody holds shard %d", s)
	return 0
}
