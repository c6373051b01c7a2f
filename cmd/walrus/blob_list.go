package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

type ownBlobs struct {
	Owner  token.Address      `json:"owner"`
	Blobs  []report.Blob      `json:"blobs"`
	Ledger report.LedgerState `json:"ledger"`
}

func (a *app) listCommand() *cobra.Command {
	var owner string
	var keys decryptFlags
	c := &cobra.Command{
		Use:   "list [ID]",
		Short: "List the blobs on which the wallet has a lease, or the files of a quilt",
		Long: `Lists the blobs on which the wallet has a lease, and warns of those whose lease
ends soon. Every row is proven. That the list is complete rests on the node that
answered.

With an ID it lists the files of that quilt. walrus read takes each by ID/FILE or
by its patch ID. An encrypted one needs its key, -i or --passphrase.`,
		Example: "  walrus list\n  walrus list bafy…",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if owner != "" {
					return errUsage{errors.New("a quilt has the same files for every owner: list ID, or list --owner ADDRESS")}
				}
				id, err := parseID(args[0])
				if err != nil {
					return err
				}
				return a.listQuilt(c.Context(), id, keys)
			}
			if len(keys.keys) > 0 || keys.word.set {
				return errUsage{errors.New("a key decrypts the index of a quilt: name its ID")}
			}
			address, err := a.addressOr(c, owner)
			if err != nil {
				return err
			}
			a.lists = ledger.PrefixOwned(address)
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
	keys.add(c)
	c.Flags().StringVar(&owner, "owner", "", "list the blobs of this address instead")
	return c
}

// addressOr reads the typed address; without one it is the wallet's.
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
	list, err := s.OwnedBlobs(owner)
	for i := range list {
		list[i].Warning = s.warn(list[i], owner) // of the owner's leases: those of others do not matter to it
	}
	return ownBlobs{Owner: owner, Blobs: list}, err
}

func (s *session) printOwned(w io.Writer, out ownBlobs) error {
	if len(out.Blobs) == 0 {
		_, err := fmt.Fprintf(w, "no blobs of %s\n", out.Owner)
		return err
	}
	t := newTable(w)
	t.row("BLOB", "SIZE", "STATE", "UNTIL EPOCH", "ABOUT", "RENEWS ITSELF UNTIL ABOUT EPOCH")
	for _, b := range out.Blobs {
		end, until := b.Lasts(out.Owner)
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
