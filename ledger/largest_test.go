package ledger

import (
	"math"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// A block whose record the state does not take ends the chain on every node: whatever
// Params.Validate lets through, the largest entry must fit.
func TestTheLargestEntryThatParamsAllowFitsIntoTheState(t *testing.T) {
	p := small()
	for p.Registry.MaxLeases = 1 << 20; p.Validate() != nil; p.Registry.MaxLeases-- {
	}
	w := newWorld(t, p, 4)
	e := registry.Entry{Manifest: w.manifest(1, 1000), Units: 1 << 40, CertifiedHeight: 1 << 32}
	for i := range int(p.Registry.MaxLeases) * ownSegments { // each owner on a full list may still extend, at changing prices
		l := registry.Lease{Start: 300, End: 400, Price: token.Amount(1<<40 + i)}
		if i%ownSegments == 0 {
			l.Renewal = registry.Renewal{Left: math.MaxUint32 + 1, Highest: math.MaxUint32 + 1}
		}
		e.Leases = append(e.Leases, l)
	}
	raw := canon.Encode(e)
	if _, err := w.l.machine.state.Prepare(w.l.machine.Height()+1, []state.Change{{Key: KeyBlob(e.ID()), Value: raw}}); err != nil {
		t.Fatalf("MaxLeases %d is let through, its largest entry has %d bytes, and no block with it can be done: %v", p.Registry.MaxLeases, len(raw), err)
	}
}

// One transaction writes no more than it pays for: an entry in each epoch's bucket.
func TestTheLongestLeaseThatParamsAllowIsNoHeavyTransaction(t *testing.T) {
	testlevel.Middle(t, "compares speeds, and takes seconds of processor time")
	p := small()
	for p.Registry.MaxEpochs = 1 << 21; p.Validate() != nil; p.Registry.MaxEpochs-- {
	}
	p.Registry.Price, p.Registry.WritePrice = 1, 1
	w := newWorld(t, p, 4)
	m := w.manifest(1, 1000)
	w.do(w.users[1], RegisterBlob{Manifest: m, Epochs: 1, Owner: w.users[1].Address()})
	w.certify(m.ID())
	raw := Sign(w.users[2], w.l.ChainID(), 0, fee, RegisterBlob{Manifest: m, Epochs: p.Registry.MaxEpochs, Owner: w.users[2].Address()})
	if each, _ := executedIn(w, [][]byte{raw}); each > 50e6 {
		t.Fatalf("MaxEpochs %d is let through: one transaction that weighs %d us takes %s", p.Registry.MaxEpochs, p.Work(raw), each)
	}
}
