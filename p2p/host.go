package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/walrus-network/walrus/p2p/internal/wire"
)

// Config is a host's key, the addresses where it may be reached, and its first peers.
type Config struct {
	Key       ed25519.PrivateKey // the process's name on the network
	Listen    []string           // multiaddrs; none: a client that only dials
	Bootstrap []string           // multiaddrs ending in /p2p/<peer ID>, or /dnsaddr/NAME; one suffices
	Hello     Hello
	// Reachable turns on what gets a host at home through its router: UPnP, relays, hole
	// punching. A host that peers reach relays for others. Off in testnets, whose traffic
	// stays local.
	Reachable bool
	// CountLoopback counts loopback addresses as any others where peers of one network of
	// addresses are bounded. Off, since a peer on this machine is no stranger to it.
	CountLoopback bool
	// Wire is nil: TCP and QUIC over the machine's sockets. Package p2ptest makes others,
	// for tests.
	Wire *wire.Wire
	// Names is nil: the system's DNS.
	Names *madns.Resolver
	Log   *slog.Logger // nil: silent
}

// Host is a process's place on the network.
type Host struct {
	libp2p    host.Host
	table     table
	hello     Hello
	bootstrap []peer.AddrInfo
	recalled  atomic.Pointer[[]peer.AddrInfo] // by Recall
	log       *slog.Logger
	greeted   greetings
	scores    scores
	lines     lines
	reachable bool // Config.Reachable
	reach     reach
	seeds     seeds
	bulk      bulk
	dialsOnly bool // it listens nowhere: a client
	distance  distance
	admission *admission
	only      *dialFilter
	wire      *wire.Wire // nil: the machine's sockets

	handlers sync.WaitGroup // stream handlers that run
	closing  context.Context
	close    context.CancelFunc
}

// New opens the host: it listens, but looks for no peer before Run.
func New(c Config) (*Host, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	bootstrap, names, err := parseBootstrap(c.Bootstrap)
	if err != nil {
		return nil, err
	}
	for _, a := range c.Listen {
		if err := probe(a); err != nil {
			return nil, listenError([]string{a}, err)
		}
	}
	limits, err := newLimits(c.CountLoopback)
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	proven := &dialFilter{}
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.UserAgent("walrus/" + c.Hello.Version),
		libp2p.Security(tls.ID, tls.New), // before Noise: 1.4 times the speed in bulk
		libp2p.Security(noise.ID, noise.New),
		// A private address is no promise of a quick answer: its host may be busy.
		libp2p.SwarmOpts(swarm.WithDialRanker(rankerOf(c)), swarm.WithDialTimeout(patientLimit/2), swarm.WithDialTimeoutLocal(patientLimit/2)),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}), // conns decides which stay
		libp2p.ConnectionGater(proven),
		libp2p.DisableMetrics(),
	}
	options = append(options, transports(c.Wire)...)
	if len(c.Listen) == 0 {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrStrings(c.Listen...))
	}
	h := &Host{dialsOnly: len(c.Listen) == 0, reachable: c.Reachable, admission: newDoors(c.CountLoopback), only: proven, wire: c.Wire, hello: c.Hello, bootstrap: bootstrap, log: c.Log, lines: lines{peers: map[peer.ID]*line{}, opens: map[peer.ID]chan struct{}{}},
		greeted: greetings{peers: map[peer.ID]Hello{}, awaited: map[peer.ID]chan struct{}{}}, scores: scores{now: time.Now, peers: map[peer.ID]*score{}}}
	h.seeds.names, h.seeds.resolver = names, c.Names
	if c.Names != nil {
		options = append(options, libp2p.MultiaddrResolver(swarm.ResolverFromMaDNS{Resolver: c.Names}))
	}
	options = append(options, libp2p.EnableRelay()) // to dial peers behind routers
	if c.Reachable {
		options = append(options, h.relayOptions()...)
	}
	h.closing, h.close = context.WithCancel(context.Background())
	if h.libp2p, err = libp2p.New(options...); err != nil {
		return nil, listenError(c.Listen, err)
	}
	h.table.open = func() (*dht.IpfsDHT, error) {
		mode := dht.ModeServer
		if h.dialsOnly {
			mode = dht.ModeClient
		}
		return dht.New(h.libp2p, dht.Mode(mode), dht.ProtocolPrefix(dhtPrefix(c.Hello.Chain)),
			dht.BootstrapPeersFunc(h.Bootstrap), dht.DisableProviders(), dht.DisableValues())
	}
	if !h.dialsOnly { // a client asks the DHT for nothing, mostly
		if _, err := h.table.get(); err != nil {
			h.libp2p.Close()
			return nil, fmt.Errorf("DHT: %w", err)
		}
	}
	h.libp2p.Network().Notify(&network.NotifyBundle{ConnectedF: h.connected, DisconnectedF: func(n network.Network, c network.Conn) {
		h.admission.conns.forget(c)
		if !isConnected(n, c.RemotePeer()) {
			h.greeted.forget(c.RemotePeer())
		}
	}})
	if err := h.seeds.look(h.closing); err != nil && len(c.Listen) == 0 && len(bootstrap) == 0 {
		h.Close()
		return nil, fmt.Errorf("find the network: %w", err)
	}
	h.libp2p.SetStreamHandler(HelloProtocol, h.admitted(HelloProtocol, h.serveHello))
	return h, nil
}

// transports is TCP and QUIC, or QUIC over a wire.
func transports(w *wire.Wire) []libp2p.Option {
	if w != nil {
		return append(slices.Clone(w.Options), libp2p.Transport(quic.NewTransport))
	}
	return []libp2p.Option{libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(quic.NewTransport)}
}

// dhtPrefix keeps the networks' tables apart.
func dhtPrefix(chain string) protocol.ID { return protocol.ID("/walrus/" + chain) }

// probe says whether a port is free. The transports share ports (hole punching
// needs it), so without asking first two processes would split one between them.
func probe(listen string) error {
	m, err := ma.NewMultiaddr(listen)
	if err != nil {
		return err
	}
	addr, err := manet.ToNetAddr(m)
	if err != nil {
		return nil // not a plain TCP address: the transport will say
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.Port == 0 {
		return nil
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return err
	}
	return l.Close()
}

func listenError(listen []string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use") {
		return fmt.Errorf("listen on %s: the port is taken: stop what uses it or choose another listen address: %w", strings.Join(listen, ", "), err)
	}
	return fmt.Errorf("start the network host on %s: %w", strings.Join(listen, ", "), err)
}

// quicDelay is by how much QUIC starts later than TCP between nodes. Bulk over QUIC takes
// two to three times as long as over TCP, whatever the distance; TCP with TLS needs three
// round trips to connect, so that it is the first up to a third of a second from host to host
// and back.
const quicDelay = time.Second

// relayDelay is by how much a relay starts later than direct addresses of the same peer.
const relayDelay = 500 * time.Millisecond

// tcpDelay is by how much TCP starts later than QUIC at a client: about as long as QUIC takes
// to the other side of the world. A client that moves much has TCP for it beside (bulk).
const tcpDelay = 300 * time.Millisecond

// rankerOf is the order in which a host dials: a client connects fast, a node for bulk.
func rankerOf(c Config) network.DialRanker {
	if len(c.Listen) == 0 {
		return quicFirst
	}
	return tcpFirst
}

// tcpFirst prefers TCP for its speed; QUIC follows where TCP does not answer, and relays
// where direct addresses do not.
func tcpFirst(addrs []ma.Multiaddr) []network.AddrDelay {
	return ranked(addrs, isTCP, quicDelay)
}

// quicFirst prefers QUIC for its one round trip; TCP follows where QUIC does not answer.
func quicFirst(addrs []ma.Multiaddr) []network.AddrDelay {
	return ranked(addrs, func(a ma.Multiaddr) bool { return !isTCP(a) && !relayed(a) }, tcpDelay)
}

// ranked dials the addresses that are first at once and the others after a delay, or at once
// where none is first; relays after the direct ones.
func ranked(addrs []ma.Multiaddr, first func(ma.Multiaddr) bool, delay time.Duration) []network.AddrDelay {
	out := swarm.NoDelayDialRanker(addrs)
	isDirect := func(a ma.Multiaddr) bool { return !relayed(a) }
	direct, some := slices.ContainsFunc(addrs, isDirect), slices.ContainsFunc(addrs, first)
	for i, a := range out {
		switch {
		case relayed(a.Addr):
			if direct {
				out[i].Delay = relayDelay
			}
		case some && !first(a.Addr):
			out[i].Delay = delay
		}
	}
	return out
}

// Run joins the network and keeps the table of peers fresh until ctx ends.
func (h *Host) Run(ctx context.Context) error {
	table, err := h.table.get()
	if err == nil {
		err = table.Bootstrap(ctx)
	}
	if err != nil {
		return fmt.Errorf("join the DHT: %w", err)
	}
	const quick, calm = time.Second, time.Minute
	wait := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		h.callBootstrap(ctx)
		wait = calm
		if table.RoutingTable().Size() < min(3, len(h.Bootstrap())+1) {
			wait = quick
		}
		select {
		case <-ctx.Done():
			return nil
		case <-table.RefreshRoutingTable():
		}
	}
}

// callBootstrap calls all bootstrap addresses at once: one that does not answer holds up
// no other.
func (h *Host) callBootstrap(ctx context.Context) {
	if len(h.libp2p.Network().Peers()) == 0 {
		if err := h.seeds.look(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("the names of the network's first nodes lead nowhere", "err", err)
		}
	}
	var called sync.WaitGroup
	for _, b := range h.Bootstrap() {
		if b.ID == h.ID() || isConnected(h.libp2p.Network(), b.ID) {
			continue
		}
		called.Go(func() {
			if err := h.Connect(ctx, b.ID, nil); err != nil && ctx.Err() == nil {
				h.log.Debug("bootstrap address does not answer", "peer", b.ID, "err", err)
			}
		})
	}
	called.Wait()
}

// Close ends all connections and waits for the handlers that run.
func (h *Host) Close() error {
	h.close()
	h.closeLines()
	h.closeBulk()
	err := errors.Join(h.table.close(), h.libp2p.Close())
	h.handlers.Wait()
	return err
}

// ID is the peer ID of this process.
func (h *Host) ID() peer.ID { return h.libp2p.ID() }

// Addrs is where this host may be reached, as multiaddrs ending in /p2p/<peer ID>.
func (h *Host) Addrs() []string {
	var out []string
	for _, a := range h.libp2p.Addrs() {
		out = append(out, a.String()+"/p2p/"+h.ID().String())
	}
	return out
}

// Peers is the connected peers, and what each said of itself.
func (h *Host) Peers() map[peer.ID]Hello { return h.greeted.all() }

// RemoteIPs is the IP addresses that a peer's connections come from or go to.
func (h *Host) RemoteIPs(p peer.ID) (out []netip.Addr) {
	for _, c := range h.libp2p.Network().ConnsToPeer(p) {
		if ip, err := ipOf(c.RemoteMultiaddr()); err == nil && !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	return out
}

// Known is how many peers the DHT's table holds.
func (h *Host) Known() int { return h.table.size() }

// Bootstrap is the addresses the host was told of, those that its seeds stand for, and those
// that were of use to a process before.
func (h *Host) Bootstrap() []peer.AddrInfo {
	out := slices.Concat(h.bootstrap, h.seeds.addrs())
	if recalled := h.recalled.Load(); recalled != nil {
		out = append(out, *recalled...)
	}
	return out
}

// Recall adds peers to the bootstrap addresses.
func (h *Host) Recall(peers []peer.AddrInfo) { h.recalled.Store(&peers) }

// Connect makes sure there is a connection to p and that it belongs to our
// network. addrs are hints (from the ledger); without a live one the DHT is asked.
func (h *Host) Connect(ctx context.Context, p peer.ID, addrs []string) error {
	if !isConnected(h.libp2p.Network(), p) {
		if err := h.dial(ctx, p, addrs); err != nil {
			return err
		}
	}
	_, err := h.greet(ctx, p)
	return err
}

// open starts a stream of a protocol with a peer of our network. The hello goes out beside
// it: a peer of another network makes what reads from the stream fail with the reason.
func (h *Host) open(ctx context.Context, p peer.ID, addrs []string, id protocol.ID) (*session, error) {
	return h.openOn(ctx, p, addrs, func(network.Conn) (network.Stream, error) { return h.stream(ctx, p, id) })
}

// openOn is open with a way to open the stream once a connection stands.
func (h *Host) openOn(ctx context.Context, p peer.ID, addrs []string, stream func(network.Conn) (network.Stream, error)) (*session, error) {
	if !isConnected(h.libp2p.Network(), p) {
		if err := h.dial(ctx, p, addrs); err != nil {
			return nil, err
		}
	}
	_, greeted := h.greeted.get(p)
	var hello *session
	if !greeted { // before the stream: the peer reads in this order, mostly
		var err error
		if hello, err = h.startHello(ctx, p); err != nil {
			return nil, err
		}
	}
	var opened network.Stream
	err := fmt.Errorf("the connection to %s has ended", p)
	if conns := h.libp2p.Network().ConnsToPeer(p); len(conns) > 0 {
		opened, err = stream(conns[0])
	}
	if err != nil {
		if hello != nil {
			hello.stream.Reset()
		}
		return nil, err
	}
	s := newSession(opened)
	if hello != nil {
		h.handlers.Go(func() { h.endHello(h.closing, p, hello, func(why *Refusal) { s.stopped.Store(why) }) })
	}
	return s, nil
}

// PeerOf is the peer ID of an ed25519 public key: the same key names a node on the ledger.
func PeerOf(public ed25519.PublicKey) (peer.ID, error) {
	k, err := crypto.UnmarshalEd25519PublicKey(public)
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(k)
}

// KeyOf is the public key that a peer ID names.
func KeyOf(p peer.ID) (ed25519.PublicKey, error) {
	k, err := p.ExtractPublicKey()
	if err != nil {
		return nil, err
	}
	if k.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("peer %s has another kind of key than ed25519", p)
	}
	return k.Raw()
}
