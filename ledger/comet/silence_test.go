package comet

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/mock"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
)

// A line is dead when a peer that takes part says nothing while it is spoken to. A network
// that stands still, a peer that catches up and one that was just connected are not.
func TestADeadLineIsToldFromASilentNetwork(t *testing.T) {
	const height = 1000
	began := time.Unix(1, 0)
	for name, c := range map[string]struct {
		height         int64
		received, sent int // the last second, of 60, in which there was something
		want           bool
	}{
		"both speak":                          {height, 60, 60, false},
		"the line is cut":                     {height, 30, 60, true},
		"the line is cut, and both are stuck": {height, 30, 32, true},
		"the network stands still":            {height, 30, 30, false},
		"the peer catches up":                 {height - 500, 30, 60, false},
		"the peer is a few blocks behind":     {height - 3, 30, 60, true},
		"not for long":                        {height, 57, 60, false},
		"spoken to after a long silence":      {height, 30, 30, false},
	} {
		s, peer, id := newSilence(500*time.Millisecond), mock.NewPeer(nil), p2p.ID("a")
		got := false
		for second := range 61 {
			at := func(last int) time.Time { return began.Add(time.Duration(min(last, second)) * time.Second) }
			sent := at(c.sent).Add(time.Millisecond)
			if c.sent == c.received {
				sent = at(c.sent).Add(-time.Millisecond)
			}
			if name == "spoken to after a long silence" && second >= 58 {
				sent = began.Add(58 * time.Second)
			}
			got = s.dead(id, peer, height, heard{c.height, at(c.received), sent}, began.Add(time.Duration(second)*time.Second)) || got
		}
		if got != c.want {
			t.Errorf("%s: dead is %v", name, got)
		}
	}
}

// talker is a peer that takes whatever it is sent.
type talker struct{ p2p.Peer }

func (talker) Send(p2p.Envelope) bool    { return true }
func (talker) TrySend(p2p.Envelope) bool { return true }

// A peer need not answer transactions: where a chain stands still and some come in, they are
// all that is said, and the line is not dead.
func TestATransactionWantsNoAnswer(t *testing.T) {
	p := quietPeer{talker{}, new(atomic.Int64)}
	for _, send := range []func(p2p.Envelope) bool{p.Send, p.TrySend} {
		send(p2p.Envelope{ChannelID: mempool.MempoolChannel, Message: &protomem.Txs{}})
	}
	p.TrySend(p2p.Envelope{ChannelID: consensus.StateChannel, Message: &cmtcons.HasVote{}}) // is not sent
	if at := spokenTo(p); !at.IsZero() {
		t.Errorf("a transaction counts as a word of the agreement, at %v", at)
	}
	p.Send(p2p.Envelope{ChannelID: consensus.VoteChannel, Message: &cmtcons.Vote{}})
	if spokenTo(p).IsZero() {
		t.Error("a vote does not count as a word of the agreement")
	}
}

func TestANewConnectionIsNotTakenForTheOldOne(t *testing.T) {
	s, began := newSilence(time.Second), time.Unix(1, 0)
	old, fresh := mock.NewPeer(nil), mock.NewPeer(nil)
	s.dead("a", old, 10, heard{10, began, began.Add(time.Millisecond)}, began)
	later := began.Add(time.Minute)
	if s.dead("a", fresh, 10, heard{0, began, later}, later) {
		t.Error("a connection that has said nothing yet is dead")
	}
	if len(s.lines) != 1 {
		t.Errorf("%d connections to one peer are kept", len(s.lines))
	}
}
