package comet

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/p2p"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// Most copies of votes come while the agreement still checks the first one: they cost a
// record in the consensus log and up to three checks of a signature.
func TestACopyOfAVoteThatIsBeingCheckedGoesNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, state, v := sameRound(t)
		passed := 0
		for range 6 {
			if !g.takesVote(state, v.ToProto()) {
				passed++
			}
		}
		if passed != 1 {
			t.Errorf("%d of six copies went on, want 1", passed)
		}
		if !state.GetRoundState().Prevotes.GetIndex(int(v.ValidatorIndex)) {
			t.Error("the sender of a copy is not known to have the vote")
		}
		// A member must not keep a vote away by bytes that look like it.
		for name, change := range map[string]func(*types.Vote){
			"signature": func(v *types.Vote) { v.Signature = append([]byte{1}, v.Signature[1:]...) },
			"block":     func(v *types.Vote) { v.BlockID.Hash = make([]byte, 32) },
			"extension": func(v *types.Vote) { v.Extension = []byte{1} },
			"time":      func(v *types.Vote) { v.Timestamp = v.Timestamp.Add(1) },
		} {
			other := v.Copy()
			change(other)
			if g.takesVote(state, other.ToProto()) {
				t.Errorf("a vote with another %s was taken for a copy", name)
			}
		}
		// The agreement may have refused the first one for a reason that has gone.
		time.Sleep(copiesFor)
		if g.takesVote(state, v.ToProto()) {
			t.Error("what peers send again was taken for a copy")
		}
	})
}

// What one peer brings of a round to come may be too much of that peer, and not of another.
func TestACopyOfAVoteOfALaterRoundGoesOn(t *testing.T) {
	g, state, v := sameRound(t)
	g.now.Load().Votes.SetRound(1) // there is a set for round 2
	v.Round = 1
	for range 2 {
		if g.takesVote(state, v.ToProto()) {
			t.Error("a vote of a later round was taken for a copy")
		}
	}
}

// A vote that a peer has brought is handed on after others had time to say that they have
// it, and then without any other reason.
func TestAVoteOfAnotherIsHandedOnLater(t *testing.T) {
	for name, isMesh := range map[string]bool{"all are connected": true, "they are not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, state, v := sameRound(t)
				var woken atomic.Int32
				g.arrivals.wake = func() { woken.Add(1) }
				g.arrivals.note(v.ToProto(), 4, isMesh)
				if added, err := g.now.Load().Votes.AddVote(v, "other", false); !added || err != nil {
					t.Fatal(added, err)
				}
				l := &lane{gossip: g, state: state}
				pick := func() bool {
					return state.PickVoteToSend(ripe{g.now.Load().Votes.Prevotes(0), &l.arrivals}) != nil
				}
				least, most := relaySoon, relaySoon+relaySpread
				if isMesh {
					least, most = relayLate, 2*relayLate
				}
				time.Sleep(least - 1)
				synctest.Wait()
				if pick() || woken.Load() != 0 {
					t.Errorf("before %v: sent %v, woken %d times", least, pick(), woken.Load())
				}
				time.Sleep(most + relayGrid - least + 1)
				synctest.Wait()
				if !pick() || woken.Load() != 1 {
					t.Errorf("after %v: sent %v, woken %d times", most+relayGrid, pick(), woken.Load())
				}
			})
		})
	}
}

// Votes that come one after the other wake the lanes once, not once each.
func TestVotesThatComeTogetherWakeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a arrivals
		var woken atomic.Int32
		a.wake = func() { woken.Add(1) }
		time.Sleep(time.Until(time.Now().Truncate(relayGrid).Add(relayGrid)))
		for i := range int32(40) {
			a.note(&cmtproto.Vote{Type: cmtproto.PrevoteType, Height: 10, ValidatorIndex: i}, 40, true)
			time.Sleep(relayGrid / 100)
		}
		time.Sleep(3 * relayLate)
		synctest.Wait()
		if n := woken.Load(); n < 1 || n > 2 {
			t.Errorf("forty votes within %v woke %d times", relayGrid*2/5, n)
		}
		a.forget(&cstypes.RoundState{Height: 11})
		if len(a.sets) != 0 {
			t.Errorf("%d sets of prevotes of a block that is decided are kept", len(a.sets))
		}
	})
}

// Rounds that fail one after the other leave nothing behind.
func TestVotesOfOldRoundsAreForgotten(t *testing.T) {
	var a arrivals
	for round := range int32(100) {
		a.note(&cmtproto.Vote{Type: cmtproto.PrecommitType, Height: 10, Round: round}, 4, false)
		a.forget(&cstypes.RoundState{Height: 10, Round: round})
	}
	if len(a.sets) > 3 {
		t.Errorf("votes of %d rounds are kept", len(a.sets))
	}
	a.forget(&cstypes.RoundState{Height: 11})
	if len(a.sets) == 0 {
		t.Error("the votes for the last block are gone: validators whose votes are late would not be counted")
	}
	a.forget(&cstypes.RoundState{Height: 12})
	if len(a.sets) != 0 {
		t.Errorf("%d sets of blocks that are long decided are kept", len(a.sets))
	}
}

// A small proposal is held back from peers that its proposer reaches itself; an own one, one
// of many parts and one in a network that is not all connected are not.
func TestAProposalIsHeldBackWhereItsProposerReachesAll(t *testing.T) {
	g, _, _ := sameRound(t)
	s := g.now.Load()
	proposer := s.Validators.GetProposer().Address
	at := func(self types.Address, parts uint32, lanes int) bool {
		g.self = self
		g.lanes = map[p2p.ID]*lane{}
		for _, v := range s.Validators.Validators {
			if len(g.lanes) < lanes && string(v.Address) != string(self) {
				g.lanes[idOf(v.Address)] = &lane{data: make(chan struct{}, 1)}
			}
		}
		g.holds.Store(nil)
		now := *s
		now.Proposal = &types.Proposal{BlockID: types.BlockID{PartSetHeader: types.PartSetHeader{Total: parts}}}
		g.holdBack(&now)
		return g.heldFrom(10)
	}
	var other types.Address
	for _, v := range s.Validators.Validators {
		if string(v.Address) != string(proposer) {
			other = v.Address
		}
	}
	for name, c := range map[string]struct {
		self  types.Address
		parts uint32
		lanes int
		want  bool
	}{
		"another's":         {other, 1, 3, true},
		"an own one":        {proposer, 1, 3, false},
		"of many parts":     {other, 2, 3, false},
		"not all connected": {other, 1, 2, false},
	} {
		if got := at(c.self, c.parts, c.lanes); got != c.want {
			t.Errorf("%s: held back: %v", name, got)
		}
	}
	if g.heldFrom(9) || g.heldFrom(11) {
		t.Error("blocks of other heights are held back")
	}
}

// countingPeer counts what a peer is sent, and may refuse it.
type countingPeer struct {
	p2p.Peer
	sent *[]cmtcons.NewRoundStep
	full *bool
}

func (p countingPeer) Send(e p2p.Envelope) bool {
	if *p.full {
		return false
	}
	*p.sent = append(*p.sent, *e.Message.(*cmtcons.NewRoundStep))
	return true
}

// A peer is told of a height and a round once: five steps a block are one message.
func TestAPeerIsToldOfARoundOnce(t *testing.T) {
	var sent []cmtcons.NewRoundStep
	var full bool
	p := newQuietPeer(countingPeer{sent: &sent, full: &full})
	say := func(height int64, round int32, step cstypes.RoundStepType) bool {
		return p.Send(p2p.Envelope{ChannelID: consensus.StateChannel, Message: &cmtcons.NewRoundStep{Height: height, Round: round, Step: uint32(step)}})
	}
	for height := int64(1); height <= 10; height++ {
		for _, step := range []cstypes.RoundStepType{cstypes.RoundStepNewHeight, cstypes.RoundStepPropose, cstypes.RoundStepPrevote, cstypes.RoundStepPrecommit, cstypes.RoundStepCommit} {
			if !say(height, 0, step) {
				t.Fatal("a step was not taken")
			}
		}
	}
	if len(sent) != 10 {
		t.Errorf("%d messages for ten blocks", len(sent))
	}
	say(10, 1, cstypes.RoundStepPropose)
	say(9, 5, cstypes.RoundStepCommit) // its goroutine was late
	say(10, 0, cstypes.RoundStepPrecommit)
	if len(sent) != 11 || sent[10].Round != 1 {
		t.Errorf("a second round: %d messages, the last %+v", len(sent), sent[len(sent)-1])
	}
	full = true
	if say(11, 0, cstypes.RoundStepNewHeight) {
		t.Error("a step that was not sent counts as sent")
	}
	full = false
	if say(11, 0, cstypes.RoundStepPropose); len(sent) != 12 {
		t.Error("a height that a peer was not told of, since its queue was full, is not said again")
	}
}
