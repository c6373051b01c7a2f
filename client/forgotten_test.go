package client

import (
	"path/filepath"
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// What an interrupted command sent, and the ledger does not tell of any more, does not
// stand in the way of the same command for good.
func TestWhatTheLedgerHasForgottenBlocksNoCommandForEver(t *testing.T) {
	h, dir := newHalting(t), filepath.Join(t.TempDir(), "pending")
	body := ledger.Transfer{To: token.Address{5}, Amount: 5 * token.WAL}
	h.still = true
	if _, err := h.command(dir).Send(h.interrupted(t), payer(), body); err == nil {
		t.Fatal("a ledger that stands still has done it")
	}
	h.revive(t)
	h.kept = nil
	other := h.command(filepath.Join(t.TempDir(), "other"))
	for i := range ledger.OutcomesKept + 1 {
		if _, err := other.Send(t.Context(), payer(), ledger.Transfer{To: token.Address{6}, Amount: token.Amount(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Advance(400); err != nil { // long after the last block for it
		t.Fatal(err)
	}
	var err error
	for range 3 {
		v, verr := h.View(t.Context())
		if verr != nil {
			t.Fatal(verr)
		}
		if _, perr := h.command(dir).Outbox.Pending(v); perr != nil {
			t.Fatal(perr)
		}
		if _, err = h.command(dir).Send(t.Context(), payer(), body); err == nil {
			return
		}
	}
	t.Fatalf("the same command fails for ever, and nothing but deleting a file by hand mends it: %v", err)
}
