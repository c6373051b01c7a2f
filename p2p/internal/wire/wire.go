// Package wire is the seam between a host and what carries its packets.
//
// The promise: only packages below p2p can make a Wire, so that no program of this module
// can put anything but the machine's own sockets below its host.
package wire

import "github.com/libp2p/go-libp2p"

// Wire carries a host's packets in place of the machine's sockets: options that give
// libp2p's QUIC another packet connection, and leave the host as it is otherwise.
type Wire struct{ Options []libp2p.Option }
