package comet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func TestADamagedRecordOfWhatWasSignedIsAClearError(t *testing.T) {
	for _, content := range []string{"", "{", "noise", `{"height":"x"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, LastSignName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := newGuard(token.KeyFromSeed([32]byte{1}), dir, true)
		if !errors.Is(err, ErrLastSign) || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestWhatWasSignedIsRememberedAcrossLives(t *testing.T) {
	dir, key := t.TempDir(), token.KeyFromSeed([32]byte{1})
	vote := func(height int64, hash byte) *cmtproto.Vote {
		id := types.BlockID{Hash: append(make([]byte, 31), hash), PartSetHeader: types.PartSetHeader{Total: 1, Hash: make([]byte, 32)}}
		return (&types.Vote{Type: cmtproto.PrevoteType, Height: height, BlockID: id, ValidatorAddress: ed25519.PrivKey(key.Ed25519()).PubKey().Address(), Timestamp: time.Now()}).ToProto()
	}
	g, err := newGuard(key, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.SignVote("chain", vote(1, 1)); err != nil {
		t.Fatalf("the first height of a network: %v", err)
	}
	if g, err = newGuard(key, dir, false); err != nil {
		t.Fatal(err)
	}
	if err := g.SignVote("chain", vote(1, 2)); err == nil {
		t.Error("signed two blocks at one height")
	}
	if err := g.SignVote("chain", vote(2, 2)); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, LastSignName)); err != nil {
		t.Fatal(err)
	}
	if g, err = newGuard(key, dir, false); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		height int64
		want   error
	}{{7, errQuiet}, {8, errQuiet}, {9, nil}} {
		if err := g.SignVote("chain", vote(step.height, 1)); !errors.Is(err, step.want) {
			t.Errorf("height %d: %v, want %v", step.height, err, step.want)
		}
	}
}

// A node that was stopped before its first vote may still give it; one that lost its
// record may have given it.
func TestOnlyAnUnbornNodeSignsAtTheGenesisWithoutARecord(t *testing.T) {
	key := token.KeyFromSeed([32]byte{1})
	dir := t.TempDir()
	for _, newLedger := range []bool{true, false} {
		g, err := newGuard(key, dir, newLedger)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.may(1); err != nil {
			t.Errorf("never signed, ledger new %v: %v", newLedger, err)
		}
	}
	g, err := newGuard(key, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.may(1); !errors.Is(err, errQuiet) {
		t.Errorf("lost its record: %v", err)
	}
}

// A node whose record of what it signed is gone comes back to a chain that goes on:
// no commit holds its signature before two blocks above the tip it first met, and
// later ones do.
func TestANodeWithoutItsRecordWaitsTwoBlocks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	record := filepath.Join(c.members[3].dir, LastSignName)
	c.reach(ctx, 3, c.members[3].chain.machine.Height()+2) // it has signed by then
	c.stop(3)
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	c.pay(ctx, 0, 1)
	c.start(3)
	back := c.members[3].chain
	address := ed25519.PrivKey(c.members[3].secret.Key().Ed25519()).PubKey().Address()
	signs := func(height unit.Height) bool {
		commit := c.members[0].chain.node.BlockStore().LoadBlockCommit(int64(height))
		if commit == nil {
			t.Fatalf("no commit of %d", height)
		}
		for _, s := range commit.Signatures {
			if s.BlockIDFlag == types.BlockIDFlagCommit && string(s.ValidatorAddress) == string(address) {
				return true
			}
		}
		return false
	}
	var from unit.Height
	for from == 0 {
		c.reach(ctx, 0, c.members[0].chain.machine.Height()+1)
		back.guard.mu.Lock()
		from = unit.Height(back.guard.from)
		back.guard.mu.Unlock()
	}
	c.reach(ctx, 0, from+6)
	for h := from - quietBlocks; h < from; h++ {
		if signs(h) {
			t.Errorf("signed %d, it may from %d", h, from)
		}
	}
	// On a busy machine some blocks are agreed on before its vote is there.
	for h := from; !signs(h); h++ {
		if h == from+100 {
			t.Fatalf("never signs again after %d", from)
		}
		c.reach(ctx, 0, h+2)
	}
}
