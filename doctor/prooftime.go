package doctor

import (
	"errors"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node/rounds"
	"github.com/walrus-network/walrus/staking"
)

// leastMargin is the least margin of a node that is entered on the ledger, see
// ProofTime.Margin. Disks get slower as they fill, and a busy hour must not cost pay.
const leastMargin = 2

// ErrMargin is returned for a margin below leastMargin.
var ErrMargin = errors.New("this machine is too slow for the network's deadline")

// OpeningTime is a machine's time for one question of a round.
type OpeningTime struct {
	Prove  time.Duration `json:"prove_ns"`  // read the fragment, compute its parity, open the symbols
	Verify time.Duration `json:"verify_ns"` // check one answer
}

// ProofTime is a machine's time for its part in a round, beside the time that it has.
type ProofTime struct {
	Shards   int           `json:"shards"`      // that the node proves
	Prove    time.Duration `json:"prove_ns"`    // of these shards, one after the other
	Verify   time.Duration `json:"verify_ns"`   // of all shards of the network, which the node checks before it votes
	Deadline time.Duration `json:"deadline_ns"` // from the draw to the vote, at nominal block times; 0: the network asks no proofs
	Jitter   time.Duration `json:"jitter_ns"`   // part of Deadline that a node may wait before it sends
}

// InRound is the time for a round in which the node proves a number of shards.
func (o OpeningTime) InRound(p ledger.Params, shards int) ProofTime {
	if !p.Challenged || p.Challenge.Draws() == 0 {
		return ProofTime{Shards: shards}
	}
	draws := time.Duration(p.Challenge.Draws())
	deadline := time.Duration(p.Challenge.Deadline*p.BlockMs) * time.Millisecond
	return ProofTime{Shards: shards, Prove: o.Prove * draws * time.Duration(shards), Verify: o.Verify * draws * time.Duration(p.Shards),
		Deadline: deadline, Jitter: deadline / rounds.JitterPart}
}

// ShardsToExpect is the number of shards that a node must be able to prove: the shards
// that it has, or for a node without any the cap per node among a number of nodes.
func ShardsToExpect(p ledger.Params, nodes, has int) int {
	if has > 0 {
		return has
	}
	return min(p.Shards, staking.Cap(p.Shards, max(nodes, 1)))
}

// Margin = (Deadline - Jitter) / (Prove + Verify): how many times the work fits into the
// time. ok is false where the network asks no proofs.
func (t ProofTime) Margin() (margin float64, ok bool) {
	if t.Deadline == 0 {
		return 0, false
	}
	return float64(t.Deadline-t.Jitter) / float64(max(t.Prove+t.Verify, 1)), true
}

// String is the margin with the times behind it.
func (t ProofTime) String() string {
	m, ok := t.Margin()
	if !ok {
		return "this network asks for no proofs"
	}
	return fmt.Sprintf("margin %s (a round gives %s less up to %s of jitter; proving %d shards took %s, checking all nodes' %s)",
		times(m), short(t.Deadline), short(t.Jitter), t.Shards, short(t.Prove), short(t.Verify))
}

// Enough returns ErrMargin for a margin below leastMargin.
func (t ProofTime) Enough() error {
	if m, ok := t.Margin(); ok && m < leastMargin {
		return fmt.Errorf("%w: %s, at least %s is wanted", ErrMargin, t, times(leastMargin))
	}
	return nil
}

// times writes a factor, as 2.0x.
func times(m float64) string {
	switch {
	case m >= 1000:
		return "over 1000x"
	case m < 0.1:
		return "below 0.1x"
	}
	return fmt.Sprintf("%.1fx", m)
}

// short rounds a duration to about three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
