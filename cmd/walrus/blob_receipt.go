package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// receiptShown is the contents of a receipt that was checked.
type receiptShown struct {
	File           string        `json:"file"`
	Bytes          int           `json:"bytes"` // of the file
	Chain          token.ChainID `json:"chain"`
	Blob           blob.ID       `json:"blob"`
	Size           int64         `json:"size"`
	CertifiedEpoch unit.Epoch    `json:"certified_epoch"`
	CertifiedAt    unit.Height   `json:"certified_height"`
	Nodes          int           `json:"nodes"` // that signed the certificate
	Shards         int           `json:"shards"`
	ShardsOf       int           `json:"shards_of"`
	EndEpoch       unit.Epoch    `json:"end_epoch"` // paid until it begins
	Height         int64         `json:"height"`
	Epoch          unit.Epoch    `json:"epoch"` // both: as of which
	Time           time.Time     `json:"time"`
	Headers        int           `json:"headers"`
	From           int64         `json:"from_height"` // 1: the genesis; else the checkpoint
	Old            bool          `json:"old"`         // older than the trust period: see the text
	NotShown       string        `json:"not_shown"`
}

const receiptNot = "that it is held now: ask walrus status or walrus audit"

func (a *app) receiptCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "receipt ID",
		Short: "Write a receipt of a blob that can be checked offline",
		Long: `Writes a receipt: the certificate that the nodes signed, what the ledger held of the
blob, and the signed headers that lead there from the genesis. walrus verify checks
it without a network, years later too. It shows that the blob was certified and
until when it was paid, as of a block; not that it is held now.

Without -o the receipt goes to standard output.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			to = outputName(to)
			if a.json && (to == "" || to == "-") {
				return errUsage{errors.New("the receipt and --json both want standard output: name a file with -o")}
			}
			return a.withSession(c.Context(), func(s *session) error { return a.receipt(c.Context(), s, id, to) })
		},
	}
	c.Flags().StringVarP(&to, "output", "o", "", "write the receipt to this file")
	return c
}

func (a *app) receipt(ctx context.Context, s *session, id blob.ID, to string) error {
	if _, _, _, err := s.Find(ctx, id); err != nil {
		return err
	}
	r, err := s.Remote.Receipt(ctx, id)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { _, err := w.Write(r.Encode()); return err }
	if to == "" || to == "-" {
		return write(a.out)
	}
	shown, err := showReceipt(s.Network, r, time.Now())
	if err != nil {
		return err
	}
	if err := writeWhole(ctx, to, 0o666, write); err != nil {
		return err
	}
	shown.File, shown.Bytes = to, len(r.Encode())
	return a.print(shown, func(w io.Writer) error {
		if err := shown.print(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "wrote %s, %s: walrus verify checks it offline\n", to, bytesText(shown.Bytes))
		return err
	})
}

// showReceipt checks a receipt and returns its contents.
func showReceipt(n client.Network, r light.BlobReceipt, now time.Time) (out receiptShown, err error) {
	got, err := r.Verify(n.Genesis, n.Checkpoint, now)
	if err != nil {
		return out, err
	}
	period := n.TrustPeriod
	if period == 0 {
		period = light.TrustPeriod(n.Genesis.Params)
	}
	return receiptShown{Chain: r.Chain, Blob: r.Blob, Size: int64(got.Entry.Manifest.Size), CertifiedEpoch: got.Entry.CertifiedEpoch, CertifiedAt: got.Entry.CertifiedHeight,
		Nodes: got.Nodes, Shards: got.Shards, ShardsOf: n.Genesis.Params.Shards, EndEpoch: got.Entry.End(), Height: got.Height, Epoch: got.Head.Epoch, Time: got.Time,
		Headers: got.Headers, From: got.From, Old: now.Sub(got.Time) > period, NotShown: receiptNot}, nil
}

func (r receiptShown) print(w io.Writer) error {
	from := "the genesis"
	if r.From != 1 {
		from = fmt.Sprintf("the checkpoint, block %d,", r.From)
	}
	t := newTable(w)
	t.row("blob", r.Blob)
	t.row("size", bytesText(r.Size))
	t.row("certified", fmt.Sprintf("in epoch %d, block %d, by %d nodes with %d of %d shards", r.CertifiedEpoch, r.CertifiedAt, r.Nodes, r.Shards, r.ShardsOf))
	t.row("paid", fmt.Sprintf("until epoch %d begins; it was epoch %d", r.EndEpoch, r.Epoch))
	t.row("as of", fmt.Sprintf("block %d of %s, %s", r.Height, r.Chain, timeText(r.Time)))
	t.row("signed", fmt.Sprintf("by validators that %s leads to, over %d headers", from, r.Headers))
	if r.Old {
		t.row("age", "older than the trust period: its signers may have left since,")
		t.row("", "with nothing to lose; hold it against another source")
	}
	t.row("not shown", r.NotShown)
	return t.flush()
}
