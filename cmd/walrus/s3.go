package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/internal/secretfile"
)

func (a *app) s3Command() *cobra.Command {
	return a.group("s3", "The index of a gateway's S3 buckets", a.s3Restore())
}

const s3RestoreHelp = `Rebuilds the index of buckets and keys in a directory that has none, from the
newest snapshot that the gateway stored on the network, with the gateway's wallet
and its recovery key. Objects that were written after the snapshot are not in it.

Run one gateway on a wallet's buckets at a time: two would not know of each
other's objects, and each would give back leases that the other needs.`

func (a *app) s3Restore() *cobra.Command {
	var dir, key, snapshot string
	c := &cobra.Command{
		Use:   "restore --recovery-key FILE",
		Short: "Rebuild the index on another machine",
		Long:  s3RestoreHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var id blob.ID
			if snapshot != "" {
				var err error
				if id, err = parseID(snapshot); err != nil {
					return err
				}
			}
			if key == "" {
				key = recoveryPath(dir)
			}
			return a.restoreS3(c.Context(), dir, key, id)
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultGatewayDir, "the gateway's directory")
	c.Flags().StringVar(&key, "recovery-key", "", "the file of the recovery key (default DIR/s3/recovery.key)")
	c.Flags().StringVar(&snapshot, "snapshot", "", "ID of the snapshot (default: the newest)")
	return c
}

func (a *app) restoreS3(ctx context.Context, dir, path string, id blob.ID) error {
	loose, err := a.loose()
	if err != nil {
		return err
	}
	b, err := secretfile.Read(path, 4096, loose)
	if err != nil {
		return err
	}
	key, err := s3.ParseRecovery(string(b))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ro := blobs.DefaultReader(filepath.Join(dir, "cache"))
	ro.MaxBytes = 0
	reader, err := blobs.NewReader(s.Client, ro)
	if err != nil {
		return err
	}
	defer reader.Close()
	out, err := s3.Restore(ctx, s3Network(s, nil, reader, blobs.NewWriter(s.Client, s.key, blobs.DefaultWriter())), s3Dir(dir), key, id)
	if err != nil {
		return err
	}
	made, err := s3.KeepRecovery(recoveryPath(dir), key)
	if err != nil {
		return err
	}
	if made {
		a.say("the recovery key is in %s", recoveryPath(dir))
	}
	return a.print(out, func(w io.Writer) error {
		fmt.Fprintf(w, "restored %d buckets with %d objects, %s, as they were at %s\n", out.Buckets, out.Objects, humanize.IBytes(uint64(out.Bytes)), timeText(out.At))
		if out.Missing > 0 {
			fmt.Fprintf(w, "%d blobs that it points to have ended: reading what lay in them fails\n", out.Missing)
		}
		_, err := fmt.Fprintf(w, "walrus gateway --s3 127.0.0.1:9000 --dir %s serves them\n", shellWord(dir))
		return err
	})
}
