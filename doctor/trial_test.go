package doctor

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
)

func TestATrialMeasuresAndLeavesNothing(t *testing.T) {
	for _, shards := range []int{4, 28, 300} {
		p := ledger.Testnet()
		p.Shards = shards
		dir := t.TempDir()
		begin := time.Now()
		o, err := MeasureOpening(t.Context(), dir, p)
		if err != nil {
			t.Fatal(err)
		}
		if o.Prove <= 0 || o.Verify <= 0 {
			t.Errorf("%d shards: %+v", shards, o)
		}
		t.Logf("%d shards: %+v in %s", shards, o, time.Since(begin))
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	}
}

func TestATrialThatIsInterruptedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	tr, err := newTrial(ctx, dir, ledger.Testnet())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := tr.run(ctx); err == nil {
		t.Error("it went on")
	}
	if err := tr.close(); err != nil {
		t.Error(err)
	}
	if _, err := MeasureOpening(ctx, dir, ledger.Testnet()); err == nil {
		t.Error("it began")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
