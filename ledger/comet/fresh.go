package comet

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"

	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/libs/bits"
	"github.com/cometbft/cometbft/p2p"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

const (
	// relaySoon, and up to relaySpread more, by chance, is the time by which another
	// validator's vote is handed on later than an own one. Several neighbours of a peer get a
	// vote at the same moment: the first of them hands it on, the peer says that it has it,
	// and the others are spared it.
	relaySoon   = 10 * time.Millisecond
	relaySpread = 150 * time.Millisecond
	// relayLate, and up to relayLate more, is the same in a network of which all validators
	// are connected to each other: votes come from their validators, and copies serve only
	// where a line is broken. So does the copy of a proposal with a small block.
	relayLate = 150 * time.Millisecond
	// copiesFor is the time in which the copy of a vote is dropped that was handed to the
	// agreement, which may not have looked at it. It is shorter than stuckFor, after which
	// peers send again what the agreement did not take.
	copiesFor = stuckFor / 2
)

// relayGrid is what the times at which votes are handed on are rounded up to, so that many of
// them are one wake-up.
const relayGrid = 20 * time.Millisecond

// relayDelay is the time by which something of another validator is handed on later.
func relayDelay(meshed bool) time.Duration {
	if meshed {
		return relayLate + rand.N(relayLate)
	}
	return relaySoon + rand.N(relaySpread)
}

// meshed says whether a node is connected to all other validators.
func meshed(validators *types.ValidatorSet, self types.Address, connected func(p2p.ID) bool) bool {
	for _, v := range validators.Validators {
		if string(v.Address) != string(self) && !connected(idOf(v.Address)) {
			return false
		}
	}
	return true
}

// idOf is the name of a validator's connection.
func idOf(a types.Address) p2p.ID { return p2p.ID(hex.EncodeToString(a)) }

// voteSet names the votes of one kind in one round.
type voteSet struct {
	height int64
	round  int32
	kind   cmtproto.SignedMsgType
}

// arrived is the votes of a set that peers have brought, by the index of the validator.
type arrived struct {
	delay time.Duration // by which they are handed on later
	votes []arrival
}

// arrival is a vote that a peer has brought.
type arrival struct {
	sum  [sha256.Size]byte // of its bytes
	came time.Time         // zero: it has not
	due  time.Time         // when it may be handed on
}

// arrivals are the votes that peers have brought for the blocks that are being decided: the
// last one, and the rounds of the next one near the present round.
type arrivals struct {
	wake func() // is called when votes have become due

	mu    sync.Mutex // guards the fields below
	sets  map[voteSet]arrived
	timer *time.Timer // calls ripen; nil: not yet
	at    time.Time   // when it will; zero: it will not
	until time.Time   // what was due by then has woken
}

// note takes note of a vote of a set of so many. It says whether the same bytes came a
// moment ago.
func (a *arrivals) note(v *cmtproto.Vote, size int, meshed bool) (same bool) {
	raw, err := v.Marshal()
	if err != nil {
		return false
	}
	sum, now := sha256.Sum256(raw), time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	of := voteSet{v.Height, v.Round, v.Type}
	if a.sets == nil {
		a.sets = map[voteSet]arrived{}
	}
	set := a.sets[of]
	if len(set.votes) != size {
		set = arrived{relayDelay(meshed), make([]arrival, size)}
		a.sets[of] = set
	}
	x := &set.votes[v.ValidatorIndex]
	if !x.came.IsZero() {
		return x.sum == sum && now.Sub(x.came) < copiesFor
	}
	*x = arrival{sum, now, now.Add(set.delay + relayGrid).Truncate(relayGrid)}
	a.arm(x.due)
	return false
}

// arm makes ripen run at a time, or before; mu is held.
func (a *arrivals) arm(at time.Time) {
	switch {
	case a.wake == nil || !a.at.IsZero() && !at.Before(a.at):
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(time.Until(at), a.ripen)
	default:
		a.timer.Reset(time.Until(at))
	}
	a.at = at
}

// ripen wakes if votes have become due, and sees to it that it is called for the next ones.
func (a *arrivals) ripen() {
	a.mu.Lock()
	now, due, next := time.Now(), false, time.Time{}
	for _, set := range a.sets {
		for _, x := range set.votes {
			switch {
			case x.came.IsZero() || !x.due.After(a.until):
			case !x.due.After(now):
				due = true
			case next.IsZero() || x.due.Before(next):
				next = x.due
			}
		}
	}
	a.until, a.at = now, time.Time{}
	if !next.IsZero() {
		a.arm(next)
	}
	a.mu.Unlock()
	if due {
		a.wake()
	}
}

// forget drops the votes that no peer is sent any more.
func (a *arrivals) forget(now *cstypes.RoundState) {
	const rounds = 2
	a.mu.Lock()
	defer a.mu.Unlock()
	for of := range a.sets {
		last := of.height == now.Height-1 && of.kind == cmtproto.PrecommitType
		if of.height < now.Height && !last || of.height == now.Height && of.round < now.Round-rounds {
			delete(a.sets, of)
		}
	}
}

// held is those votes of a set that may not be handed on yet; nil: there are none.
func (a *arrivals) held(of voteSet) (out *bits.BitArray) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.sets[of].votes
	for i, x := range list {
		if x.due.After(now) {
			if out == nil {
				out = bits.NewBitArray(len(list))
			}
			out.SetIndex(i, true)
		}
	}
	return out
}

// ripe is a set of votes without those that may not be handed on yet.
type ripe struct {
	types.VoteSetReader
	arrivals *arrivals
}

// BitArray says which votes there are.
func (r ripe) BitArray() *bits.BitArray {
	all := r.VoteSetReader.BitArray()
	if all == nil {
		return nil
	}
	if held := r.arrivals.held(voteSet{r.GetHeight(), r.GetRound(), cmtproto.SignedMsgType(r.Type())}); held != nil {
		return all.Sub(held)
	}
	return all
}

// heldBlock is a proposal of another validator that is not handed on yet.
type heldBlock struct {
	height int64
	round  int32
	until  time.Time
}

// holdBack begins to hold back the proposal of another validator, with its block, where
// that validator is sure to send it to all itself and has done so in a moment. Blocks of
// many parts go on at once: all share the work of sending them.
func (g *gossip) holdBack(s *cstypes.RoundState) {
	if s.Proposal == nil || s.Proposal.BlockID.PartSetHeader.Total > 1 || s.Validators == nil {
		return
	}
	was := g.holds.Load()
	if was != nil && was.height == s.Height && was.round == s.Round {
		return
	}
	if string(s.Validators.GetProposer().Address) == string(g.self) || !g.meshed(s) {
		return
	}
	delay := relayDelay(true)
	if g.holds.CompareAndSwap(was, &heldBlock{s.Height, s.Round, time.Now().Add(delay)}) {
		time.AfterFunc(delay, func() { g.each((*lane).wakeData) })
	}
}

// heldFrom says whether a peer at a height is not to be sent its block yet.
func (g *gossip) heldFrom(height int64) bool {
	h := g.holds.Load()
	return h != nil && h.height == height && time.Now().Before(h.until)
}

// meshed says whether this node is connected to all other validators.
func (g *gossip) meshed(s *cstypes.RoundState) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.lanes) >= s.Validators.Size()-1 && meshed(s.Validators, g.self, func(id p2p.ID) bool { return g.lanes[id] != nil })
}
