package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
)

// Reach is how many peers reached a node at an address.
type Reach struct {
	Address string `json:"address"` // multiaddr
	Peers   int    `json:"peers"`   // that reached the node there
	Asked   int    `json:"asked"`   // that dialed it
}

// ErrNotReached is returned for a node that peers do not reach.
var ErrNotReached = errors.New("peers do not reach the node")

// DialBack has peers dial a node at addresses, up to 20 s long. A node that does not run is
// on the network for that time, where it will listen. An error is returned if no peer could
// be asked.
func DialBack(ctx context.Context, o Options) ([]Reach, error) {
	x := &examination{Options: o}
	var err error
	if x.file, err = node.LoadFile(o.Dir); err != nil {
		return nil, err
	}
	if !x.process(ctx) {
		c := x.Checks[len(x.Checks)-1]
		return nil, fmt.Errorf("%s: %s", c.Figure, c.Advice)
	}
	if !x.Running {
		if x.secret, err = node.LoadLooseSecret(o.Dir); err != nil {
			return nil, err
		}
		if x.network, err = x.file.LoadNetwork(o.Dir); err != nil {
			return nil, err
		}
	}
	around, err := x.around(ctx, o.Addresses)
	if err != nil {
		return nil, err
	}
	out := reaches(around)
	if len(out) == 0 {
		return nil, errors.New(whyUnasked(around))
	}
	return out, nil
}

// reaches counts the peers that reached a node, by address.
func reaches(s node.Surroundings) (out []Reach) {
	for _, d := range dialbacks(s) {
		r := Reach{Address: d.address}
		for _, seen := range d.seen {
			switch seen.Reach {
			case p2p.Reached:
				r.Peers, r.Asked = r.Peers+1, r.Asked+1
			case p2p.NotReached:
				r.Asked++
			}
		}
		out = append(out, r)
	}
	return out
}

// EnoughReach refuses a node that no peer reaches anywhere, or that names an address at
// which peers failed. Addresses that no peer could try are let pass beside one that is good.
func EnoughReach(list []Reach) error {
	var dead []string
	good := false
	for _, r := range list {
		good = good || r.Peers > 0
		if r.Peers == 0 && r.Asked > 0 {
			dead = append(dead, r.Address)
		}
	}
	switch {
	case len(dead) > 0:
		return fmt.Errorf("%w at %s: open the port in the firewall, forward it in the router, or name other addresses with --address; behind a router that forwards nothing, start the node (walrus node run), wait until walrus node status says that relays serve it, and go on then", ErrNotReached, strings.Join(dead, ", "))
	case !good:
		return fmt.Errorf("%w: no peer could try its addresses: name one that others can dial with --address, or run the node and wait until walrus node status says that peers or relays reach it", ErrNotReached)
	}
	return nil
}
