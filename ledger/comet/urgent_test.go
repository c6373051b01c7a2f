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
func TestUrgentTransactionsGoFirstAndWhatFailsStaysOut(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	urgent, spam := p.transfer(0), p.transfer(1)
	broke := ledger.Sign(token.KeyFromSeed([32]byte{9}), p.w.genesis.ChainID(), 0, token.WAL, ledger.Transfer{Amount: 1})
	stale := ledger.Unsigned(ledger.Answer{Ordinal: 1, Shard: 2})
	p.app.urgent = func() [][]byte { return [][]byte{stale, urgent} }
	zero := p.propose(c)[0]
	size := types.ComputeProtoSizeForTxs([]types.Tx{zero, urgent})
	for room, want := range map[int64][][]byte{
		size:     {zero, urgent},
		size - 1: {zero},
		1 << 20:  {zero, urgent, spam},
	} {
		r, err := p.app.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: p.height, LocalLastCommit: c, MaxTxBytes: room, Txs: [][]byte{broke, spam, urgent, spam, []byte("no transaction")}})
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

// transfer is a transaction of an account that has money.
func (p *podium) transfer(nonce uint64) []byte {
	operator := token.KeyFromSeed([32]byte{7})
	return ledger.Sign(operator, p.w.genesis.ChainID(), nonce, token.WAL, ledger.Transfer{To: operator.Address(), Amount: 1})
}

func TestAProposalThatWeighsTooMuchOrHoldsNoTransactionIsRefused(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	zero := p.propose(c)[0]
	if !p.process(c, [][]byte{zero, p.transfer(0)}) {
		t.Fatal("an honest block is refused")
	}
	if p.process(c, [][]byte{zero, []byte("no transaction")}) {
		t.Error("a block with bytes that are no transaction is accepted")
	}
	heavy := ledger.Unsigned(ledger.Certify{})
	block := [][]byte{zero}
	for used := uint64(0); used <= p.w.genesis.Params.BlockWork; used += p.w.genesis.Params.Work(heavy) {
		block = append(block, heavy)
	}
	if p.process(c, block) {
		t.Error("a block of more work than its budget is accepted")
	}
	if !p.process(c, block[:len(block)-1]) {
		t.Error("a block within its budget is refused")
	}
}
