package node

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// fibber is the ledger as a client sees it through a node that lies in receipts.
type fibber struct {
	local
	answer func(tx []byte, kind ledger.Kind) (ledger.TxReceipt, bool)
	kept   [][]byte
}

func (l *fibber) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	decoded, _, err := ledger.DecodeTx(tx)
	if err != nil {
		return ledger.TxReceipt{}, err
	}
	if r, lie := l.answer(tx, decoded.Kind); lie {
		l.kept = append(l.kept, tx)
		return r, nil
	}
	return l.local.Submit(ctx, tx)
}

func (n *network) lyingClient(l *fibber) *client.Client {
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{9, 9, 9}).Ed25519(), Bootstrap: n.genesis.Nodes[0].Addresses, Wire: n.air.Place().Wire,
		Hello: p2p.Hello{Chain: string(n.ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		n.t.Fatal(err)
	}
	c := client.New(host, l, n.ledger.ChainID(), quiet())
	n.t.Cleanup(func() { c.Close(); host.Close() })
	return c
}

// A node says "nonce used", keeps what was signed, and sends it later.
func TestALieAboutTheNonceNeverMultipliesAPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []ledger.Code{ledger.ErrNonce.Code, ledger.ErrFunds.Code, ledger.ErrExpired.Code, 0} {
			n := startNetwork(t, 4, 10)
			lies := 5
			l := &fibber{local: n.ledger}
			l.answer = func([]byte, ledger.Kind) (ledger.TxReceipt, bool) {
				lies--
				return ledger.TxReceipt{Height: 1, Code: code, Log: "a lie"}, lies >= 0
			}
			c := n.lyingClient(l)
			shop := token.Address{5}
			pay := func() error {
				_, err := c.Send(within(t), n.wallet, ledger.Transfer{To: shop, Amount: 100 * token.WAL})
				return err
			}
			err := pay()
			for tries := 0; err != nil && tries < 6; tries++ { // a person types it again
				err = pay()
			}
			if err != nil {
				t.Fatalf("code %d: %v", code, err)
			}
			for _, tx := range l.kept {
				if _, err := n.ledger.Submit(context.Background(), tx); err != nil {
					t.Fatal(err)
				}
			}
			v, err := n.ledger.View(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if a, err := v.Account(shop); err != nil || a.Balance != 100*token.WAL {
				t.Errorf("code %d: one payment of 100WAL was asked for; %s arrived: %v", code, a.Balance, err)
			}
		}
	})
}

// A node says that a certificate is on the ledger, and throws it away.
func TestAStoreIsDoneWhenTheLedgerShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 10)
		l := &fibber{local: n.ledger}
		lies := true
		l.answer = func(_ []byte, k ledger.Kind) (ledger.TxReceipt, bool) {
			return ledger.TxReceipt{Height: 3}, lies && k == ledger.KindCertify
		}
		c := n.lyingClient(l)
		src := memory(bytes.Repeat([]byte("x"), 50_000))
		out, err := c.Store(within(t), n.wallet, src, client.StoreOptions{})
		if err == nil {
			t.Fatalf("Store(%s) is done, says the client (kept until epoch %d); the ledger has no certificate", out.ID, out.EndEpoch)
		}
		lies = false
		if out, err = c.Store(within(t), n.wallet, src, client.StoreOptions{}); err != nil || out.Price != 0 {
			t.Fatalf("again, with an honest node: %v, paid %s", err, out.Price)
		}
	})
}

// Whatever others pay for the owner at the same moment, the end that is told is the one
// that the ledger shows, and what was asked for.
func TestTheEndThatIsToldIsTheOneThatTheLedgerShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 10)
		l := &fibber{local: n.ledger}
		mallory := token.KeyFromSeed([32]byte{66})
		send := func(k token.Key, b ledger.Body) {
			if _, err := client.New(nil, n.ledger, n.ledger.ChainID(), quiet()).Send(within(t), k, b); err != nil {
				t.Fatal(err)
			}
		}
		send(n.wallet, ledger.Transfer{To: mallory.Address(), Amount: token.WAL * 100})
		front := map[bool]bool{}
		ours := false // whether it is another process of the owner that is quicker
		l.answer = func(tx []byte, k ledger.Kind) (ledger.TxReceipt, bool) {
			if k == ledger.KindRegisterBlob && !front[ours] {
				front[ours] = true
				_, body, _ := ledger.DecodeTx(tx)
				b := body.(ledger.RegisterBlob)
				b.Epochs = 1
				if ours {
					send(n.wallet, b)
				} else {
					b.Permanent = true
					send(mallory, b)
				}
			}
			return ledger.TxReceipt{}, false
		}
		c := n.lyingClient(l)
		for i, which := range []bool{false, true} {
			ours = which
			out, err := c.Store(within(t), n.wallet, memory(bytes.Repeat([]byte{byte(i)}, 50_000)), client.StoreOptions{Epochs: 26})
			if err != nil {
				t.Fatal(err)
			}
			v, err := n.ledger.View(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := v.Blob(out.ID)
			if end, ok := e.OwnedBy(n.wallet.Address(), 0); err != nil || !ok || end != out.EndEpoch || end < 26 {
				t.Errorf("by the owner %v: asked for 26 epochs; the client says kept until epoch %d, the ledger %d", which, out.EndEpoch, end)
			}
		}
	})
}

// What is stored again is kept as long as is asked then, or the store fails.
func TestARepeatedStoreGivesWhatItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 10)
		c := n.client()
		src := memory(bytes.Repeat([]byte("z"), 50_000))
		store := func(o client.StoreOptions) (client.StoreResult, error) { return c.Store(within(t), n.wallet, src, o) }
		first, err := store(client.StoreOptions{Epochs: 2})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := store(client.StoreOptions{}); err != nil || again.EndEpoch != first.EndEpoch || !again.Already || again.Price != 0 {
			t.Errorf("again, without a wish: %+v, %v", again, err)
		}
		if more, err := store(client.StoreOptions{Epochs: 20}); err != nil || more.EndEpoch < 20 || !more.Already || more.Price == 0 {
			t.Errorf("for longer: %+v, %v", more, err)
		}
		if _, err := store(client.StoreOptions{Epochs: 20, Permanent: true}); err == nil {
			t.Error("a lease that can be deleted passes for a permanent one")
		}
	})
}
