package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/gateway/s3"
)

const s3Help = `With --s3 programs for Amazon S3 use the gateway unchanged. Access keys are in
DIR/s3/keys.json, which is made with one key at the first start and read again when
it changes. The list of buckets and keys is stored on the network, encrypted, and walrus s3 restore brings
it back on another machine with the wallet and DIR/s3/recovery.key: keep a copy
of both elsewhere.

Objects themselves are not encrypted: a reader who knows a blob's ID can read it.
doc/s3.md says what is supported.`

// s3Flags are the flags of the S3 door.
type s3Flags struct {
	address         string
	keys            string
	public, domains []string
	epochs, renewed uint64
	snapshot        time.Duration
}

func (f *s3Flags) add(flags *pflag.FlagSet) {
	o := s3.Default("")
	flags.StringVar(&f.address, "s3", "", "serve S3 at this address, as 127.0.0.1:9000")
	flags.StringVar(&f.keys, "s3-keys", "", "the file of access keys (default DIR/s3/keys.json)")
	flags.StringArrayVar(&f.public, "s3-public", nil, "a bucket that everybody may read")
	flags.StringArrayVar(&f.domains, "s3-domain", o.Domains, "a host BUCKET.DOMAIN names a bucket")
	flags.Uint64Var(&f.epochs, "s3-epochs", 0, "epochs for which objects are stored; leases are renewed (default: the network's)")
	flags.Uint64Var(&f.renewed, "s3-allowance", 0, "epochs more that the network renews a lease for, from money left with it, while no gateway runs (default: as many as --s3-epochs)")
	flags.DurationVar(&f.snapshot, "s3-snapshot", o.Snapshot, "time between copies of the index to the network, while it changes")
}

// keysPath is the file of the access keys of the gateway in dir.
func (f s3Flags) keysPath(dir string) string {
	if f.keys != "" {
		return f.keys
	}
	return filepath.Join(s3Dir(dir), "keys.json")
}

// s3Dir is where a gateway in dir keeps what its S3 door needs.
func s3Dir(dir string) string { return filepath.Join(dir, "s3") }

func s3Network(s *session, bodies *blobs.Spool, reader *blobs.Reader, writer *blobs.Writer) s3.Network {
	return s3.Network{Client: s.Client, Bodies: bodies, Reader: reader, Writer: writer}
}

// s3Door opens the S3 door of the gateway in dir. The caller closes it.
func (a *app) s3Door(f s3Flags, dir string, s *session, n s3.Network, log *slog.Logger) (*s3.Server, error) {
	o := s3.Default(s3Dir(dir))
	o.Public, o.Domains, o.Renewed, o.Snapshot, o.Log = f.public, f.domains, f.renewed, f.snapshot, log
	if o.Epochs = f.epochs; o.Epochs == 0 {
		o.Epochs = s.Params.Registry.DefaultEpochs
	}
	if !a.flags.Changed("s3-allowance") {
		o.Renewed = o.Epochs
	}
	if most := s.Params.Registry.MaxEpochs; o.Epochs > most || o.Renewed > most {
		return nil, errUsage{fmt.Errorf("--s3-epochs %d, --s3-allowance %d: at most %d", o.Epochs, o.Renewed, most)}
	}
	if o.Snapshot <= 0 {
		return nil, errUsage{fmt.Errorf("--s3-snapshot %s: it must be longer than 0", o.Snapshot)}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	path := f.keysPath(dir)
	keys, made, err := s3.OpenKeys(path)
	if err != nil {
		return nil, err
	}
	if made {
		a.say("made an access key for all buckets: %s", path)
	}
	o.Keys = keys
	recovery, made, err := s3.OpenRecovery(recoveryPath(dir))
	if err != nil {
		return nil, err
	}
	if made {
		a.say("made the recovery key of the index, %s: keep a copy elsewhere, walrus s3 restore needs it:\n%s", recoveryPath(dir), recovery)
	}
	o.Sealer = recovery.Recipient()
	return s3.New(n, o)
}

func recoveryPath(dir string) string { return filepath.Join(s3Dir(dir), "recovery.key") }
