package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
)

// Level is how safe a certified blob is, in a word, by the shards that count for it.
type Level string

// The verdicts, best first.
const (
	Safe     Level = "safe"     // k2 shards or more: as many as any write must reach
	Weakened Level = "weakened" // fewer, but more than k1
	Doubtful Level = "doubtful" // k1 shards or fewer: none to spare, as far as is known
)

// Safety is how safe a certified blob is. A shard that is not certain does not count,
// though it may well be there. A shard counts for one of three reasons, each newer than
// the one before, and the newest that is known decides:
//
//   - the ledger: its holder has stated that it holds all of it, with the certificate, or
//     with a report that it is ready since;
//   - a proof: it passed in the last round in which the blob was drawn;
//   - presence: its holder gave a part of it now, with its proof.
//
// SafetyOf fills the counts of shards and nodes; Now.Safety fills the rest too.
type Safety struct {
	Verdict     Level     `json:"verdict"`            // safe, weakened, doubtful
	Shards      int       `json:"-"`                  // N, shards of the network
	Needed      int       `json:"-"`                  // k1, shards: any k1 bring the blob back
	Ready       int       `json:"ready_shards"`       // shards whose holder is ready
	Moving      int       `json:"moving_shards"`      // shards handed over, kept by their old holders meanwhile
	Counted     int       `json:"counted_shards"`     // shards that are certain
	Stated      int       `json:"stated_shards"`      // shards that count by the ledger
	Proved      int       `json:"proved_shards"`      // shards that passed in the last draw; 0 without one
	Presence    *Presence `json:"presence,omitempty"` // nil: the nodes were not asked
	SpareShards int       `json:"spare_shards"`       // shards that can be lost, whichever they are
	SpareNodes  int       `json:"spare_nodes"`        // nodes that can be lost, those with the most shards first
	Holders     []Holder  `json:"holders"`            // most counted shards first
	Challenged  bool      `json:"challenged"`         // the network asks for proof

	LastDraw     *LastDraw `json:"last_draw,omitempty"`          // nil: not drawn yet
	DrawnEvery   float64   `json:"drawn_every_rounds,omitempty"` // rounds between two draws, about; 0: unknown
	RoundSeconds float64   `json:"round_seconds,omitempty"`      // seconds of a round, nominal; 0: unknown
	PassRate     *PassRate `json:"network_pass_rate,omitempty"`  // of this epoch; nil before its first round

	drawn bool // the shards count by the last draw
}

// Holder is a node's part of a blob.
type Holder struct {
	Node    staking.NodeID `json:"node"`
	Name    string         `json:"name"`
	Shards  int            `json:"shards"`  // shards that it is ready for
	Counted int            `json:"counted"` // shards of these that are certain
	Silent  bool           `json:"silent"`  // it was asked now, and did not answer
}

// Presence is what the nodes showed when they were asked now.
type Presence struct {
	Answered     int     `json:"answered_shards"` // shards that were shown, with proof
	Denied       int     `json:"denied_shards"`   // shards that count by what is older, and are not there now
	SilentNodes  int     `json:"silent_nodes"`    // nodes that did not answer
	SilentShards int     `json:"silent_shards"`   // shards of these nodes that count
	HeldBack     bool    `json:"held_back"`       // a storage challenge runs: nodes keep answers back
	Seconds      float64 `json:"seconds"`         // seconds that the question took
}

// Evidence is the evidence of what a blob's holders keep, beside the committee.
type Evidence struct {
	Stated func(staking.NodeID) bool // the node has stated that it holds all of its shards
	Drawn  *ledger.LastDraw          // nil: not drawn yet
	Asked  *Answers                  // nil: the nodes were not asked
}

// Answers is the nodes' answers to a question for a random part of a blob.
type Answers struct {
	Nodes    map[staking.NodeID]fetch.NodeAudit // a node without an entry did not answer
	HeldBack bool                               // a storage challenge ran meanwhile
	Took     time.Duration
}

// Safety works out how safe a certified blob is, from the ledger and from what its
// holders answered; asked is nil where they were not asked. The errors are those of the
// view, and ledger.ErrNoCommittee.
func (n Now) Safety(e registry.Entry, asked *Answers) (s Safety, err error) {
	id := e.ID()
	if err := n.Prefetch(ledger.KeyLastDraw(id), ledger.KeyCertificate(id), ledger.KeyUsage()); err != nil {
		return s, err
	}
	certificate, _, err := n.View.Certificate(id)
	if err != nil {
		return s, err
	}
	if err := n.Prefetch(ledger.KeyCommittee(n.Head.Epoch), ledger.KeyTally(n.Head.Epoch), ledger.KeyCertifiers(certificate.Epoch)); err != nil {
		return s, err
	}
	committee, err := n.View.Committee(n.Head.Epoch)
	if err != nil {
		return s, err
	}
	shape, err := n.Params.Shape()
	if err != nil {
		return s, err
	}
	drawn, was, err := n.View.LastDraw(id)
	if err != nil {
		return s, err
	}
	known := Evidence{Asked: asked}
	if was {
		known.Drawn = &drawn
	}
	if known.Stated, err = StatedBy(n.View, id, committee); err != nil {
		return s, err
	}
	s = SafetyOf(committee, shape, known)
	if err := n.name(s.Holders); err != nil {
		return s, err
	}
	if was {
		s.LastDraw = drawOf(drawn, shape)
	}
	usage, err := n.View.Usage()
	if err != nil {
		return s, err
	}
	if sampling, ok := SamplingOf(n.Params, usage); ok {
		s.DrawnEvery, s.RoundSeconds = sampling.DrawnEvery(e.Units), sampling.Round.Seconds()
	}
	s.Challenged = n.Params.Challenged && n.Params.Challenge.Draws() > 0 && len(committee.Validators()) >= staking.MinNodes
	s.PassRate, err = n.PassRate()
	return s, err
}

// name fills in the names that the holders have on the ledger.
func (n Now) name(holders []Holder) error {
	var keys [][]byte
	for _, h := range holders {
		keys = append(keys, ledger.KeyNode(h.Node))
	}
	if err := n.Prefetch(keys...); err != nil {
		return err
	}
	for i := range holders {
		record, _, err := n.View.Node(holders[i].Node)
		if err != nil {
			return err
		}
		holders[i].Name = record.Name
	}
	return nil
}

// SafetyOf counts the shards of a certified blob that are certain, and judges by them.
// The holders have no names yet.
func SafetyOf(c ledger.Committee, shape blob.Shape, known Evidence) Safety {
	s := Safety{Shards: shape.N, Needed: shape.K1, drawn: known.Drawn != nil}
	if known.Asked != nil {
		s.Presence = &Presence{HeldBack: known.Asked.HeldBack, Seconds: known.Asked.Took.Seconds()}
	}
	parts := map[staking.NodeID]*Holder{}
	for i, holder := range c.Holder {
		if !c.From[i].IsZero() {
			s.Moving++
			continue
		}
		if parts[holder] == nil {
			parts[holder] = &Holder{Node: holder}
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
			s.present(p, known.Asked)
			s.Counted += p.Counted
			s.Holders = append(s.Holders, *p)
		}
	}
	s.judge(shape)
	return s
}

// present lets the answer of a node decide, where it answered.
func (s *Safety) present(p *Holder, asked *Answers) {
	if asked == nil {
		return
	}
	a, known := asked.Nodes[p.Node]
	if !known || a.Asked == 0 || a.Refused > 0 {
		p.Silent = true
		s.Presence.SilentNodes++
		s.Presence.SilentShards += p.Counted
		return
	}
	held := min(a.Held, p.Shards)
	s.Presence.Answered += held
	s.Presence.Denied += max(0, p.Counted-held)
	p.Counted = held
}

func (s *Safety) judge(shape blob.Shape) {
	slices.SortStableFunc(s.Holders, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.Counted, a.Counted), cmp.Compare(b.Shards, a.Shards))
	})
	s.SpareShards = max(0, s.Counted-shape.K1)
	left := s.Counted
	for _, n := range s.Holders {
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
