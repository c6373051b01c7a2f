package adversary

import (
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/staking"
)

// What a grinder leaves out, a block can do without.
func TestAGrinderLeavesTwoThirdsInItsBlock(t *testing.T) {
	var c ledger.Committee
	var p comet.ProposerView
	seen := map[staking.NodeID]bool{}
	for i := range 10 {
		id := staking.NodeID{byte(i + 1)}
		var n = c.Nodes
		n = append(n, ledger.Member{ID: id, Power: 1})
		c.Nodes = n
		seen[id] = true
		p.Seen = append(p.Seen, ledger.VoteExtension{Node: id, Power: 1})
	}
	p.Self = c.Nodes[0].ID
	if got := spare(p, c, seen); len(got) != 3 || got[0] == p.Self {
		t.Errorf("leaves out %v", got)
	}
	p.Seen = p.Seen[:8]
	if got := spare(p, c, seen); len(got) != 1 {
		t.Errorf("of eight it leaves out %v", got)
	}
}
