package fetch

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
)

// Member is a node that holds shards.
type Member struct {
	Peer   peer.ID
	Addrs  []string // multiaddrs to dial first; the DHT may know more
	Shards int      // number of shards whose Holder it is
}

// Directory says which member holds which shard.
type Directory struct {
	Shape   blob.Shape
	Members []Member
	// Holder has, for each shard, the index in Members of the node with the duty.
	Holder []int
	// From has, for each shard, the index in Members of the node that still serves the
	// shard while it is handed over, or -1.
	From []int

	without map[int]bool // members that are not asked
}

// but is the directory with some members that are not asked.
func (d *Directory) but(members ...int) *Directory {
	out := *d
	out.without = map[int]bool{}
	for _, m := range members {
		out.without[m] = true
	}
	return &out
}

// holders lists the members to ask for a place of a blob, best first. During a
// hand-over the old holder has every fragment, and the new holder may lack some.
func (d *Directory) holders(id blob.ID, p blob.Place) []int {
	shard := id.ShardOf(p, d.Shape.N)
	out := []int{d.Holder[shard]}
	if from := d.From[shard]; from >= 0 {
		out = []int{from, d.Holder[shard]}
	}
	return slices.DeleteFunc(out, func(m int) bool { return d.without[m] })
}

// hosts is where the members may be reached.
func (d *Directory) hosts() []peer.AddrInfo {
	out := make([]peer.AddrInfo, len(d.Members))
	for i, m := range d.Members {
		out[i].ID = m.Peer
		for _, a := range m.Addrs {
			if parsed, err := peer.AddrInfoFromString(a); err == nil && parsed.ID == m.Peer {
				out[i].Addrs = append(out[i].Addrs, parsed.Addrs...)
			}
		}
	}
	return out
}

// recalledPeers is how many members of a directory of before serve as bootstrap addresses.
const recalledPeers = 16

// Recall lets the host, which nothing uses yet, begin with members of a directory of before.
func (f *Fetcher) Recall(d *Directory) {
	hosts := slices.DeleteFunc(d.hosts(), func(p peer.AddrInfo) bool { return len(p.Addrs) == 0 })
	f.host.Recall(hosts[:min(len(hosts), recalledPeers)])
}

// Places lists, for each member, the places of a blob that it has the duty to hold,
// ascending.
func (d *Directory) Places(id blob.ID) [][]blob.Place {
	out := make([][]blob.Place, len(d.Members))
	for p := range d.Shape.N {
		m := d.Holder[id.ShardOf(blob.Place(p), d.Shape.N)]
		out[m] = append(out[m], blob.Place(p))
	}
	return out
}
