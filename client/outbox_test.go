package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// halting is a ledger that takes transactions and makes no blocks while it stands still.
type halting struct {
	*ledger.Local
	still bool
	kept  [][]byte
	asked func() // is told that a transaction is kept
}

func (h *halting) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	if h.still {
		h.kept = append(h.kept, tx)
		h.asked()
		<-ctx.Done()
		return ledger.TxReceipt{}, ctx.Err()
	}
	return h.Local.Submit(ctx, tx)
}

// revive makes the blocks for all that waits.
func (h *halting) revive(t *testing.T) {
	h.still = false
	for _, tx := range h.kept {
		if _, err := h.Local.Submit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
}

func payer() token.Key { return token.KeyFromSeed([32]byte{42}) }

func newHalting(t *testing.T) *halting {
	t.Helper()
	secret := token.Secret{1, 2}
	g := ledger.Genesis{Name: "test", Time: time.Now().UnixMilli(), Params: ledger.Testnet(), Accounts: []ledger.GenesisAccount{{Address: payer().Address(), Amount: 1000 * token.WAL}},
		Nodes: []ledger.GenesisNode{ledger.GenesisNode{Operator: payer().Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL}.Prove("test", secret.Key(), secret.BLSKey())}}
	l, err := ledger.NewLocal(g, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		t.Fatal(err)
	}
	return &halting{Local: l, asked: func() {}}
}

// command is a process with the wallet: what it holds ends with it.
func (h *halting) command(dir string) *Client {
	c := &Client{ledger: h, chain: h.ChainID(), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	c.Outbox = NewOutbox(dir, h.ChainID())
	return c
}

func (h *halting) balance(t *testing.T, a token.Address) token.Amount {
	t.Helper()
	v, err := h.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	acc, err := v.Account(a)
	if err != nil {
		t.Fatal(err)
	}
	return acc.Balance
}

// interrupted is a context that ends once the ledger that stands still has a transaction.
func (h *halting) interrupted(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	h.asked = cancel
	return ctx
}

func TestWhatAnInterruptedCommandSentIsNotSentASecondTime(t *testing.T) {
	h, dir := newHalting(t), filepath.Join(t.TempDir(), "pending")
	shop := token.Address{5}
	body := ledger.Transfer{To: shop, Amount: 5 * token.WAL}
	h.still = true
	for range 3 {
		if _, err := h.command(dir).Send(h.interrupted(t), payer(), body); err == nil {
			t.Fatal("a ledger that stands still has done it")
		}
	}
	h.revive(t)
	if got := h.balance(t, shop); got != 5*token.WAL {
		t.Fatalf("%s arrived, 5WAL was typed", got)
	}
	// Typed once more, it is told what became of it; and then it is a new payment.
	for i, want := range []token.Amount{5, 10} {
		if _, err := h.command(dir).Send(t.Context(), payer(), body); err != nil {
			t.Fatal(err)
		}
		if got := h.balance(t, shop); got != want*token.WAL {
			t.Errorf("the %d. time after: %s arrived, want %dWAL", i+1, got, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d transactions are kept that are decided: %v", len(left), err)
	}
}

func TestAnotherTransactionIsNotHeldUpByOneThatIsPending(t *testing.T) {
	h, dir := newHalting(t), filepath.Join(t.TempDir(), "pending")
	h.still = true
	one, other := ledger.Transfer{To: token.Address{5}, Amount: 5}, ledger.Transfer{To: token.Address{6}, Amount: 6}
	if _, err := h.command(dir).Send(h.interrupted(t), payer(), one); err == nil {
		t.Fatal("done")
	}
	h.still = false // and the first is lost
	if _, err := h.command(dir).Send(t.Context(), payer(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := h.command(dir).Send(t.Context(), payer(), one); err != nil {
		t.Fatal(err)
	}
	if a, b := h.balance(t, token.Address{5}), h.balance(t, token.Address{6}); a != 5 || b != 6 {
		t.Errorf("%d and %d arrived", a, b)
	}
}

// Two that are under way at once are two, though they do the same.
func TestTwoCommandsAtOnceAreTwo(t *testing.T) {
	h, dir := newHalting(t), filepath.Join(t.TempDir(), "pending")
	h.still = true
	body := ledger.Transfer{To: token.Address{5}, Amount: 5}
	first := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := h.command(dir).Send(ctx, payer(), body); first <- err }()
	o := NewOutbox(dir, h.ChainID())
	for names, _ := o.names(); len(names) == 0; names, _ = o.names() {
		time.Sleep(time.Millisecond) // until the first is under way
	}
	if kind, raw := ledger.KindOf(body); o.same(payer().Public(), kind, raw) != nil {
		t.Error("a transaction that another process waits for is taken over")
	}
	cancel()
	if err := <-first; err == nil {
		t.Error("done")
	}
	kind, raw := ledger.KindOf(body)
	if k := o.same(payer().Public(), kind, raw); k == nil {
		t.Error("what was interrupted is not there")
	} else {
		k.leave()
	}
}

func TestADamagedPendingFileIsNotSent(t *testing.T) {
	h, dir := newHalting(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, string(h.ChainID())+"-00"+txSuffix), []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	body := ledger.Transfer{To: token.Address{5}, Amount: 5}
	if _, err := h.command(dir).Send(t.Context(), payer(), body); err != nil {
		t.Fatal(err)
	}
	for range maxOutbox {
		if err := os.WriteFile(filepath.Join(dir, string(h.ChainID())+"-"+time.Now().Format(time.RFC3339Nano)+txSuffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.command(dir).Send(t.Context(), payer(), body); err != nil && !errors.Is(err, ErrOutboxFull) {
		t.Fatal(err)
	}
}
