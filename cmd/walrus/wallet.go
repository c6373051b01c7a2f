package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

func (a *app) walletCommand() *cobra.Command {
	return a.group("wallet", "Keep the key that pays, and send money", a.walletNew(), a.walletShow(), a.walletSend(), a.walletPending(), a.walletImport(), a.walletExport())
}

type walletFile struct {
	File    string        `json:"file"`
	Address token.Address `json:"address"`
}

// saveWallet writes a key to the wallet file that is set, under a new passphrase.
func (a *app) saveWallet(ctx context.Context, key token.Key, plain bool) error {
	h, err := a.setting(setWallet)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(h.Value); err == nil { // before a passphrase is asked for; Save makes sure
		return fmt.Errorf("wallet %s: %w: name another with --wallet", h.Value, wallet.ErrExists)
	}
	word := ""
	if !plain {
		if word, err = a.newPassphrase(ctx); err != nil {
			if errors.Is(err, errNoTerminal) {
				err = fmt.Errorf("%w, or use --no-passphrase", err)
			}
			return err
		}
	}
	if err := wallet.Save(h.Value, key, word); err != nil {
		return err
	}
	return a.print(walletFile{h.Value, key.Address()}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, key.Address())
		a.say("the key is in %s: keep a copy of that file; without it the money is lost", h.Value)
		return err
	})
}

func (a *app) walletNew() *cobra.Command {
	var plain bool
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a key and a wallet file for it",
		Long:  "Makes a new key and writes it to the wallet file (--wallet), which only its owner can read. The file is encrypted under a passphrase: from WALRUS_PASSPHRASE_FILE, or asked for on the terminal. A file that exists is never replaced.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := token.NewKey(rand.Reader)
			if err != nil {
				return err
			}
			return a.saveWallet(c.Context(), key, plain)
		},
	}
	c.Flags().BoolVar(&plain, "no-passphrase", false, "leave the file plain: reading it is enough to take the money")
	return c
}

func (a *app) walletImport() *cobra.Command {
	var plain bool
	c := &cobra.Command{
		Use:     "import FILE | -",
		Short:   "Make a wallet file from an exported key",
		Long:    "Reads a key as walrus wallet export prints it, from FILE or standard input, and writes a new wallet file with it.",
		Example: "  walrus wallet export --show-the-key |\n    ssh elsewhere walrus wallet import - --no-passphrase",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := a.input(c.Context(), args[0], "the key")
			if err != nil {
				return err
			}
			defer in.Close()
			const enough = 4096
			text, err := io.ReadAll(io.LimitReader(in, enough))
			if err != nil {
				return fmt.Errorf("read the key: %w", err)
			}
			key, err := wallet.Parse(string(text))
			if err != nil {
				return fmt.Errorf("%s: %w: what walrus wallet export prints is wanted", nameText(args[0]), err)
			}
			return a.saveWallet(c.Context(), key, plain)
		},
	}
	c.Flags().BoolVar(&plain, "no-passphrase", false, "leave the file plain: reading it is enough to take the money")
	return c
}

func (a *app) walletExport() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the key itself: it gives full control of the money",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !sure {
				word, err := a.ask(c.Context(), "The key will be printed; it gives full control of the money. Type show to go on: ")
				if errors.Is(err, errNoTerminal) {
					return errUsage{errors.New("the key gives full control of the money: say --show-the-key if you mean it")}
				}
				if err != nil {
					return err
				}
				if word != "show" {
					return errors.New("nothing was printed")
				}
			}
			key, err := a.key(c.Context())
			if err != nil {
				return err
			}
			return a.print(map[string]string{"address": key.Address().String(), "key": wallet.Text(key)}, func(w io.Writer) error {
				_, err := io.WriteString(w, wallet.Text(key))
				return err
			})
		},
	}
	c.Flags().BoolVar(&sure, "show-the-key", false, "print it without asking")
	return c
}

type walletShown struct {
	Address token.Address       `json:"address"`
	Balance *token.Amount       `json:"balance,omitempty"`
	Ledger  *report.LedgerState `json:"ledger,omitempty"`
}

func (a *app) walletShow() *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use:   "show [ADDRESS]",
		Short: "Show the wallet's address and balance, or another's balance",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			address, err := a.addressOr(c, first(args))
			if err != nil {
				return err
			}
			out := walletShown{Address: address}
			if !offline {
				s, err := a.openWithout(c.Context())
				if err != nil {
					return fmt.Errorf("the address is %s, but its balance is not known (--offline does not ask): %w", address, err)
				}
				defer s.Close()
				account, err := s.View.Account(address)
				if err != nil {
					return err
				}
				at := s.ledgerState()
				out.Balance, out.Ledger = &account.Balance, &at
			}
			return a.print(out, func(w io.Writer) error {
				t := newTable(w)
				t.row("address", out.Address)
				if out.Balance != nil {
					t.row("balance", *out.Balance)
					t.row("ledger", ledgerText(*out.Ledger))
				}
				return t.flush()
			})
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "show the address only, ask no network")
	return c
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (a *app) walletSend() *cobra.Command {
	return moving(&cobra.Command{
		Use:     "send ADDRESS AMOUNT",
		Short:   "Send money to an address",
		Example: "  walrus wallet send wal1… 1.5WAL",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			to, amount, err := parsePayment(args[0], args[1])
			if err != nil {
				return err
			}
			return a.withWallet(c.Context(), func(s *session) error { return a.send(c.Context(), s, to, amount) })
		},
	})
}

func parsePayment(address, amount string) (to token.Address, sum token.Amount, err error) {
	if to, err = token.ParseAddress(address); err == nil {
		sum, err = token.ParseAmount(amount)
	}
	if err != nil {
		err = errUsage{err}
	}
	return to, sum, err
}

// send gives money to an address.
func (a *app) send(ctx context.Context, s *session, to token.Address, amount token.Amount) error {
	return a.move(ctx, s, move{act: "send", text: fmt.Sprintf("send %s to %s", amount, to), to: &to, amount: &amount, body: ledger.Transfer{To: to, Amount: amount}})
}
