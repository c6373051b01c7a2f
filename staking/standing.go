package staking

import "github.com/walrus-network/walrus/unit"

// Sanctions is what a node's conduct has brought it to. Epochs are counted as numbers
// of epochs; a span From, Until is of the epochs From to Until-1.
type Sanctions struct {
	_          struct{}     `cbor:",toarray"`
	Paid       uint64       // epochs in which it had shards so far
	Away       []unit.Epoch // by rung (5, 6): 1 + the last epoch that was judged, if it was away that much in it; else 0
	Lies       []unit.Epoch // the last epochs with proven lies, one entry each lie
	Unready    []uint16     // shards that it was not ready for at the end of the last epoch
	UnreadyFor []uint64     // for how many epochs' ends
	NoNewUntil unit.Epoch   // gets no new shards in committees chosen in the epochs before
	MoveUntil  unit.Epoch   // its shards are moved away by committees chosen in the epochs before
	JailFrom   unit.Epoch   // earns nothing from this epoch
	JailUntil  unit.Epoch   // to the one before this
	Badness    uint64       // of the last verdict that moves shards away: whose shards go first
	Past       Past         // what the next epoch's conduct is judged together with
}

// Past is what is kept of the epochs before to judge the next one by.
type Past struct {
	_      struct{} `cbor:",toarray"`
	Judged uint64   // shard-rounds of the last epoch that was judged
	Proven uint64   // of these
	Owed   Credit   // of the epochs since, which had too few judged rounds
	Rounds uint64   // judged, of these epochs
}

// Gather adds to an epoch's conduct what is owed of those before. Where it is not enough
// still it is kept: rounds that are void put a verdict off, and nothing else.
func (p *Past) Gather(c Performance) Performance {
	c.Assigned, c.Passed = c.Assigned+p.Owed.Assigned, c.Passed+p.Owed.Passed
	c.Judged, c.Proven = c.Judged+p.Owed.Judged, c.Proven+p.Owed.Proven
	c.Failed, c.Away = c.Failed+p.Owed.Failed, c.Away+p.Owed.Away
	c.Judging += p.Rounds
	c.Enough = c.Enough || 2*c.Judging >= c.Rounds && c.Rounds > 0
	p.Owed, p.Rounds = Credit{}, 0
	if !c.Enough {
		p.Owed, p.Rounds = c.Credit, c.Judging
	}
	return c
}

// NoNew says that the node gets no new shards in the committee that is chosen in epoch.
func (s Sanctions) NoNew(epoch unit.Epoch) bool { return epoch < s.NoNewUntil || epoch < s.MoveUntil }

// Moves says that the node's shards are moved away by the committee chosen in epoch.
func (s Sanctions) Moves(epoch unit.Epoch) bool { return epoch < s.MoveUntil }

// Jailed says that the node earns nothing in epoch.
func (s Sanctions) Jailed(epoch unit.Epoch) bool { return s.JailFrom <= epoch && epoch < s.JailUntil }

// AwayBefore says that the node was away as much as a rung (0: the lower) asks for in
// the last epoch before that was judged.
func (s Sanctions) AwayBefore(epoch unit.Epoch, rung int) bool {
	return epoch > 0 && rung < len(s.Away) && s.Away[rung] > 0 && s.Away[rung] <= epoch
}

func (s *Sanctions) setAway(c Credit, l Ladder, epoch unit.Epoch) {
	away := make([]unit.Epoch, len(l.AwayBps))
	for i, bps := range l.AwayBps {
		if c.above(c.Away, bps) {
			away[i] = epoch + 1
		}
	}
	s.Away = away
}

// AddLies notes proven lies of an epoch, and forgets those that count no more.
// It returns how many count.
func (s *Sanctions) AddLies(n uint64, epoch unit.Epoch, l Ladder) uint64 {
	var rest []unit.Epoch
	for _, e := range s.Lies {
		if e.Plus(l.LieEpochs) > epoch {
			rest = append(rest, e)
		}
	}
	for range min(n, l.LiesOut) {
		rest = append(rest, epoch)
	}
	s.Lies = rest
	return uint64(len(rest))
}

// SetUnready notes for which shards the node is not ready at an epoch's end, and says
// whether it has been so for one of them at as many ends as the ladder allows.
func (s *Sanctions) SetUnready(shards []uint16, l Ladder) (late bool) {
	before := map[uint16]uint64{}
	for i, shard := range s.Unready {
		before[shard] = s.UnreadyFor[i]
	}
	s.Unready, s.UnreadyFor = nil, nil
	for _, shard := range shards {
		n := before[shard] + 1
		s.Unready, s.UnreadyFor = append(s.Unready, shard), append(s.UnreadyFor, n)
		late = late || n >= l.LateEpochs
	}
	return late
}

// punish writes down what a verdict of the end of epoch does to the committees that
// are chosen from then on. What is decided at the end of e acts in the committee that
// is chosen in e+1, which is that of e+2.
func (s *Sanctions) punish(v Verdict, l Ladder, epoch unit.Epoch) {
	if v.NoNew || v.Jail || v.Move {
		s.NoNewUntil = max(s.NoNewUntil, epoch+2)
	}
	if v.Move {
		s.MoveUntil = max(s.MoveUntil, epoch+2)
		s.Badness = uint64(v.Bps + 1)
	}
	if v.Jail {
		if s.JailUntil < epoch+2 {
			s.JailFrom = epoch + 2
		} // else it goes on: a new offence must not put off the sentence
		s.JailUntil = max(s.JailUntil, (epoch + 2).Plus(l.JailEpochs)) // nor shorten it, where a vote made jail shorter
		s.NoNewUntil = max(s.NoNewUntil, (epoch + 2).Plus(l.JailEpochs))
	}
}
