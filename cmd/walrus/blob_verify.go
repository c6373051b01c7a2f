package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger/light"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a receipt, offline",
		Long: `Checks a receipt of walrus receipt with nothing but network.toml: no node is asked.
It holds if the genesis leads to the header in it, the header to what the ledger held,
and the nodes' own signatures to the blob. Exits with 1 if it does not hold; the
message says why. FILE - reads standard input.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := a.network()
			if err != nil {
				return err
			}
			raw, err := a.readReceipt(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := light.DecodeBlobReceipt(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			out, err := showReceipt(n, r, time.Now())
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			out.File, out.Bytes = args[0], len(raw)
			return a.print(out, func(w io.Writer) error {
				if _, err := fmt.Fprintln(w, "the receipt holds"); err != nil {
					return err
				}
				return out.print(w)
			})
		},
	}
}

// readReceipt reads a receipt from a source that is not trusted.
func (a *app) readReceipt(ctx context.Context, path string) ([]byte, error) {
	in, err := a.input(ctx, path, "the receipt")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, light.MaxReceipt+1))
}
