package client

import (
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// committee is the directory of an epoch with the keys that certify in it.
type committee struct {
	*fetch.Directory
	epoch unit.Epoch
	keys  []token.BLSPublicKey // of the members, in their order
}

// DirectoryOf reads which node holds which shard in the present epoch. The members are
// those of the epoch's committee, in its order. Errors: those of the view.
func DirectoryOf(v ledger.View) (*fetch.Directory, error) {
	c, err := readCommittee(v)
	return c.Directory, err
}

func readCommittee(v ledger.View) (committee, error) {
	if err := v.PrefetchCommittee(); err != nil {
		return committee{}, err
	}
	head, err := v.Head()
	if err != nil {
		return committee{}, err
	}
	params, err := v.Params()
	if err != nil {
		return committee{}, err
	}
	shape, err := params.Shape()
	if err != nil {
		return committee{}, err
	}
	of, err := v.Committee(head.Epoch)
	if err != nil {
		return committee{}, err
	}
	// A large committee does not fit into the first answer.
	var keys [][]byte
	for _, m := range of.Nodes {
		keys = append(keys, ledger.KeyNode(m.ID))
	}
	if err := v.Prefetch(keys...); err != nil {
		return committee{}, err
	}
	c := committee{Directory: &fetch.Directory{Shape: shape}, epoch: head.Epoch}
	for _, m := range of.Nodes {
		record, _, err := v.Node(m.ID)
		if err != nil {
			return committee{}, err
		}
		id, err := p2p.PeerOf(m.ID[:])
		if err != nil {
			return committee{}, err
		}
		c.Members = append(c.Members, fetch.Member{Peer: id, Addrs: record.Addresses, Shards: m.Shards})
		c.keys = append(c.keys, m.BLS)
	}
	index := func(id staking.NodeID) int {
		if i, ok := of.Index(id); ok && !id.IsZero() {
			return i
		}
		return -1
	}
	for s := range of.Holder {
		c.Holder = append(c.Holder, index(of.Holder[s]))
		c.From = append(c.From, index(of.From[s]))
	}
	return c, nil
}
