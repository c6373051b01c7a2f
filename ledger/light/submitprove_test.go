package light

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// proving is an honest node that knows AskSubmitProve.
func (m *miner) proving(t testing.TB) oracle {
	return func(ask p2p.Ask, body []byte) ([]byte, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		switch ask {
		case p2p.AskSubmit:
			return ledger.EncodeTxReceipt(m.submit(t, body)), nil
		case p2p.AskSubmitProve:
			r := Responder{Genesis: m.w.genesis, Machine: m.w.local.Machine(), Chain: m.w}
			return r.SubmitAndProve(context.Background(), body, func(_ context.Context, tx []byte) (ledger.TxReceipt, error) {
				return m.submit(t, tx), nil
			})
		}
		return m.w.whole(ask, body)
	}
}

// A transaction, its receipt and what shows it take one question, beside the wait for blocks.
func TestAReceiptComesWithItsProofInOneQuestion(t *testing.T) {
	shop := token.Address{1}
	m := &miner{w: newWorld(t, "net", 3)}
	tx := ledger.Sign(token.KeyFromSeed([32]byte{7}), m.w.genesis.ChainID(), 0, token.WAL, ledger.Transfer{To: shop, Amount: 5})
	synctest.Test(t, func(t *testing.T) {
		d := distantTown{&town{nodes: []oracle{m.proving(t)}}, 0, 150 * time.Millisecond}
		r := NewRemote(d, m.w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return m.w.began.Add(6 * worldBlock) }
		if _, err := firstLook(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		began, asked := time.Now(), d.asked
		receipt, v, err := r.SubmitAnd(t.Context(), tx, ledger.KeyHead(), ledger.KeyAccount(shop))
		if err != nil || receipt.Code != 0 {
			t.Fatal(receipt, err)
		}
		got, err := v.Account(shop)
		if err != nil || got.Balance != 5 {
			t.Errorf("the shop has %v: %v", got.Balance, err)
		}
		if took := time.Since(began); took != d.away || d.asked != asked+1 {
			t.Errorf("%d questions, %.1f round trips, want 1 and 1", d.asked-asked, float64(took)/float64(d.away))
		}
	})
}

// A lie about the proof is blamed, and shows nothing: the records decide, and the payment is
// made once.
func TestALieAboutAProofWithAReceiptShowsNothing(t *testing.T) {
	shop := token.Address{1}
	for name, lie := range map[string]func(m *miner, q submitQuestion) submitAnswer{
		"garbage": func(*miner, submitQuestion) submitAnswer {
			return submitAnswer{Receipt: ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2}), Proof: []byte{1, 2, 3}}
		},
		"another height": func(m *miner, q submitQuestion) submitAnswer {
			q.Prove.Height = 2
			proof, _ := m.w.whole(p2p.AskProve, canon.Encode(q.Prove))
			return submitAnswer{Receipt: ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2}), Proof: proof}
		},
		"other keys": func(m *miner, q submitQuestion) submitAnswer {
			q.Prove.Height = 3
			for i := range q.Prove.Keys {
				q.Prove.Keys[i] = ledger.KeySupply()
			}
			proof, _ := m.w.whole(p2p.AskProve, canon.Encode(q.Prove))
			return submitAnswer{Receipt: ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2}), Proof: proof}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &miner{w: newWorld(t, "net", 3)}
			honest := m.proving(t)
			liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
				if ask != p2p.AskSubmitProve {
					return honest(ask, body)
				}
				var q submitQuestion
				if err := decodeQuestion(body, &q); err != nil {
					return nil, err
				}
				return canon.Encode(lie(m, q)), nil
			}
			town := &town{nodes: []oracle{liar, honest}}
			r := NewRemote(town, m.w.genesis, RemoteOptions{})
			tx := ledger.Sign(token.KeyFromSeed([32]byte{7}), m.w.genesis.ChainID(), 0, token.WAL, ledger.Transfer{To: shop, Amount: 5})
			receipt, err := r.Submit(within(t), tx)
			acc, err2 := ledger.View{R: must(m.w.local.View(context.Background())).R}.Account(shop)
			if err != nil || err2 != nil || receipt.Code != 0 || acc.Balance != 5 {
				t.Errorf("%+v, the shop has %v: %v, %v", receipt, acc.Balance, err, err2)
			}
			if town.blamed[town.name(0)] == nil {
				t.Error("nobody was blamed")
			}
		})
	}
}

// Whatever comes as a question that submits: an answer or a refusal, and nothing that is no
// transaction is submitted.
func FuzzSubmissionsOfStrangers(f *testing.F) {
	w := newWorld(f, "test", 3)
	f.Add(canon.Encode(submitQuestion{Tx: []byte{1}, Prove: proveQuestion{Keys: [][]byte{ledger.KeyHead()}}}))
	f.Add(canon.Encode(submitQuestion{Tx: []byte{1}, Prove: proveQuestion{Keys: make([][]byte, maxSubmitKeys+1)}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		submitted := 0
		r := Responder{Genesis: w.genesis, Machine: w.local.Machine(), Chain: w}
		answer, err := r.SubmitAndProve(t.Context(), b, func(context.Context, []byte) (ledger.TxReceipt, error) {
			submitted++
			return ledger.TxReceipt{Height: 1}, nil
		})
		if err != nil && submitted > 0 {
			t.Errorf("submitted, and then refused: %v", err)
		}
		if len(answer) > p2p.MaxAnswer {
			t.Errorf("%d bytes", len(answer))
		}
	})
}
