package rounds

import (
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
)

// Result is a network at its end.
type Result struct {
	Options
	Caught  int         `json:"caught"` // number, from 1, of the first round that node0 failed; 0: none
	Void    uint64      `json:"void_rounds"`
	Credits []Credit    `json:"nodes"`
	Slashes []NodeSlash `json:"slashes"`
}

// Credit is one node's shard-rounds in all epochs.
type Credit struct {
	ID       string `json:"id"`
	Assigned uint64 `json:"assigned"`
	Passed   uint64 `json:"passed"`
	Failed   uint64 `json:"failed"`
	Away     uint64 `json:"away"`
}

// NodeSlash is one slash with its node.
type NodeSlash struct {
	ID string `json:"id"`
	sim.Slash
}

// enter notes the first round that node0 failed.
func (s *simulation) enter(v ledger.View, r ledger.RoundState) error {
	if s.seen == r.Round || len(r.Drawings) == 0 {
		return nil
	}
	s.seen = r.Round
	s.asked++
	if s.out.Caught > 0 {
		return nil
	}
	t, err := v.Tally(r.Round.Epoch)
	if err != nil {
		return err
	}
	k, in := s.committee.Index(s.net.IDs[0])
	if in && t.Nodes[k].Failed > 0 {
		s.out.Caught = s.asked
	}
	return nil
}

// account enters the statements of the epoch that is over.
func (s *simulation) account(v ledger.View) error {
	books, known, err := v.Books(s.epoch())
	if err != nil || !known {
		return fmt.Errorf("no books of epoch %d: %w", s.epoch(), err)
	}
	s.out.Void += books.Tallied - books.Judged
	for i, id := range s.net.IDs {
		o, known, err := v.Statement(s.epoch(), id)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		c := &s.out.Credits[i]
		c.Assigned += o.Credit.Assigned
		c.Passed += o.Credit.Passed
		c.Failed += o.Credit.Failed
		c.Away += o.Credit.Away
		if slash, slashed := sim.SlashOf(o, s.epoch()); slashed {
			s.out.Slashes = append(s.out.Slashes, NodeSlash{sim.NodeName(i), slash})
		}
	}
	return nil
}
