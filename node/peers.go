package node

import (
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// maxGuides is how many peers outside the committee may be dialed at a time by a node
// that has yet to catch up.
const maxGuides = 4

// peers is where the ledgers of others may be dialed: those of the committees that this
// node knows, at the address that the ledger has.
//
// A peer's hello corrects that only to the IP address that the hello came from, whose
// handshake has shown that it wants this traffic: so no word of a stranger makes this
// node look up a name or knock at a third door. A node that is not at the tip may not
// know the committee of today; until it is, a few others are dialed on the same terms.
func (d *daemon) peers() []comet.Peer {
	v, release, err := d.chain.Machine().Hold()
	if err != nil {
		return nil // asked again in a second
	}
	defer release()
	head, err := v.Head()
	if err != nil {
		return nil
	}
	var out []comet.Peer
	known := map[peer.ID]bool{}
	for e := head.Epoch.Minus(1); e <= head.Epoch+1; e++ {
		c, err := v.Committee(e)
		if err != nil {
			continue // not there, or forgotten
		}
		for _, x := range c.Nodes {
			p, err := p2p.PeerOf(x.ID[:])
			if err != nil || known[p] {
				continue
			}
			known[p] = true
			if n, ok, err := v.Node(x.ID); err == nil && ok && n.Comet != "" {
				out = append(out, comet.Peer{Key: x.ID.PublicKey(), Addr: n.Comet})
			}
		}
	}
	guides := 0
	for p, hello := range d.host.Peers() {
		if !known[p] && (d.chain.AtTip() || guides == maxGuides) {
			continue
		}
		key, err := p2p.KeyOf(p)
		addr := corrected(hello.Ledger, d.host.RemoteIPs(p))
		if err != nil || addr == "" {
			continue
		}
		if !known[p] {
			guides++
		}
		out = append(out, comet.Peer{Key: token.PublicKey(key), Addr: addr})
	}
	return out
}

// corrected is the address that a peer names, if it names one of the IP addresses that
// its own connections come from; else nothing.
func corrected(named string, from []netip.Addr) string {
	host, port, err := net.SplitHostPort(named)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host) // a name is not looked up
	if err != nil {
		return ""
	}
	for _, f := range from {
		if ip.Unmap() == f {
			return net.JoinHostPort(f.String(), port)
		}
	}
	return ""
}
