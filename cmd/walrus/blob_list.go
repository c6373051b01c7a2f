package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

type ownBlobs struct {
	Owner  token.Address      `json:"owner"`
	Blobs  []blobStatus       `json:"blobs"`
	Ledger report.LedgerState `json:"ledger"`
}

func (a *app) listCommand() *cobra.Command {
	var owner string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the blobs on which the wallet has a lease",
		Long:  "Lists the blobs on which the wallet has a lease, and warns of those whose lease ends soon. Every row is proven. That the list is complete rests on the node that answered.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			address, err := a.addressOr(c, owner)
			if err != nil {
				return err
			}
			return a.withSession(c.Context(), func(s *session) error {
				out, err := s.owned(address)
				if err != nil {
					return err
				}
				out.Ledger = s.ledgerState()
				return a.print(out, func(w io.Writer) error { return s.printOwned(w, out) })
			})
		},
	}
	c.Flags().StringVar(&owner, "owner", "", "list the blobs of this address instead")
	return c
}

// addressOr is an address that was typed, or the wallet's.
func (a *app) addressOr(c *cobra.Command, typed string) (token.Address, error) {
	if typed != "" {
		address, err := token.ParseAddress(typed)
		if err != nil {
			return address, errUsage{err}
		}
		return address, nil
	}
	key, err := a.key(c.Context())
	if err != nil {
		return token.Address{}, err
	}
	return key.Address(), nil
}

func (s *session) owned(owner token.Address) (ownBlobs, error) {
	out := ownBlobs{Owner: owner, Blobs: []blobStatus{}}
	var ids []blob.ID
	if err := s.View.EachOwned(owner, func(id blob.ID) error { ids = append(ids, id); return nil }); err != nil {
		return out, err
	}
	var keys [][]byte
	for _, id := range ids {
		keys = append(keys, ledger.KeyBlob(id))
	}
	if err := s.Prefetch(keys...); err != nil {
		return out, err
	}
	for _, id := range ids {
		st, err := s.statusOf(id)
		if err != nil {
			return out, err
		}
		st.Warning = s.warn(st, owner) // for their own leases: others' may end when they like
		out.Blobs = append(out.Blobs, st)
	}
	return out, nil
}

func (s *session) printOwned(w io.Writer, out ownBlobs) error {
	if len(out.Blobs) == 0 {
		_, err := fmt.Fprintf(w, "no blobs of %s\n", out.Owner)
		return err
	}
	t := newTable(w)
	t.row("BLOB", "SIZE", "STATE", "UNTIL EPOCH", "ABOUT", "RENEWS ITSELF UNTIL ABOUT EPOCH")
	for _, b := range out.Blobs {
		end, until := b.lasts(out.Owner)
		renews := "-"
		if until > end {
			renews = strconv.FormatUint(uint64(until), 10)
		}
		t.row(b.Blob, bytesText(b.Bytes), b.State, end, timeText(s.Begins(end)), renews)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, b := range out.Blobs {
		if b.Warning == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s %s\n", b.Blob, b.Warning); err != nil {
			return err
		}
	}
	return nil
}
