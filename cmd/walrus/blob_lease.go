package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// own finds a blob on which the wallet has a lease.
func (s *session) own(id blob.ID) (registry.Entry, unit.Epoch, error) {
	e, known, err := s.View.Blob(id)
	if err != nil {
		return e, 0, err
	}
	if !known || !e.Live(s.Head.Epoch) {
		return e, 0, s.missing(id, known)
	}
	end, ok := e.OwnedBy(s.key.Address(), s.Head.Epoch)
	if !ok {
		return e, 0, fmt.Errorf("%s: %s has no lease on it: walrus status %s shows the owners of its leases", id, s.key.Address(), id)
	}
	return e, end, nil
}

// missing is the error for a blob without a lease: it has ended, or it is unknown.
func (s *session) missing(id blob.ID, registered bool) error {
	t, buried, err := s.View.Tombstone(id)
	switch {
	case err != nil:
		return err
	case buried:
		return fmt.Errorf("%s: %w: it was %s in epoch %d; walrus store keeps it again", id, client.ErrEnded, t.Reason, t.Ended)
	case registered:
		return fmt.Errorf("%s: %w; walrus store keeps it again", id, client.ErrEnded)
	}
	return fmt.Errorf("%s: %w", id, client.ErrUnknownBlob)
}

// proven reads a lease from the ledger again after a transaction. Other processes may have
// changed the lease at the same time.
func (s *session) proven(ctx context.Context, id blob.ID) (registry.Entry, unit.Epoch, error) {
	n, err := look(ctx, s.Connection)
	if err != nil {
		return registry.Entry{}, 0, err
	}
	s.Now = n
	return s.own(id)
}

// extendResult is the result of extending a lease, or its preview.
type extendResult struct {
	moveResult
	Blob     blob.ID      `json:"blob"`
	EndEpoch unit.Epoch   `json:"end_epoch"`
	Price    token.Amount `json:"price"` // of the epochs
}

func (a *app) extendCommand() *cobra.Command {
	var epochs uint64
	c := moving(&cobra.Command{
		Use:   "extend ID --epochs N",
		Short: "Pay for a blob for more epochs",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			if epochs == 0 && a.flags.Changed("epochs") {
				return errUsage{errors.New("--epochs 0: extend by at least one epoch")}
			}
			return a.withWallet(c.Context(), func(s *session) error { return a.extend(c.Context(), s, id, epochs) })
		},
	})
	c.Flags().Uint64Var(&epochs, "epochs", 0, "how many epochs more (default: the network's)")
	return c
}

func (a *app) extend(ctx context.Context, s *session, id blob.ID, epochs uint64) error {
	if epochs == 0 {
		epochs = s.Params.Registry.DefaultEpochs
	}
	e, end, err := s.own(id)
	if err != nil {
		return err
	}
	body := ledger.Extend{Blob: id, Epochs: epochs}
	cost, err := client.CostOf(s.Params, e.Units, epochs, true, 0, 0)
	if err != nil {
		return err
	}
	did, err := a.do(ctx, s, move{act: "extend", text: fmt.Sprintf("extend %s by %d epochs", id, epochs), body: body,
		acts: func(ledger.View, unit.Height) (effect, error) {
			return effect{end.Plus(epochs), "it is kept until"}, nil
		}})
	if err != nil {
		return err
	}
	out := extendResult{did, id, end.Plus(epochs), cost.Lease}
	if !out.DryRun {
		if _, out.EndEpoch, err = s.proven(ctx, id); err != nil {
			return fmt.Errorf("done in block %d; what it comes to could not be read: %w", did.Height, err)
		}
	}
	return a.print(out, func(w io.Writer) error {
		if out.DryRun {
			return did.print(w)
		}
		_, err := fmt.Fprintf(w, "%s is kept until epoch %d begins (about %s); paid %s\n", id, out.EndEpoch, timeText(s.Begins(out.EndEpoch)), out.Price)
		return err
	})
}

type deleteResults struct {
	Deleted []deleteResult `json:"deleted"`
	Error   string         `json:"error,omitempty"`
}

// deleteResult is the result of giving up the leases on a blob, or its preview.
type deleteResult struct {
	moveResult
	Blob   blob.ID      `json:"blob"`
	Refund token.Amount `json:"refund"`
	Others int          `json:"other_leases"` // that keep it on the network
}

func (a *app) deleteCommand() *cobra.Command {
	return moving(&cobra.Command{
		Use:   "delete ID...",
		Short: "Give up your leases on blobs",
		Long:  "Gives up the wallet's leases on each blob. What they paid for epochs that have not begun when the bytes may go comes back, less a fee, and all that was left to renew them. The network forgets the bytes when no lease of any owner is left. Deleting does not make secret what was readable: others may have copies.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var ids []blob.ID
			for _, arg := range args {
				id, err := parseID(arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return a.withWallet(c.Context(), func(s *session) error { return a.deleteAll(c.Context(), s, ids) })
		},
	})
}

// deleteAll gives up the leases on blobs, one after the other. An error does not stop the
// rest.
func (a *app) deleteAll(ctx context.Context, s *session, ids []blob.ID) (err error) {
	out := deleteResults{Deleted: []deleteResult{}}
	var errs []error
	on := s.View
	for _, id := range ids {
		var one deleteResult
		if one, on, err = a.delete(ctx, s, on, id); err != nil {
			errs = append(errs, err)
			continue
		}
		out.Deleted = append(out.Deleted, one)
	}
	err = errors.Join(errs...)
	if err != nil {
		out.Error = err.Error()
	}
	return errors.Join(err, a.print(out, out.print))
}

// delete gives up the leases on one blob in a view, and returns the view after it: a dry
// run previews the next blob on that.
func (a *app) delete(ctx context.Context, s *session, on ledger.View, id blob.ID) (deleteResult, ledger.View, error) {
	e, _, err := s.own(id)
	if err != nil {
		return deleteResult{}, on, err
	}
	m := move{act: "delete", text: fmt.Sprintf("give up the leases on %s", id), body: ledger.Delete{Blob: id}}
	out := deleteResult{Blob: id}
	out.Refund, out.Others = s.RefundOf(e, s.key.Address())
	free := registry.FreeFrom(registry.Deleted, s.Head.Epoch)
	if out.Others > 0 {
		m.notes = []string{fmt.Sprintf("%d other leases keep it", out.Others)}
	} else {
		m.acts = func(ledger.View, unit.Height) (effect, error) {
			return effect{free, "nodes may forget its bytes from"}, nil
		}
	}
	did, after, err := s.preview(on, m)
	if err != nil {
		return deleteResult{}, on, fmt.Errorf("delete blob %s: %w", id, err)
	}
	if a.dry() {
		did.DryRun = true
	} else if err := a.carryOut(ctx, s, m, &did); err != nil {
		return deleteResult{}, s.View, err
	} else {
		after = s.View
	}
	out.moveResult = did
	return out, after, nil
}

func (d deleteResults) print(w io.Writer) error {
	for _, one := range d.Deleted {
		if one.DryRun {
			if err := one.moveResult.print(w); err != nil {
				return err
			}
			continue
		}
		text := fmt.Sprintf("%s deleted; %s came back", one.Blob, one.Refund)
		if one.Others > 0 {
			text += fmt.Sprintf("; %d other leases keep it", one.Others)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
