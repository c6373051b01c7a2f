package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p/internal/wire"
)

// DialbackProtocol asks a peer whether it reaches the asker at addresses that the asker
// names. The peer dials each from a process of no name, over a connection of its own,
// and says whether the asker's key answers there.
//
// A node that dials what a stranger names can be made to knock at another's door. So
// only IP addresses are dialed, and only the one that the asker's own connection comes
// from: that address has shown by a handshake that it wants this traffic, and no third
// one gets any. A relay is dialed where this host knows it to be, and only if it is a node
// of the ledger: such nodes relay by choice. (To let the asker pay with bytes first, as others do, would let it name
// any address, and would cost a third party a handshake.) The price is that a node with
// an IPv4 and an IPv6 address learns of one at a time, and that a router which lets in
// the peers that were called through it answers more kindly than it does to strangers.
const DialbackProtocol protocol.ID = "/walrus/dialback/1"

const (
	kindDialMe kind = 1
	kindDialed kind = 2

	// MaxDialback is how many addresses one question names.
	MaxDialback = 8

	maxDialAddress   = 256             // bytes of an address
	maxDialText      = 256             // bytes of a reason
	maxRelayWays     = 4               // addresses of a relay that are dialed
	dialbackLimit    = 5 * time.Second // for all addresses of a question, dialed at the same time
	maxDialbacks     = 4               // questions answered at once
	dialbackSpan     = time.Minute     // in which these are allowed:
	maxDialbackSpan  = 64              // questions in all
	maxDialbackOfOne = 24              // of one IP address, or network of 64 bits
)

// dialMe asks to be dialed at addresses; of none only the clock is asked for.
type dialMe struct {
	_         struct{} `cbor:",toarray"`
	Addresses []string // multiaddrs, without the peer ID
}

// dialMeAnswer answers for each address, in their order.
type dialMeAnswer struct {
	_      struct{} `cbor:",toarray"`
	TimeMs int64    // the answerer's clock as it answers, in Unix milliseconds
	Seen   []AddressReport
}

// Reach is what came of dialing an address.
type Reach uint8

const (
	Reached     Reach = 1 // the asker's key answers there
	NotReached  Reach = 2 // nothing does, or another key
	NotDialable Reach = 3 // not tried: see the text
)

// AddressReport is what a peer saw at an address.
type AddressReport struct {
	_     struct{} `cbor:",toarray"`
	Reach Reach
	Text  string // why it was not reached or tried; a stranger's words, bounded
}

// Dialback is a peer's answer.
type Dialback struct {
	Clock time.Duration   // by how much the peer's clock is ahead of ours, less the way here
	Seen  []AddressReport // of each address, in their order
}

// dialbacks answers, within bounds.
type dialbacks struct {
	now   func() time.Time
	slots *slots
	wire  *wire.Wire                   // of the host that answers
	relay func(peer.ID) []ma.Multiaddr // addresses at which a relay that the asker names may be dialed

	mu     sync.Mutex        // guards recent
	recent []dialbackRequest // the oldest first, at most maxDialbackSpan
}

type dialbackRequest struct {
	from netip.Prefix
	at   time.Time
}

// ServeDialback answers the dial-back protocol.
func (h *Host) ServeDialback() {
	h.serveDialback(&dialbacks{now: time.Now, slots: newSlots(maxDialbacks, 1), wire: h.wire, relay: h.knownRelay})
}

func (h *Host) serveDialback(d *dialbacks) {
	h.serve(DialbackProtocol, func(ctx context.Context, s *session) error {
		err := d.answer(ctx, s)
		if err != nil && s.refuse(err) == nil {
			s.linger()
		}
		return nil
	})
}

func (d *dialbacks) answer(ctx context.Context, s *session) error {
	from, err := ipOf(s.stream.Conn().RemoteMultiaddr())
	if err != nil {
		return Refuse(CodeBadRequest, "you come through a relay: there is no address of yours that could be dialed")
	}
	// First the question: a silent peer must not take a place for it.
	what, body, err := s.receive(firstLimit)
	if err != nil {
		return err
	}
	q, err := readDialMe(what, body)
	if err != nil {
		return err
	}
	release, ok := d.slots.take(s.peer())
	if !ok {
		return Refuse(CodeBusy, "%d questions at once, one of a peer: try again in a moment", maxDialbacks)
	}
	defer release()
	if !d.admit(from) {
		return Refuse(CodeBusy, "%d questions a minute, %d from one place: try again in a minute", maxDialbackSpan, maxDialbackOfOne)
	}
	out := dialMeAnswer{Seen: d.dialAll(ctx, s.peer(), from, q.Addresses)}
	out.TimeMs = d.now().UnixMilli()
	if err := s.send(kindDialed, out); err != nil {
		return err
	}
	return s.flush()
}

// admit counts a question from an address, unless there were too many.
func (d *dialbacks) admit(from netip.Addr) bool {
	bits := from.BitLen()
	if from.Is6() {
		bits = 64 // the owner of one such address has all of them
	}
	place, err := from.Prefix(bits)
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for len(d.recent) > 0 && now.Sub(d.recent[0].at) >= dialbackSpan {
		d.recent = d.recent[1:]
	}
	same := 0
	for _, a := range d.recent {
		if a.from == place {
			same++
		}
	}
	if len(d.recent) >= maxDialbackSpan || same >= maxDialbackOfOne {
		return false
	}
	d.recent = append(d.recent, dialbackRequest{place, now})
	return true
}

// readDialMe reads a stranger's question.
func readDialMe(what kind, body []byte) (q dialMe, err error) {
	if what != kindDialMe {
		return q, Refuse(CodeBadRequest, "unknown request %d", what)
	}
	if err := canon.Decode(body, &q); err != nil {
		return q, badRequest(err)
	}
	if len(q.Addresses) > MaxDialback {
		return q, Refuse(CodeBadRequest, "%d addresses: name at most %d", len(q.Addresses), MaxDialback)
	}
	for _, a := range q.Addresses {
		if len(a) > maxDialAddress {
			return q, Refuse(CodeBadRequest, "an address of %d bytes: at most %d", len(a), maxDialAddress)
		}
	}
	return q, nil
}

// dialAll dials the addresses of a peer that comes from an IP address.
func (d *dialbacks) dialAll(ctx context.Context, p peer.ID, from netip.Addr, addresses []string) []AddressReport {
	ctx, cancel := context.WithTimeout(ctx, dialbackLimit)
	defer cancel()
	out := make([]AddressReport, len(addresses))
	var all sync.WaitGroup
	for i, text := range addresses {
		all.Go(func() {
			out[i] = AddressReport{Reach: NotDialable, Text: ErrPanic.Error()}
			_ = Guard(slog.Default(), "dial back", func() error {
				out[i] = d.dialOne(ctx, p, from, text)
				return nil
			})
		})
	}
	all.Wait()
	return out
}

func (d *dialbacks) dialOne(ctx context.Context, p peer.ID, from netip.Addr, text string) AddressReport {
	addrs, err := d.dialTargets(p, from, text)
	if err != nil {
		return AddressReport{Reach: NotDialable, Text: Clean(err.Error(), maxDialText)}
	}
	if err := dialFresh(ctx, d.wire, p, addrs); err != nil {
		return AddressReport{Reach: NotReached, Text: Clean(err.Error(), maxDialText)}
	}
	return AddressReport{Reach: Reached}
}

// dialTargets is the addresses that may be dialed for a peer that comes from an IP address
// and names one.
func (d *dialbacks) dialTargets(p peer.ID, from netip.Addr, text string) ([]ma.Multiaddr, error) {
	m, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, errors.New("it is no multiaddr")
	}
	addr, named := peer.SplitAddr(m)
	if named != "" && named != p {
		return nil, errors.New("it is another peer's")
	}
	if relayed(addr) {
		return d.relayTargets(addr)
	}
	if err := dialable(addr, from); err != nil {
		return nil, err
	}
	return []ma.Multiaddr{addr}, nil
}

// relayTargets is the ways through the relay that an address names: to where this host
// knows the relay to be, whatever the address says.
func (d *dialbacks) relayTargets(addr ma.Multiaddr) (out []ma.Multiaddr, err error) {
	relay, ok := relayOf(addr)
	if !ok {
		return nil, errors.New("it names no relay")
	}
	circuit := ma.StringCast("/p2p/" + relay.ID.String() + "/p2p-circuit")
	for _, a := range d.relay(relay.ID) {
		out = append(out, a.Encapsulate(circuit))
	}
	if len(out) == 0 {
		return nil, errors.New("its relay is no node of the ledger to which this one is connected")
	}
	return out[:min(len(out), maxRelayWays)], nil
}

// dialable says whether an address may be dialed for a peer that comes from an IP address.
func dialable(addr ma.Multiaddr, from netip.Addr) error {
	var codes []int
	for _, c := range addr {
		codes = append(codes, c.Protocol().Code)
	}
	switch {
	case len(codes) == 2 && codes[1] == ma.P_TCP:
	case len(codes) == 3 && codes[1] == ma.P_UDP && codes[2] == ma.P_QUIC_V1:
	default:
		return errors.New("it is neither an IP address with a TCP port nor one with QUIC")
	}
	ip, err := ipOf(addr)
	if err != nil {
		return errors.New("it names no IP address")
	}
	if ip != from {
		return fmt.Errorf("you come from %s, and no other address is dialed for you", from)
	}
	return nil
}

func ipOf(m ma.Multiaddr) (netip.Addr, error) {
	if _, err := m.ValueForProtocol(ma.P_CIRCUIT); err == nil {
		return netip.Addr{}, errors.New("through a relay")
	}
	raw, err := manet.ToIP(m)
	if err != nil {
		return netip.Addr{}, err
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return ip, errors.New("no IP address")
	}
	return ip.Unmap(), nil
}

// dialFresh makes a connection from a process of no name, and ends it: so it is
// no connection that stands already, and the handshake shows whose key answers.
func dialFresh(ctx context.Context, w *wire.Wire, p peer.ID, addrs []ma.Multiaddr) error {
	h, err := libp2p.New(append(transports(w), libp2p.NoListenAddrs, libp2p.EnableRelay(), libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(), libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.Security(tls.ID, tls.New), libp2p.Security(noise.ID, noise.New))...)
	if err != nil {
		return err
	}
	defer h.Close()
	h.Peerstore().AddAddrs(p, addrs, peerstore.TempAddrTTL)
	_, err = h.Network().DialPeer(throughRelays(ctx), p)
	return err
}

// Dial says of each address whether a peer answers there, by a connection of its own, in up
// to five seconds.
func (h *Host) Dial(ctx context.Context, p peer.ID, addresses []string) []AddressReport {
	ctx, cancel := context.WithTimeout(ctx, dialbackLimit)
	defer cancel()
	out := make([]AddressReport, len(addresses))
	var all sync.WaitGroup
	for i, text := range addresses {
		all.Go(func() {
			info, err := peer.AddrInfoFromString(text)
			if err == nil && info.ID != p {
				err = errors.New("it is another peer's")
			}
			if err == nil {
				err = dialFresh(ctx, h.wire, p, info.Addrs)
			}
			out[i] = AddressReport{Reach: Reached}
			if err != nil {
				out[i] = AddressReport{Reach: NotReached, Text: Clean(err.Error(), maxDialText)}
			}
		})
	}
	all.Wait()
	return out
}

// AskDialback asks a peer to dial addresses of this host, at most MaxDialback. Of no
// addresses it asks for the peer's clock only.
func (h *Host) AskDialback(ctx context.Context, p peer.ID, addresses []string) (Dialback, error) {
	fail := func(err error) (Dialback, error) {
		return Dialback{}, fmt.Errorf("ask %s to dial back: %w", p, err)
	}
	s, err := h.open(ctx, p, nil, DialbackProtocol)
	if err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { s.stream.Reset() })
	out, err := s.askDialback(addresses)
	if !stop() && err != nil {
		err = ctx.Err()
	}
	s.close(err)
	if err != nil {
		return fail(err)
	}
	return out, nil
}

func (s *session) askDialback(addresses []string) (out Dialback, err error) {
	if err := s.send(kindDialMe, dialMe{Addresses: addresses}); err != nil {
		return out, err
	}
	if err := s.flush(); err != nil {
		return out, err
	}
	var d dialMeAnswer
	if err := s.expect(kindDialed, &d, idleLimit); err != nil {
		return out, err
	}
	if err := d.check(len(addresses)); err != nil {
		return out, err
	}
	return Dialback{Clock: time.UnixMilli(d.TimeMs).Sub(s.now()), Seen: d.Seen}, nil
}

// check bounds what a stranger answers to so many addresses.
func (d dialMeAnswer) check(addresses int) error {
	if len(d.Seen) != addresses {
		return fmt.Errorf("%d answers for %d addresses: %w", len(d.Seen), addresses, ErrProtocol)
	}
	for i, seen := range d.Seen {
		if seen.Reach < Reached || seen.Reach > NotDialable {
			return fmt.Errorf("an answer of kind %d: %w", seen.Reach, ErrProtocol)
		}
		d.Seen[i].Text = Clean(seen.Text, maxDialText)
	}
	return nil
}
