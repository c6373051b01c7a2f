package client

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Verdict says in a word how safe a certified blob is, by the shards that count for it.
type Verdict string

// The verdicts, best first.
const (
	Safe     Verdict = "safe"     // as many shards as any write must reach, or more
	Weakened Verdict = "weakened" // fewer, but more than it takes to bring it back
	Doubtful Verdict = "doubtful" // no more than it takes, or fewer: nothing to spare, as far as is known
)

// Safety is how safe a certified blob is. What is not certain does not count, though it
// may well be there. A shard counts for one of three reasons, each newer than the one
// before, and the newest that is known decides:
//
//   - the ledger: its holder has stated that it holds all of it, with the certificate, or
//     with a report that it is ready since;
//   - a proof: it passed in the last round in which the blob was drawn;
//   - presence: its holder gave a part of it now, with its proof.
type Safety struct {
	Verdict Verdict
	Shards  int              // N
	Needed  int              // k1: any so many bring the blob back
	Ready   int              // shards whose holder is ready
	Moving  int              // shards being handed over, which their old holders keep meanwhile
	Stated  int              // shards that count by the ledger
	Proved  int              // and by the last draw; 0 where there was none
	Counted int              // shards that count
	Drawn   *ledger.LastDraw // nil: it was not drawn yet
	Nodes   []Holding        // most counted shards first

	Asked        bool // the nodes were asked now
	Answered     int  // shards that were shown now
	Denied       int  // shards that count by what is older, and are not there now
	SilentNodes  int  // nodes that did not answer
	SilentShards int  // shards that count and whose holders did not answer

	SpareShards int // whatever shards are lost, so many can be
	SpareNodes  int // and so many nodes, those with the most first
}

// Holding is a node's part of a blob.
type Holding struct {
	Node    staking.NodeID
	Shards  int // that it is ready for
	Counted int // of these
	Silent  bool
}

// Known is what is known of a blob's holders beside the committee.
type Known struct {
	Stated func(staking.NodeID) bool          // it has stated that it holds all of its shards
	Drawn  *ledger.LastDraw                   // nil: not drawn yet
	Now    map[staking.NodeID]fetch.NodeAudit // what came of asking now; nil: no node was asked
}

// SafetyOf works out how safe a certified blob is.
func SafetyOf(c ledger.Committee, shape blob.Shape, known Known) Safety {
	s := Safety{Shards: shape.N, Needed: shape.K1, Drawn: known.Drawn, Asked: known.Now != nil}
	parts := map[staking.NodeID]*Holding{}
	for i, holder := range c.Holder {
		if !c.From[i].IsZero() {
			s.Moving++
			continue
		}
		if parts[holder] == nil {
			parts[holder] = &Holding{Node: holder}
		}
		p := parts[holder]
		s.Ready++
		p.Shards++
		stated := known.Stated(holder)
		proved := known.Drawn != nil && known.Drawn.Proved(blob.Shard(i))
		if stated {
			s.Stated++
		}
		if proved {
			s.Proved++
		}
		if proved || stated && known.Drawn == nil {
			p.Counted++
		}
	}
	for _, m := range c.Nodes {
		if p := parts[m.ID]; p != nil {
			s.present(p, known.Now)
			s.Counted += p.Counted
			s.Nodes = append(s.Nodes, *p)
		}
	}
	s.judge(shape)
	return s
}

// present lets what a node shows now decide, where it answers.
func (s *Safety) present(p *Holding, now map[staking.NodeID]fetch.NodeAudit) {
	if now == nil {
		return
	}
	a, asked := now[p.Node]
	if !asked || a.Asked == 0 || a.Refused > 0 {
		p.Silent = true
		s.SilentNodes++
		s.SilentShards += p.Counted
		return
	}
	held := min(a.Held, p.Shards)
	s.Answered += held
	s.Denied += max(0, p.Counted-held)
	p.Counted = held
}

func (s *Safety) judge(shape blob.Shape) {
	slices.SortStableFunc(s.Nodes, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(b.Counted, a.Counted), cmp.Compare(b.Shards, a.Shards))
	})
	s.SpareShards = max(0, s.Counted-shape.K1)
	left := s.Counted
	for _, n := range s.Nodes {
		if left -= n.Counted; left < shape.K1 || n.Counted == 0 {
			break
		}
		s.SpareNodes++
	}
	switch {
	case s.Counted >= shape.K2:
		s.Verdict = Safe
	case s.Counted > shape.K1:
		s.Verdict = Weakened
	default:
		s.Verdict = Doubtful
	}
}

// String is the answer in a line.
func (s Safety) String() string {
	what := "signed for it"
	switch {
	case s.Asked && s.SilentNodes == 0:
		what = "show it now"
	case s.Drawn != nil:
		what = "proved it"
	}
	holders := 0
	for _, n := range s.Nodes {
		if n.Counted > 0 {
			holders++
		}
	}
	text := fmt.Sprintf("%s: %d of %d shards on %s %s; ", s.Verdict, s.Counted, s.Shards, counted(holders, "node"), what)
	switch {
	case s.SpareShards == 0 && s.Counted < s.Needed:
		text += fmt.Sprintf("it takes %d", s.Needed)
	case s.SpareShards == 0:
		text += "it can lose none"
	default:
		text += fmt.Sprintf("it outlives any %s or %s", counted(s.SpareShards, "shard"), counted(s.SpareNodes, "node"))
	}
	if s.SilentNodes > 0 {
		text += fmt.Sprintf("; %s with %s of these %s silent now", counted(s.SilentNodes, "node"), counted(s.SilentShards, "shard"), map[bool]string{true: "is", false: "are"}[s.SilentNodes == 1])
	}
	if s.Denied > 0 {
		text += fmt.Sprintf("; %s that the ledger counts %s not there now", counted(s.Denied, "shard"), map[bool]string{true: "is", false: "are"}[s.Denied == 1])
	}
	return text
}

// StatedBy says whether a node has stated that it holds all of its shards of a certified
// blob: by a signature in the certificate or, if it has shards only since then, by
// reporting each ready. A member of the certificate's committee that did not sign has
// stated nothing.
func StatedBy(v ledger.View, id blob.ID, c ledger.Committee) (func(staking.NodeID) bool, error) {
	certificate, known, err := v.Certificate(id)
	if err != nil {
		return nil, err
	}
	by, kept, err := v.Certifiers(certificate.Epoch)
	if err != nil {
		return nil, err
	}
	if !known || !kept {
		return func(staking.NodeID) bool { return false }, nil
	}
	silent := map[token.BLSPublicKey]bool{}
	for i, m := range by.Members {
		if m.Shards > 0 && (i/8 >= len(certificate.Bitmap) || certificate.Bitmap[i/8]>>(i%8)&1 == 0) {
			silent[m.BLS] = true
		}
	}
	return func(n staking.NodeID) bool {
		i, member := c.Index(n)
		return member && !silent[c.Nodes[i].BLS]
	}, nil
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
