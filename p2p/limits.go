package p2p

import (
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// allProtocols is every stream protocol of this package.
var allProtocols = []protocol.ID{HelloProtocol, FragmentProtocol, LedgerProtocol, ProofProtocol, DialbackProtocol}

// newLimits sets the resource limits for this use. The defaults (75 inbound
// streams per peer and protocol, 151 outbound) are made for chatter; a repairer
// asks many nodes for many symbols at once.
func newLimits() (network.ResourceManager, error) {
	defaults := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&defaults)
	streams := rcmgr.BaseLimit{Streams: 4096, StreamsInbound: 1024, StreamsOutbound: 4096, Memory: 256 << 20}
	perPeer := rcmgr.BaseLimit{Streams: 512, StreamsInbound: 128, StreamsOutbound: 512, Memory: 64 << 20}
	for _, p := range allProtocols {
		defaults.AddProtocolLimit(p, streams, rcmgr.BaseLimitIncrease{})
		defaults.AddProtocolPeerLimit(p, perPeer, rcmgr.BaseLimitIncrease{})
	}
	// Who is refused at the door of the proofs has a stream for a moment too; a few peers
	// must not have all of them, and with them the members' ones.
	perPeer.StreamsInbound = 4 * maxPeerPulls
	defaults.AddProtocolPeerLimit(ProofProtocol, perPeer, rcmgr.BaseLimitIncrease{})
	// A peer has one stream each way; there may be another for a moment while it starts anew.
	defaults.AddProtocolLimit(gossipProtocol, streams, rcmgr.BaseLimitIncrease{})
	defaults.AddProtocolPeerLimit(gossipProtocol, rcmgr.BaseLimit{Streams: 16, StreamsInbound: 8, StreamsOutbound: 8, Memory: 64 << 20}, rcmgr.BaseLimitIncrease{})
	defaults.PeerBaseLimit.Streams = 1024
	defaults.PeerBaseLimit.StreamsInbound = 512
	defaults.PeerBaseLimit.StreamsOutbound = 1024
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(defaults.AutoScale()))
}
