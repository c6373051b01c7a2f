package sim

import (
	"math"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// A simulation goes on only while the ledger takes every transaction.
func TestARefusedTransactionIsAnError(t *testing.T) {
	p := Params(MinNodes, 8)
	n, err := NewNetwork(MinNodes, p, 4, func() int64 { return Began })
	if err != nil {
		t.Fatal(err)
	}
	delegate := func(a token.Amount) error {
		return n.Run(ledger.Block{Txs: [][]byte{n.Sign(n.Holders[0], ledger.Delegate{Node: n.IDs[0], Amount: a})}})
	}
	if err := delegate(DelegationPerHolder()); err != nil {
		t.Errorf("a holder's first delegation: %v", err)
	}
	if err := delegate(2*DelegationPerHolder() + PocketMoney); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a delegation of more than the holder has: %v", err)
	}
}

func TestStreamsAreIndependentOfEachOther(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(3) {
		for purpose := range 3 {
			for number := range 3 {
				v := Stream(seed, purpose, number).Uint64()
				if seen[v] || v != Stream(seed, purpose, number).Uint64() {
					t.Errorf("seed %d, purpose %d, number %d: %d", seed, purpose, number, v)
				}
				seen[v] = true
			}
		}
	}
}

func TestDetectionFollowsFromTheDraws(t *testing.T) {
	for p, want := range map[float64]float64{0: 0, 0.01: 0.275, 0.05: 0.806, 0.1: 0.966, 1: 1} {
		if got := Detection(p); math.Abs(got-want) > 0.001 {
			t.Errorf("of %v it is %v, want %v", p, got, want)
		}
	}
}
