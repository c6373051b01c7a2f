package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/gateway"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// accessFlags say who may have a gateway pay.
type accessFlags struct {
	keys, secret, algorithm string
	life                    time.Duration
}

func (f *accessFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.keys, "keys", "", "file of the keys that may have the wallet pay (default DIR/keys.toml if it is there)")
	flags.StringVar(&f.secret, "jwt-secret-file", "", "file of the secret or public key that tokens are signed for")
	flags.StringVar(&f.algorithm, "jwt-algorithm", "HS256", "how tokens are signed")
	flags.DurationVar(&f.life, "jwt-life", 0, "time from a token's iat to its exp (default: any)")
}

// check refuses a gateway that would pay for strangers.
func (f *accessFlags) check(of gatewayFlags) error {
	if f.keys == "" {
		if path := keysPath(of.dir); isThere(path) {
			f.keys = path
		}
	}
	if of.readOnly || of.listen == "" || f.keys != "" || f.secret != "" || isLoopback(of.listen) {
		return nil
	}
	return errUsage{fmt.Errorf("%s can be reached from other machines, and each of them would spend from the gateway's wallet: make a key with walrus gateway key NAME --dir %s, name a secret for tokens with --jwt-secret-file, or say --read-only", of.listen, shellWord(of.dir))}
}

func keysPath(dir string) string { return filepath.Join(dir, "keys.toml") }

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// isLoopback says that only this machine reaches an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// openAccess opens what knows who may have the gateway pay, nil where all that reach it may,
// and the notes of who stored a blob.
func (g *openedGateway) openAccess() (*access.Control, *access.Owners, error) {
	f := g.f.access
	if err := f.check(g.f); err != nil {
		return nil, nil, err
	}
	var o access.Options
	var err error
	if f.secret != "" {
		b, err := os.ReadFile(f.secret)
		if err != nil {
			return nil, nil, fmt.Errorf("--jwt-secret-file: %w", err)
		}
		rules, err := access.ParseTokenRules(b, f.algorithm, f.life)
		if err != nil {
			return nil, nil, fmt.Errorf("--jwt-secret-file %s: %w", f.secret, err)
		}
		o.Tokens = &rules
	}
	if o.DB, err = kv.Open(kv.Options{Dir: filepath.Join(g.f.dir, "access"), Profile: kv.Small}); err != nil {
		return nil, nil, err
	}
	g.closes = append(g.closes, o.DB.Close)
	owners := access.NewOwners(o.DB)
	if f.keys == "" && f.secret == "" {
		return nil, owners, nil
	}
	c := access.NewControl(o)
	if f.keys != "" {
		err = watch(g, accessKeys(f.keys), c.SetKeys)
	}
	return c, owners, err
}

func (a *app) gatewayKey() *cobra.Command {
	var dir, file string
	c := &cobra.Command{
		Use:   "key NAME",
		Short: "Make a key with which a program may have the gateway pay",
		Long: `Makes a key and prints it once. The file of the keys gets its name and its hash, with
the limits that it may have: edit them there (bytes of a blob, epochs, bytes and WAL
a day). A gateway reads the file when it starts, and again when it changes.
One that began without the file must be started again.

  curl -T FILE -H "Authorization: Bearer KEY" http://127.0.0.1:31415/v1/blobs`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				file = keysPath(dir)
				if err := makeDir(dir); err != nil {
					return err
				}
			}
			secret, lines, err := access.NewSecret(args[0])
			if err != nil {
				return errUsage{err}
			}
			if err := appendKey(file, lines); err != nil {
				return err
			}
			out := struct {
				Name string `json:"name"`
				Key  string `json:"key"`
				File string `json:"file"`
			}{args[0], secret, file}
			a.say("key %s is in %s, with its limits; a gateway that started with this file knows the key in a moment, others when they start", args[0], file)
			return a.print(out, func(w io.Writer) error { _, err := fmt.Fprintln(w, secret); return err })
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultGatewayDir, "the gateway's directory")
	c.Flags().StringVar(&file, "keys", "", "the file of the keys (default DIR/keys.toml)")
	return c
}

// appendKey adds a key to a file, if the file is good with it.
func appendKey(file, lines string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(old) > 0 {
		lines = "\n" + lines
	}
	if _, err := access.ParseKeys(append(old, lines...)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, lines)
	return errors.Join(err, f.Close())
}

// makeDir makes a directory for this user alone.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the gateway's directory: %w", err)
	}
	return nil
}

// Of the faucet.
const (
	faucetEach = time.Hour // for an address, and
	faucetAll  = 100       // gifts in that time
	// faucetLimit is how long a gift may take.
	faucetLimit = time.Minute
)

// faucet gives an amount to addresses that ask, each once in a while. Nil: it gives nothing.
func (a *app) faucet(text string, s *session) (func(context.Context, token.Address) (token.Amount, error), error) {
	if text == "" {
		return nil, nil
	}
	gift, err := token.ParseAmount(text)
	if err != nil {
		return nil, errUsage{fmt.Errorf("--faucet %s: %w", text, err)}
	}
	var mu sync.Mutex
	last := map[token.Address]time.Time{}
	return func(ctx context.Context, to token.Address) (token.Amount, error) {
		mu.Lock()
		for address, at := range last {
			if time.Since(at) > faucetEach {
				delete(last, address)
			}
		}
		_, again := last[to]
		full := len(last) >= faucetAll
		if !again && !full {
			last[to] = time.Now()
		}
		mu.Unlock()
		if again || full {
			return 0, gateway.TooMany(faucetEach, "the faucet gives to an address once in %s, and %d times in all", faucetEach, faucetAll)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), faucetLimit) // who hangs up is given to all the same
		defer cancel()
		_, err := s.Send(ctx, s.key, ledger.Transfer{To: to, Amount: gift})
		var refusal *ledger.Refusal
		if errors.As(err, &refusal) { // nothing was given
			mu.Lock()
			delete(last, to)
			mu.Unlock()
		}
		return gift, err
	}, nil
}
