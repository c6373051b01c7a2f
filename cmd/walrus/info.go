package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

type networkInfo struct {
	Ledger        ledgerState      `json:"ledger"`
	EpochEnd      uint64           `json:"epoch_end_height"`
	EpochEndTime  time.Time        `json:"epoch_end_time"` // about
	Nodes         int              `json:"nodes"`          // with shards
	Shards        int              `json:"shards"`
	Faults        int              `json:"f"` // shards that may fail or lie
	StoredMiB     token.Amount     `json:"price_per_stored_mib_epoch"`
	BlobMiB       token.Amount     `json:"price_per_mib_epoch"` // of a large blob
	WriteMiB      token.Amount     `json:"write_price_per_mib"` // of a large blob, once
	DefaultEpochs uint64           `json:"default_epochs"`
	MaxEpochs     uint64           `json:"max_epochs"`
	UsedKiB       uint64           `json:"used_kib"`
	RoomKiB       uint64           `json:"room_kib"` // both of stored KiB
	Power         power            `json:"power"`
	Strength      *report.Strength `json:"strength,omitempty"` // missing: see no_strength
	NoStrength    string           `json:"no_strength,omitempty"`
	Wallet        *token.Address   `json:"wallet,omitempty"`
	Balance       *token.Amount    `json:"balance,omitempty"`
	NoWallet      string           `json:"no_wallet,omitempty"` // why
}

// power is how the shards are spread, and what a third of them would cost.
type power struct {
	Stake         token.Amount   `json:"stake"` // that counts
	Largest       staking.NodeID `json:"largest_node"`
	LargestShards int            `json:"largest_shards"`
	Cap           int            `json:"cap"` // shards of a node, while others have the stake for the rest
	CapLifted     bool           `json:"cap_lifted"`
	ThirdCosts    token.Amount   `json:"third_costs"` // stake more, at the stakes of now
}

func (p power) rows(t *table, shards int) {
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
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			out, err := s.info()
			if err != nil {
				return err
			}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			// A network can be looked at without a wallet.
			if key, err := a.key(c.Context()); err != nil {
				if c.Context().Err() != nil {
					return err
				}
				out.NoWallet = err.Error()
			} else {
				address := key.Address()
				account, err := s.view.Account(address)
				if err != nil {
					return err
				}
				out.Wallet, out.Balance = &address, &account.Balance
			}
			return a.print(out, out.print)
		},
	}
}

func (s *session) info() (out networkInfo, err error) {
	committee, err := s.view.Committee(s.head.Epoch)
	if err != nil {
		return out, err
	}
	shape, err := s.params.Shape()
	if err != nil {
		return out, err
	}
	usage, err := s.view.Usage()
	if err != nil {
		return out, err
	}
	out = networkInfo{EpochEnd: s.head.EpochEnd, EpochEndTime: s.begins(s.head.Epoch + 1).UTC(), Nodes: committee.Holders(),
		Shards: shape.N, Faults: shape.F, DefaultEpochs: s.params.Registry.DefaultEpochs, MaxEpochs: s.params.Registry.MaxEpochs,
		UsedKiB: usage.ReservedKiB, RoomKiB: usage.ShardKiB * uint64(shape.N)}
	const mib, many = 1 << 20, 1 << 10 // of many MiB, so that nothing is rounded
	l, err := shape.Layout(many * mib)
	if err != nil {
		return out, err
	}
	stored, err1 := s.params.Registry.PriceOf(mib / 1024)
	blob, err2 := s.params.Registry.PriceOf(l.StoredKiB() / many)
	write, err3 := s.params.Registry.WritePriceOf(l.StoredKiB() / many)
	out.StoredMiB, out.BlobMiB, out.WriteMiB = stored, blob, write
	out.Strength, out.NoStrength = s.report().Strength(committee, usage)
	var keys [][]byte
	for _, m := range committee.Nodes {
		keys = append(keys, ledger.KeyPool(m.ID))
	}
	if err := s.prefetch(keys); err != nil {
		return out, err
	}
	of, err4 := s.view.Power(committee, s.params)
	out.Power = power{of.Stake, of.Largest, of.Shards, of.Cap, of.Lifted(), of.Third}
	return out, errors.Join(err1, err2, err3, err4)
}

func (i networkInfo) print(w io.Writer) error {
	t := newTable(w)
	t.row("ledger", i.Ledger)
	t.row("epoch", fmt.Sprintf("%d, ends with block %d (about %s)", i.Ledger.Epoch, i.EpochEnd, timeText(i.EpochEndTime)))
	t.row("committee", fmt.Sprintf("%d nodes with %d shards, of which %d may fail or lie", i.Nodes, i.Shards, i.Faults))
	i.Power.rows(t, i.Shards)
	t.row("price", fmt.Sprintf("%s for a MiB of a large blob and an epoch (%s for a MiB in the network), and %s once for writing it", i.BlobMiB, i.StoredMiB, i.WriteMiB))
	t.row("leases", fmt.Sprintf("%d epochs unless told otherwise, at most %d", i.DefaultEpochs, i.MaxEpochs))
	t.row("room", fmt.Sprintf("%s of %s promised", bytesText(i.UsedKiB<<10), bytesText(i.RoomKiB<<10)))
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
