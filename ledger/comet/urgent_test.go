package comet

import (
	"bytes"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// What is urgent to a proposer goes before a mempool that fills the block, once, and only
// if the ledger would do it.
func TestUrgentTransactionsGoFirst(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	operator := token.KeyFromSeed([32]byte{7})
	transfer := func(nonce uint64) []byte {
		return ledger.Sign(operator, p.w.genesis.ChainID(), nonce, token.WAL, ledger.Transfer{To: operator.Address(), Amount: 1})
	}
	urgent, spam := transfer(0), transfer(1)
	stale := ledger.Unsigned(ledger.Answer{Ordinal: 1, Shard: 2})
	p.app.urgent = func() [][]byte { return [][]byte{stale, urgent} }
	zero := p.propose(c)[0]
	size := types.ComputeProtoSizeForTxs([]types.Tx{zero, urgent})
	for room, want := range map[int64][][]byte{
		size:     {zero, urgent},
		size - 1: {zero},
		1 << 20:  {zero, urgent, spam, spam},
	} {
		r, err := p.app.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: p.height, LocalLastCommit: c, MaxTxBytes: room, Txs: [][]byte{spam, urgent, spam}})
		if err != nil || len(r.Txs) != len(want) {
			t.Fatalf("%d bytes: %d transactions, want %d, %v", room, len(r.Txs), len(want), err)
		}
		for i := range want {
			if i > 0 && !bytes.Equal(r.Txs[i], want[i]) {
				t.Errorf("%d bytes: transaction %d is another", room, i)
			}
		}
		if !p.process(c, r.Txs) {
			t.Error("others refuse the block")
		}
	}
}
