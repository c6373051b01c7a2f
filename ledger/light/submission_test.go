package light

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// miner is an honest node of a world whose chain goes on: a transaction that it is given
// gets a block, and one more, with whose header its effect is proven.
type miner struct {
	mu sync.Mutex // guards the world
	w  *world
}

func (m *miner) answer(t testing.TB) oracle {
	return func(ask p2p.Ask, body []byte) ([]byte, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if ask != p2p.AskSubmit {
			return m.w.honest(ask, body)
		}
		r := m.submit(t, body)
		return ledger.EncodeTxReceipt(r), nil
	}
}

// submit needs mu held.
func (m *miner) submit(t testing.TB, tx []byte) ledger.TxReceipt {
	was := m.w.local.Machine().Height()
	app := m.w.local.AppHash()
	r, err := m.w.local.Submit(context.Background(), tx)
	if err != nil {
		t.Error(err)
	}
	if m.w.local.Machine().Height() > was {
		m.w.header(t, app[:])
		m.mine(t)
	}
	return r
}

// mine needs mu held.
func (m *miner) mine(t testing.TB) {
	app := m.w.local.AppHash()
	if err := m.w.local.Advance(1); err != nil {
		t.Error(err)
	}
	m.w.header(t, app[:])
}

// header signs the header of the newest block.
func (w *world) header(t testing.TB, app []byte) {
	h := int64(w.local.Machine().Height())
	committee := w.committee(t)
	w.blocks[h] = w.sign(header(w.genesis, h, w.began.Add(time.Duration(h)*worldBlock), app, committee, committee), committee)
}

// A node's word is no receipt: whatever one, the first or the only node says, a payment
// is said to be done when the ledger shows it, and is made once.
func TestNoNodesWordIsAReceipt(t *testing.T) {
	words := map[string]func() ([]byte, error){
		"done": func() ([]byte, error) { return ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2}), nil },
		"nonce used": func() ([]byte, error) {
			return ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2, Code: ledger.ErrNonce.Code}), nil
		},
		"no money": func() ([]byte, error) {
			return ledger.EncodeTxReceipt(ledger.TxReceipt{Height: 2, Code: ledger.ErrFunds.Code}), nil
		},
		"bad request": func() ([]byte, error) { return nil, &p2p.Refusal{Code: p2p.CodeBadRequest, Text: "bad"} },
		"wait":        func() ([]byte, error) { return nil, &p2p.Refusal{Code: p2p.CodeWait, Text: "halted"} },
		"garbage":     func() ([]byte, error) { return []byte{1, 2, 3}, nil },
		"lost":        func() ([]byte, error) { return nil, errors.New("stream reset") },
	}
	wallet, shop := token.KeyFromSeed([32]byte{7}), token.Address{1}
	for name, word := range words {
		for _, place := range []string{"first", "among", "only"} {
			t.Run(name+"/"+place, func(t *testing.T) {
				t.Parallel()
				m := &miner{w: newWorld(t, "net", 3)}
				honest := m.answer(t)
				liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
					if ask == p2p.AskSubmit {
						return word()
					}
					return honest(ask, body)
				}
				nodes := map[string][]oracle{"first": {liar, honest}, "among": {honest, liar, liar}, "only": {liar}}[place]
				r := NewRemote(&town{nodes: nodes}, m.w.genesis, RemoteOptions{})
				tx := ledger.Sign(wallet, m.w.genesis.ChainID(), 0, token.WAL, ledger.Transfer{To: shop, Amount: 5})
				ctx := within(t)
				if place == "only" {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
					defer cancel()
				}
				stop := make(chan struct{})
				var mining sync.WaitGroup
				mining.Go(func() { // the chain goes on
					for {
						select {
						case <-stop:
							return
						case <-time.After(300 * time.Millisecond):
							m.mu.Lock()
							m.mine(t)
							m.mu.Unlock()
						}
					}
				})
				receipt, err := r.Submit(ctx, tx)
				close(stop)
				mining.Wait()
				v := ledger.View{R: must(m.w.local.View(context.Background())).R}
				acc, err2 := v.Account(shop)
				if err2 != nil {
					t.Fatal(err2)
				}
				if place == "only" {
					if err == nil || acc.Balance != 0 {
						t.Errorf("nobody has it, and the client says %+v", receipt)
					}
					return
				}
				if err != nil || receipt.Err() != nil || acc.Balance != 5 {
					t.Errorf("%+v, %v; the shop has %s", receipt, err, acc.Balance)
				}
			})
		}
	}
}

// What an honest node refuses is refused, and no proof is waited for.
func TestWhatAllNodesRefuseIsRefused(t *testing.T) {
	m := &miner{w: newWorld(t, "net", 3)}
	r := NewRemote(&town{nodes: []oracle{m.answer(t), m.answer(t), m.answer(t)}}, m.w.genesis, RemoteOptions{})
	tx := ledger.SignUntil(token.KeyFromSeed([32]byte{9}), m.w.genesis.ChainID(), 0, token.WAL, 50, ledger.Transfer{To: token.Address{1}, Amount: 5})
	_, err := r.Submit(within(t), tx)
	var u Unproven
	if !errors.Is(err, ledger.ErrFunds) || !errors.As(err, &u) || u.Until != 50 {
		t.Errorf("%v", err)
	}
}

// A node that has fallen behind is not believed once another has shown more.
func TestHeightsOnlyRise(t *testing.T) {
	m := &miner{w: newWorld(t, "net", 8)}
	fresh := m.answer(t)
	behind := func(ask p2p.Ask, body []byte) ([]byte, error) {
		if ask == p2p.AskGet {
			var q getQuestion
			if err := decodeQuestion(body, &q); err != nil {
				return nil, err
			}
			return m.w.get(m.w.tip()-1, q.Keys)
		}
		return fresh(ask, body)
	}
	two := &town{nodes: []oracle{behind, fresh}}
	r := NewRemote(two, m.w.genesis, RemoteOptions{})
	r.rise(8)
	v, err := r.View(within(t))
	if err != nil {
		t.Fatal(err)
	}
	h, err := v.Head()
	if err != nil || h.Height != 7 {
		t.Errorf("head %d, %v: another node has answered at 8", h.Height, err)
	}
	if len(two.blamed) > 0 {
		t.Errorf("who is behind is blamed: %v", two.blamed)
	}
}
