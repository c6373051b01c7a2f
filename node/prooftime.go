package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// LeastMargin is how many times over a node should be done before the deadline: disks
// grow slower as they fill, and a day has bad hours.
const LeastMargin = 2

// ErrMargin is returned where a node proves too slowly for its network.
var ErrMargin = errors.New("this machine is too slow for the network's deadline")

// OpeningTime is what a machine needs for one question of a round.
type OpeningTime struct {
	Prove  time.Duration `json:"prove_ns"`  // read the fragment, compute its parity, open what is asked
	Verify time.Duration `json:"verify_ns"` // check an answer
}

// ProofTime is what a machine needs for its part in a round, against what it has.
type ProofTime struct {
	Shards   int           `json:"shards"`      // that it proves
	Prove    time.Duration `json:"prove_ns"`    // these, one after the other
	Verify   time.Duration `json:"verify_ns"`   // all shards of the network, its own too: that is on the way of its vote
	Deadline time.Duration `json:"deadline_ns"` // from the draw until the vote, with blocks of nominal length; 0: nothing is asked
	Jitter   time.Duration `json:"jitter_ns"`   // of it the node may wait before it sends
}

// Round is the time for a whole round in which the node proves so many shards.
func (o OpeningTime) Round(p ledger.Params, shards int) ProofTime {
	if !p.Challenged || p.Challenge.Draws() == 0 {
		return ProofTime{Shards: shards}
	}
	draws := time.Duration(p.Challenge.Draws())
	deadline := time.Duration(p.Challenge.Deadline*p.BlockMs) * time.Millisecond
	return ProofTime{Shards: shards, Prove: o.Prove * draws * time.Duration(shards), Verify: o.Verify * draws * time.Duration(p.Shards),
		Deadline: deadline, Jitter: deadline / jitterPart}
}

// ShardsToExpect is how many shards a node must be able to prove: those that it has, and
// for one that has none the most it may be given among so many nodes.
func ShardsToExpect(p ledger.Params, nodes, has int) int {
	if has > 0 {
		return has
	}
	return min(p.Shards, staking.Cap(p.Shards, max(nodes, 1)))
}

// Margin is how many times the work fits into the time that is left of the deadline when
// the jitter is taken off. ok is false where nothing is asked.
func (t ProofTime) Margin() (margin float64, ok bool) {
	if t.Deadline == 0 {
		return 0, false
	}
	return float64(t.Deadline-t.Jitter) / float64(max(t.Prove+t.Verify, 1)), true
}

// String is the margin with what it rests on.
func (t ProofTime) String() string {
	m, ok := t.Margin()
	if !ok {
		return "this network asks for no proofs"
	}
	return fmt.Sprintf("margin %s (a round gives %s less up to %s of jitter; proving %d shards took %s, checking everybody's %s)",
		times(m), short(t.Deadline), short(t.Jitter), t.Shards, short(t.Prove), short(t.Verify))
}

// Enough refuses a margin below LeastMargin.
func (t ProofTime) Enough() error {
	if m, ok := t.Margin(); ok && m < LeastMargin {
		return fmt.Errorf("%w: %s, at least %s is wanted", ErrMargin, t, times(LeastMargin))
	}
	return nil
}

func times(m float64) string {
	switch {
	case m >= 1000:
		return "over 1000x"
	case m < 0.1:
		return "below 0.1x"
	}
	return fmt.Sprintf("%.1fx", m)
}

// short is a duration with two or three digits that matter.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
