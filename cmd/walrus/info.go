package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

type networkInfo struct {
	Ledger report.LedgerState `json:"ledger"`
	report.Overview
	Wallet   *token.Address `json:"wallet,omitempty"`
	Balance  *token.Amount  `json:"balance,omitempty"`
	NoWallet string         `json:"no_wallet,omitempty"` // why there is no wallet
}

// powerText prints how the shards are spread.
type powerText report.Power

func (p powerText) rows(t *table, shards int) {
	t.row("power", fmt.Sprintf("%s of stake; more than a third of the shards would cost a newcomer %s more", p.Stake, p.ThirdCosts))
	text := fmt.Sprintf("the largest node has %d of %d shards", p.LargestShards, shards)
	if p.CapLifted {
		text += fmt.Sprintf(", beyond the cap of %d: no others have the stake for them, and its failure weighs more", p.Cap)
	}
	t.row("", text)
}

func (a *app) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "info",
		Short: "Show the network: chain, epoch, committee, prices, and your balance",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			key, noWallet := a.key(c.Context())
			keys := [][]byte{ledger.KeyUsage()}
			if noWallet == nil {
				keys = append(keys, ledger.KeyAccount(key.Address()))
			} else if c.Context().Err() != nil {
				return noWallet
			}
			return a.withSession(c.Context(), func(s *session) error {
				overview, err := s.Overview()
				if err != nil {
					return err
				}
				out := networkInfo{Ledger: s.ledgerState(), Overview: overview}
				// The network is shown without a wallet too.
				if noWallet != nil {
					out.NoWallet = noWallet.Error()
				} else {
					address := key.Address()
					account, err := s.View.Account(address)
					if err != nil {
						return err
					}
					out.Wallet, out.Balance = &address, &account.Balance
				}
				return a.print(out, out.print)
			}, keys...)
		},
	}
}

func (i networkInfo) print(w io.Writer) error {
	t := newTable(w)
	t.row("ledger", ledgerText(i.Ledger))
	t.row("epoch", fmt.Sprintf("%d, ends with block %d (about %s)", i.Ledger.Epoch, i.EpochEnd, timeText(i.EpochEndTime)))
	t.row("committee", fmt.Sprintf("%d nodes with %d shards, of which %d may fail or lie", i.Nodes, i.Shards, i.Faults))
	powerText(i.Power).rows(t, i.Shards)
	t.row("price", fmt.Sprintf("%s for a MiB of a large blob and an epoch (%s for a MiB in the network), and %s once for writing it", i.BlobMiB, i.StoredMiB, i.WriteMiB))
	t.row("leases", fmt.Sprintf("%d epochs unless told otherwise, at most %d", i.DefaultEpochs, i.MaxEpochs))
	t.row("room", fmt.Sprintf("%s of %s promised", bytesText(i.UsedKiB.Bytes()), bytesText(i.RoomKiB.Bytes())))
	if i.Strength != nil {
		strengthText(*i.Strength).rows(t)
	} else {
		t.row("strength", i.NoStrength)
	}
	if i.Balance != nil {
		t.row("wallet", *i.Wallet)
		t.row("balance", *i.Balance)
	} else {
		t.row("wallet", i.NoWallet)
	}
	return t.flush()
}
