package rounds

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

const testChain = token.ChainID("test-00000000")

// signed is what a shard's holder says in a round; what it shows is not looked at here.
func signed(k token.Key, r challenge.RoundID, s blob.Shard) []byte {
	p := challenge.Proof{Round: r, Shard: s}
	p.Signature = k.Sign(challenge.ProofMessage(testChain, p))
	list, _ := challenge.Messages([]challenge.Proof{p})
	return list[0].Encode()
}

// A node that has voted for a proof has it after a restart, and votes for it still; a file that
// a crash has cut is as if it had not been heard.
func TestProofsOutliveARestart(t *testing.T) {
	keys := []token.Key{token.KeyFromSeed([32]byte{1}), token.KeyFromSeed([32]byte{2}), token.KeyFromSeed([32]byte{3}), token.KeyFromSeed([32]byte{4})}
	round := challenge.RoundID{Epoch: 1, Round: 2}
	state := ledger.RoundState{Round: round, Ordinal: 7, Drawn: true}
	var c ledger.Committee
	for _, k := range keys {
		c.Holder = append(c.Holder, staking.NodeID(k.Public()))
	}
	kept := archive{t.TempDir()}
	hear := func() *inbox {
		b := newInbox(testChain, state, c, ledger.Params{}, false)
		b.archive = kept
		return b
	}
	first := hear()
	for s, k := range keys {
		if err := first.keep(blob.Shard(s), signed(k, round, blob.Shard(s))); err != nil {
			t.Fatal(err)
		}
		if got := first.entries[blob.Shard(s)]; got.raw != nil {
			t.Error("a proof that lies on the disk is in memory too")
		}
	}
	if err := os.Truncate(kept.path(7, 1), 40); err != nil {
		t.Fatal(err)
	}
	kept.put(7, 2, signed(keys[3], round, 2))                       // of another
	kept.put(7, 3, signed(keys[3], challenge.RoundID{Epoch: 1}, 3)) // of another round
	again := hear()
	again.restore()
	if _, _, yes := again.attest(); !slices.Equal(yes, []byte{1}) {
		t.Errorf("after a restart it votes for %s", yes)
	}
	if raw, ok := again.message(0); !ok || !slices.Equal(raw, signed(keys[0], round, 0)) {
		t.Error("and cannot show it")
	}
	if list, err := filepath.Glob(filepath.Join(kept.dir, "*", "*.part")); err != nil || len(list) > 0 {
		t.Errorf("%v is left, %v", list, err)
	}
}

// Proofs go with their rounds. Where nothing can be written they are kept in memory.
func TestProofsOfOldRoundsGo(t *testing.T) {
	kept := archive{t.TempDir()}
	for ordinal := range unit.Ordinal(12) {
		if !kept.put(ordinal, 1, []byte("proof")) {
			t.Fatal("not kept")
		}
	}
	if err := os.WriteFile(filepath.Join(kept.dir, "of somebody else"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := kept.forget(10); err != nil {
		t.Fatal(err)
	}
	for ordinal := range unit.Ordinal(12) {
		if _, ok := kept.get(ordinal, 1); ok != (ordinal >= 10) {
			t.Errorf("round %d: %t", ordinal, ok)
		}
	}
	if _, err := os.Stat(filepath.Join(kept.dir, "of somebody else")); err != nil {
		t.Error(err)
	}
	if err := (archive{filepath.Join(kept.dir, "none")}).forget(3); err != nil {
		t.Error(err)
	}
	for _, nowhere := range []archive{{}, {filepath.Join(kept.dir, "of somebody else", "below")}} {
		b := newInbox(testChain, ledger.RoundState{}, ledger.Committee{}, ledger.Params{}, false)
		b.archive = nowhere
		if err := b.keep(3, []byte("proof")); err != nil {
			t.Fatal(err)
		}
		if raw, ok := b.message(3); !ok || string(raw) != "proof" {
			t.Error("a proof that could not be written is lost")
		}
	}
}
