package p2p

import (
	"math"
	"net/netip"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// allProtocols is every stream protocol of this package.
var allProtocols = []protocol.ID{HelloProtocol, FragmentProtocol, LedgerProtocol, ProofProtocol, DialbackProtocol}

// Connections by address, and what has not ended its handshake yet. These are libp2p's
// own limits: they refuse, while places find out which guest makes room.
const (
	maxIPv4Conns   = 64   // of one IPv4 address: a router may have many clients behind it
	maxIPv4Net     = 512  // of 24 bits: a committee may stand in one house
	maxIPv6Net     = 256  // of 56 bits
	maxIPv6Site    = 1024 // of 48 bits
	maxHandshaking = 1024
	maxAllConns    = 4096
)

// newLimits sets the resource limits for this use. The defaults are made for chatter,
// and refuse the newest: a few strangers shut all others out. Here they
// stand above what places allow, so that places decide.
func newLimits(countLoopback bool) (network.ResourceManager, error) {
	defaults := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&defaults)
	streams := rcmgr.BaseLimit{Streams: 16384, StreamsInbound: 12288, StreamsOutbound: 4096, Memory: 4 << 30}
	// A stream that is refused is there for a moment too.
	perPeer := rcmgr.BaseLimit{Streams: 512, StreamsInbound: 4 * maxPeerStreams, StreamsOutbound: 512, Memory: 64 << 20}
	for _, p := range allProtocols {
		defaults.AddProtocolLimit(p, streams, rcmgr.BaseLimitIncrease{})
		defaults.AddProtocolPeerLimit(p, perPeer, rcmgr.BaseLimitIncrease{})
	}
	// A peer has one stream each way; there may be another for a moment while it starts anew.
	defaults.AddProtocolLimit(gossipProtocol, streams, rcmgr.BaseLimitIncrease{})
	defaults.AddProtocolPeerLimit(gossipProtocol, rcmgr.BaseLimit{Streams: 16, StreamsInbound: 8, StreamsOutbound: 8, Memory: 64 << 20}, rcmgr.BaseLimitIncrease{})
	limitRelay(&defaults)
	defaults.PeerBaseLimit.Streams = 1024
	defaults.PeerBaseLimit.StreamsInbound = 128
	defaults.PeerBaseLimit.StreamsOutbound = 1024

	all := &defaults.SystemBaseLimit
	all.Conns, all.ConnsInbound, all.ConnsOutbound = maxAllConns, maxAllConns, maxAllConns
	all.Streams, all.StreamsInbound, all.StreamsOutbound = 4*streams.Streams, 4*streams.StreamsInbound, 4*streams.StreamsOutbound
	// What libp2p counts here is the windows that streams may fill, not what they hold.
	all.Memory, all.FD = 16<<30, maxAllConns
	young := &defaults.TransientBaseLimit
	young.Conns, young.ConnsInbound, young.ConnsOutbound = maxHandshaking, maxHandshaking, maxHandshaking
	young.Streams, young.StreamsInbound, young.StreamsOutbound = 8192, 4096, 4096
	young.Memory, young.FD = 4<<30, maxHandshaking

	options := []rcmgr.Option{rcmgr.WithConnRateLimiters(newConnRates()), rcmgr.WithLimitPerSubnet(
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: maxIPv4Conns}, {PrefixLength: 24, ConnCount: maxIPv4Net}},
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: maxIPv6Net}, {PrefixLength: 48, ConnCount: maxIPv6Site}})}
	if countLoopback {
		// An empty list is none; nil would be the default, which exempts loopback.
		options = append(options, rcmgr.WithNetworkPrefixLimit([]rcmgr.NetworkPrefixLimit{}, []rcmgr.NetworkPrefixLimit{}))
	} else {
		options = append(options, rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("127.0.0.0/8"), ConnCount: math.MaxInt}},
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::1/128"), ConnCount: math.MaxInt}}))
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(defaults.AutoScale()), options...)
}
