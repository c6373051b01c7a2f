package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/p2p"
)

func TestPeersTellANodeWhereTheyReachIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		mine := n.nodes[1]
		addresses := []string{mine.place.Listen, fmt.Sprintf("/ip4/%s/udp/1/quic-v1", mine.place.IP)}
		got := LookAround(within(t), mine.host, addresses)
		if got.Answer == 0 || len(got.Clocks) != got.Answer || !slices.Equal(got.Addresses, addresses) {
			t.Fatalf("%+v", got)
		}
		if len(got.Seen) != 2 || len(got.Seen[0]) == 0 || len(got.Seen[1]) == 0 || got.Seen[0][0].Reach != p2p.Reached || got.Seen[1][0].Reach != p2p.NotReached {
			t.Errorf("%+v", got.Seen)
		}
	})
}
