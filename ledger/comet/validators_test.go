package comet

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/kv"
)

// The committee of a header costs about the same however long ago it was chosen: any
// stranger may ask for a header, and each has one.
func TestACommitteeThatStandsForLongIsReadAtOnce(t *testing.T) {
	const members, height = 100, 99_999 // one below the height at which the store keeps a set again
	db, err := kv.Open(kv.Options{Dir: t.TempDir(), Profile: kv.Small})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store := sm.NewStore(newCometDisk(db, "state", nil), sm.StoreOptions{})
	var founders []types.GenesisValidator
	for range members {
		founders = append(founders, types.GenesisValidator{PubKey: ed25519.GenPrivKey().PubKey(), Power: 10})
	}
	s, err := sm.MakeGenesisState(&types.GenesisDoc{ChainID: "test", GenesisTime: time.Unix(1, 0), InitialHeight: 1, ConsensusParams: types.DefaultConsensusParams(), Validators: founders})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, height - 2} {
		s.LastBlockHeight = at
		if err := store.Save(s); err != nil {
			t.Fatal(err)
		}
	}
	least := func(height int64) time.Duration { // of several readings: the machine does other things as well
		took := time.Duration(math.MaxInt64)
		for range 20 {
			began := time.Now()
			got, err := validatorsAt(store, height)
			took = min(took, time.Since(began))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Hash(), s.Validators.Hash()) || got.ValidateBasic() != nil {
				t.Fatal("another committee was read")
			}
		}
		return took
	}
	if near, far := least(2), least(height); far > 20*near {
		t.Errorf("a committee of %d took %s to read, %s where it has just been chosen", members, far, near)
	}
}
