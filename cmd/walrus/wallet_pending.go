package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// pendingSuffix names the directory of a wallet's pending transactions, beside its file.
const pendingSuffix = ".pending"

// outbox is where the wallet's transactions lie until it is known what became of them:
// beside the wallet, or in the user's cache where that directory cannot be written.
func (a *app) outbox(chain token.ChainID) (*client.Outbox, error) {
	h, err := a.setting(setWallet)
	if err != nil {
		return nil, err
	}
	dir := h.Value + pendingSuffix
	if os.MkdirAll(dir, 0o700) == nil && writable(dir) {
		return client.NewOutbox(dir, chain), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("pending transactions are kept in %s, which cannot be written, and there is no cache directory: %w", dir, err)
	}
	return client.NewOutbox(filepath.Join(cache, "walrus", "pending"), chain), nil
}

func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".may-write-")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// sayAfter is how long a command waits for the ledger before it says so.
const sayAfter = 3 * time.Second

// slowly prints a text after sayAfter, unless done is called before.
func (a *app) slowly(format string, args ...any) (done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTimer(sayAfter)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
			a.say(format, args...)
		}
	}()
	return func() { cancel(); <-ended }
}

// waitsFor names the transaction that a command waits for.
func (a *app) waitsFor(tx ledger.Tx) (done func()) {
	return a.slowly("waiting for a block that holds the transaction (%s, nonce %d); it may be done until block %d; interrupting does not call it back", tx.Kind, tx.Nonce, tx.Until)
}

// resumes says that a command follows what an interrupted one has sent.
func (a *app) resumes(tx ledger.Tx) {
	a.say("an interrupted command has sent the same transaction (%s, nonce %d): this follows that one and sends no second; to do it once more, type it again afterwards", tx.Kind, tx.Nonce)
}

// mayStillHappen is the advice for an error that leaves a transaction undecided.
func mayStillHappen(err error) string {
	var p light.Pending
	if !errors.As(err, &p) {
		return ""
	}
	return fmt.Sprintf("sent, may still happen until block %d: walrus wallet pending shows what becomes of it, and the same command sends the same transaction again", p.Until)
}

// pendingTx is a transaction that was sent, and whose result this wallet has not seen.
type pendingTx struct {
	Hash    string      `json:"transaction"`
	Kind    string      `json:"kind"`
	Does    string      `json:"does"`
	Nonce   uint64      `json:"nonce"`
	Until   unit.Height `json:"until_block"`
	State   string      `json:"state"` // waiting, done, refused, never, unknown
	Height  unit.Height `json:"height,omitempty"`
	Why     string      `json:"why,omitempty"`
	Waited  bool        `json:"another_process_waits"`
	decided bool
}

type pendingList struct {
	Height  unit.Height `json:"height"` // of the ledger
	Pending []pendingTx `json:"pending"`
}

func (a *app) walletPending() *cobra.Command {
	return &cobra.Command{
		Use:   "pending",
		Short: "Show transactions that were sent and not seen to end",
		Long: `A command that is interrupted, or that a ledger which stands still keeps
waiting, leaves its signed transaction beside the wallet: it may still be done
until the block that it names. This shows each with what the ledger proves of
it, and forgets those that are decided. The same command, typed again, sends
the same transaction again instead of a second one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withSession(c.Context(), func(s *session) error {
				o, err := a.outbox(s.Network.Genesis.ChainID())
				if err != nil {
					return err
				}
				list, err := o.Pending(s.View)
				if err != nil {
					return err
				}
				out := pendingList{Height: s.Head.Height, Pending: []pendingTx{}}
				for _, p := range list {
					out.Pending = append(out.Pending, pendingOf(p))
				}
				return a.print(out, out.print)
			})
		},
	}
}

func pendingOf(p client.PendingTx) pendingTx {
	out := pendingTx{Hash: p.Hash.String(), Kind: p.Tx.Kind.String(), Does: does(p.Body), Nonce: p.Tx.Nonce, Until: p.Tx.Until, Waited: p.Waited, decided: p.Decided, State: "waiting", Height: p.Receipt.Height}
	switch {
	case p.Err != nil:
		out.State, out.Why = "unknown", p.Err.Error()
	case !p.Decided:
	case p.Receipt.Code == 0:
		out.State = "done"
	case p.Receipt.Height == 0:
		out.State, out.Why = "never", p.Receipt.Err().Error()
	default:
		out.State, out.Why = "refused", p.Receipt.Err().Error()
	}
	return out
}

// does names the effect of a transaction, in a few words.
func does(b ledger.Body) string {
	switch b := b.(type) {
	case ledger.Transfer:
		return fmt.Sprintf("sends %s to %s", b.Amount, b.To)
	case ledger.RegisterBlob:
		return fmt.Sprintf("pays for blob %s for %d epochs", b.Manifest.ID(), b.Epochs)
	case ledger.Extend:
		return fmt.Sprintf("extends blob %s by %d epochs", b.Blob, b.Epochs)
	case ledger.Delete:
		return fmt.Sprintf("deletes blob %s", b.Blob)
	case ledger.SetRenewal:
		return fmt.Sprintf("leaves %s to renew blob %s", b.Allowance, b.Blob)
	case ledger.Delegate:
		return fmt.Sprintf("stakes %s behind node %s", b.Amount, b.Node)
	case ledger.Undelegate:
		return fmt.Sprintf("asks for %d shares of node %s back", b.Shares, b.Node)
	case ledger.Withdraw:
		return fmt.Sprintf("draws what is due from node %s", b.Node)
	}
	kind, _ := ledger.KindOf(b)
	return kind.String()
}

func (l pendingList) print(w io.Writer) error {
	if len(l.Pending) == 0 {
		_, err := fmt.Fprintln(w, "nothing is pending")
		return err
	}
	for _, p := range l.Pending {
		state := map[string]string{
			"waiting": fmt.Sprintf("may still happen until block %d (the ledger is at %d)", p.Until, l.Height),
			"done":    fmt.Sprintf("was done in block %d", p.Height),
			"never":   "will never be done",
			"refused": fmt.Sprintf("failed in block %d", p.Height),
			"unknown": "is not known to have been done",
		}[p.State]
		if p.Waited {
			state += "; another process waits for it"
		}
		if p.Why != "" {
			state += ": " + p.Why
		}
		if _, err := fmt.Fprintf(w, "%s  %s: it %s\n", p.Hash[:12], p.Does, state); err != nil {
			return err
		}
	}
	return nil
}
