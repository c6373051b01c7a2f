package client

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// Member is a node as those who fetch from it see it.
type Member struct {
	Peer   peer.ID
	Addrs  []string // hints from the ledger; the DHT knows the rest
	BLS    token.BLSPublicKey
	Shards int
}

// Directory says who holds which shard in an epoch. The members are the committee's,
// in its order.
type Directory struct {
	Chain   token.ChainID
	Epoch   uint64
	Shape   blob.Shape
	Members []Member
	// Holder has, for each shard, the index of the member with the duty.
	Holder []int
	// From has, for each shard that is being handed over, the index of the member
	// who still serves it, else -1.
	From []int
}

// holders is whom to ask for a place of a blob, best first: while a shard is handed
// over its old holder has everything, its new one perhaps.
func (d *Directory) holders(id blob.ID, p blob.Place) []int {
	shard := id.ShardOf(p, d.Shape.N)
	if from := d.From[shard]; from >= 0 {
		return []int{from, d.Holder[shard]}
	}
	return []int{d.Holder[shard]}
}

// placesOf is the places of a blob that each member has the duty to hold.
func (d *Directory) placesOf(id blob.ID) [][]blob.Place {
	out := make([][]blob.Place, len(d.Members))
	for p := range d.Shape.N {
		m := d.Holder[id.ShardOf(blob.Place(p), d.Shape.N)]
		out[m] = append(out[m], blob.Place(p))
	}
	return out
}
