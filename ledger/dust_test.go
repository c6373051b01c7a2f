package ledger

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// A slash leaves shares that are worth less than a FROST each. The last of them leaves
// with no money, and no record of the delegation stays.
func TestADelegationOfWorthlessSharesCanBeClosed(t *testing.T) {
	s := newSaga(t, "Dust", func(p *Params) { p.Subsidy = 0 })
	carol, op, node := s.court.users[1], s.court.users[0], s.court.g.Nodes[3].ID
	for _, other := range s.court.g.Nodes {
		if other.ID != node {
			s.court.do(op, Bond{Node: other.ID, Amount: 300 * token.WAL})
		}
	}
	s.court.do(carol, Delegate{Node: node, Amount: 500 * token.WAL})
	s.toNext()
	s.passes()
	s.toNext()
	power := int64(len(s.court.committee().Duty(node)))
	if _, err := s.court.l.Run(Block{DoubleSigns: []DoubleSign{{Node: node, Height: s.court.head().EpochStart - 3, Power: power}}}); err != nil {
		t.Fatal(err)
	}
	s.toNext()
	if got := s.court.pool(node).Rate().Worth(1); got != 0 {
		t.Fatalf("a share is worth %s after the slash: this tests nothing", got)
	}
	draw := func() {
		t.Helper()
		for end := s.epochNow() + 6; ; s.passes() {
			err := s.court.try(carol, Withdraw{Node: node})
			if err == nil {
				return
			}
			if !errors.Is(err, ErrNothing) || s.epochNow() > end {
				t.Fatalf("epoch %d: %v", s.epochNow(), err)
			}
		}
	}
	s.court.do(carol, Undelegate{Node: node, Shares: s.shares(carol, node) - 1})
	draw()
	if n := s.shares(carol, node); n != 1 {
		t.Fatalf("%d shares are left, want the last", n)
	}
	before := s.court.account(carol).Balance
	s.court.do(carol, Undelegate{Node: node, Shares: 1})
	draw()
	if after := s.court.account(carol).Balance; after+2*fee != before {
		t.Errorf("a share that is worth nothing has brought money: %s, then %s", before, after)
	}
	if d, there, err := s.court.view().Delegation(carol.Address(), node); err != nil || there {
		t.Errorf("the delegation stays: %+v, %v", d, err)
	}
	if err := s.court.try(carol, Withdraw{Node: node}); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing is drawn twice: %v", err)
	}
	s.court.balanced()
}
