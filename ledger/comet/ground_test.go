package comet

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// TestClientsReadTheLedgerWhateverAccountsAreGround grinds accounts into the bucket of
// the head on a real chain, and reads it as a client does.
func TestClientsReadTheLedgerWhateverAccountsAreGround(t *testing.T) {
	c := newCluster(t, 1)
	// So many blocks of real time take minutes on a busy machine, and then the genesis must
	// still be trusted.
	c.genesis.Params.Staking.UnbondingEpochs, c.genesis.Params.Staking.CommissionNotice = 10, 12
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	c.start(0)
	c.pay(ctx, 0, 0)
	g := c.genesis
	salt := g.Salt()
	bucket := state.BucketOf(salt, g.Params.Buckets, ledger.KeyHead())
	nonce := uint64(1)
	var sent sync.WaitGroup
	for i, n := uint64(0), 0; n < 600; i++ {
		var to token.Address
		binary.BigEndian.PutUint64(to[:], i)
		if state.BucketOf(salt, g.Params.Buckets, ledger.KeyAccount(to)) != bucket {
			continue
		}
		body := ledger.Transfer{To: to, Amount: 1}
		fee := g.Params.Fees.Of(len(ledger.Sign(c.wallet, g.ChainID(), nonce, 0, body)) + 8)
		tx := ledger.Sign(c.wallet, g.ChainID(), nonce, fee, body)
		sent.Go(func() {
			if r, err := c.members[0].chain.Submit(ctx, tx); err != nil || r.Code != 0 {
				t.Errorf("%+v %v", r, err)
			}
		})
		nonce++
		if n++; n%60 == 0 {
			sent.Wait()
		}
	}
	sent.Wait()
	c.reach(ctx, 0, c.members[0].chain.machine.Height()+2)
	v, err := c.remote(1, 0).View(ctx)
	if err == nil {
		_, err = v.Head()
	}
	if err != nil {
		t.Errorf("a client cannot read the head: %v", err)
	}
	answer, err := c.members[0].chain.Oracle().Answer(ctx, "", p2p.AskGet, canon.Encode([]any{[][]byte{ledger.KeyHead()}}))
	if err != nil || len(answer) > 4096 {
		t.Errorf("the head with its proof has %d bytes: %v", len(answer), err)
	}
}
