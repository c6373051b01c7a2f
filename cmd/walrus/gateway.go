package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/gateway"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

const (
	defaultGatewayDir    = "walrus-gateway"
	defaultGatewayListen = "127.0.0.1:31415"
)

const gatewayHelp = `Runs a gateway until it is interrupted: other programs store and read over HTTP, as
they do with publishers and aggregators of Walrus, and its wallet pays. doc/http.md
describes it; the gateway serves its own description at /v1/api. Its directory has
its cache, the bodies that are being stored, uploads, and what its keys have used.

On the loopback interface all programs of this machine may have it pay. Elsewhere
it does not start without keys (walrus gateway key NAME) or a secret for tokens
(--jwt-secret-file), unless it only reads (--read-only).

`

// gatewayFlags are the flags of a gateway.
type gatewayFlags struct {
	dir, listen, basePath     string
	cert, key                 string
	readOnly, noUploads       bool
	cache, spool, body, reads string // sizes
	epochs, funds             uint64
	patience                  time.Duration
	origins                   []string
	blocklist, faucet         string
	access                    accessFlags
	s3                        s3Flags
}

// addReading adds the flags of a gateway that reads.
func (f *gatewayFlags) addReading(flags *pflag.FlagSet) {
	flags.StringVar(&f.cache, "cache", "4GiB", "size of the cache on the disk; 0 keeps none")
	flags.StringVar(&f.reads, "max-read", "", "largest blob that is given out (default: any)")
	flags.StringVar(&f.basePath, "base-path", "", "path before all routes, as /walrus behind a proxy")
	flags.StringVar(&f.blocklist, "blocklist", "", "file of blob IDs that are not given out over HTTP, one a line")
	flags.DurationVar(&f.patience, "patience", 5*time.Second, "wait for a first byte while a storage challenge runs")
}

func (f *gatewayFlags) add(flags *pflag.FlagSet) {
	f.addReading(flags)
	flags.StringVar(&f.dir, "dir", defaultGatewayDir, "the gateway's directory")
	flags.StringVar(&f.listen, "listen", defaultGatewayListen, "address for HTTP; empty: none")
	flags.StringVar(&f.cert, "tls-cert", "", "file of the certificates for HTTPS, with --tls-key")
	flags.StringVar(&f.key, "tls-key", "", "file of the certificate's key")
	flags.BoolVar(&f.readOnly, "read-only", false, "store nothing: needs no wallet")
	flags.BoolVar(&f.noUploads, "no-uploads", false, "take no resumable uploads")
	flags.StringVar(&f.spool, "spool-max", "16GiB", "bodies that are being stored, together")
	flags.StringVar(&f.body, "max-body", "", "largest body that is stored (default: what the spool takes)")
	flags.Uint64Var(&f.epochs, "default-epochs", 1, "epochs of a store that names none")
	flags.Uint64Var(&f.funds, "funds-days", 1, "days that the wallet must last, for /readyz")
	flags.StringArrayVar(&f.origins, "allow-origin", nil, "web site whose pages may have the wallet pay without a key")
	flags.StringVar(&f.faucet, "faucet", "", "give so much to each address that asks: for testnets")
	f.access.add(flags)
	f.s3.add(flags)
}

func (a *app) gatewayCommand() *cobra.Command {
	var f gatewayFlags
	c := &cobra.Command{Use: "gateway", Short: "Let programs store and read over HTTP and S3", Args: cobra.NoArgs}
	c.Long = gatewayHelp + s3Help
	c.Example = "  walrus gateway\n  walrus gateway --s3 127.0.0.1:9000\n  walrus gateway --read-only --listen 0.0.0.0:80"
	f.add(c.Flags())
	a.untilStdin(c, func(ctx context.Context) error { return a.runGateway(ctx, f) })
	c.AddCommand(a.gatewayKey())
	return c
}

// gatewayUp is where a gateway answers.
type gatewayUp struct {
	HTTP string `json:"http,omitempty"`
	S3   string `json:"s3,omitempty"`
}

func (u gatewayUp) print(w io.Writer) error {
	if u.HTTP != "" {
		if _, err := fmt.Fprintf(w, "HTTP at %s\n", u.HTTP); err != nil {
			return err
		}
	}
	if u.S3 == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "S3 at %s, in region us-east-1\n", u.S3)
	return err
}

// sizeOf reads a size as people write it.
func sizeOf(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := number.Bytes(text)
	if err != nil {
		return 0, errUsage{fmt.Errorf("--%s %w", flag, err)}
	}
	return int64(n), nil
}

func (a *app) runGateway(ctx context.Context, f gatewayFlags) error {
	switch {
	case f.listen == "" && f.s3.address == "":
		return errUsage{errors.New("name an address for the gateway: --listen or --s3")}
	case f.readOnly && (f.s3.address != "" || f.faucet != ""):
		return errUsage{errors.New("--read-only goes with neither --s3 nor --faucet")}
	case (f.cert == "") != (f.key == ""):
		return errUsage{errors.New("--tls-cert and --tls-key go together")}
	case f.epochs == 0:
		return errUsage{errors.New("--default-epochs 0: a store is for one epoch at least")}
	}
	if err := f.access.check(f); err != nil {
		return err
	}
	open := a.open
	if f.readOnly {
		open = a.openWithout
	}
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	s.Sent, s.Resumed = nil, nil // a gateway is not one command that waits
	log := a.serviceLog()
	hold, err := holdGateway(f.dir)
	if err != nil {
		return err
	}
	defer hold.Release()
	g, err := a.openGateway(f, s, log)
	if err != nil {
		return err
	}
	bound := debug.SetMemoryLimit(-1)
	if bound == math.MaxInt64 { // GOMEMLIMIT says nothing
		debug.SetMemoryLimit(gatewayMemory)
		defer debug.SetMemoryLimit(bound)
	}
	return errors.Join(g.serve(ctx, func(up gatewayUp) error { return a.print(up, up.print) }), g.close())
}

// gatewayKept is the bytes of encoded stripes that all stores of a gateway keep in memory.
// Small blobs gain by them; for large ones they would have garbage be collected all the time.
const gatewayKept = 16 << 20

// serviceLog is the log of a command that runs on.
func (a *app) serviceLog() *slog.Logger {
	level := slog.LevelInfo
	if a.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

func holdGateway(dir string) (*node.Lock, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	hold, err := node.HoldAs(dir, testnet.GatewayLock)
	if errors.Is(err, node.ErrRunning) {
		return nil, fmt.Errorf("a gateway runs in %s already: stop it first, or name another --dir", dir)
	}
	return hold, err
}

// openedGateway is a gateway's parts, in the order in which they are closed.
type openedGateway struct {
	f      gatewayFlags
	log    *slog.Logger
	secure *tls.Config // nil: there is no certificate
	doors  []door
	closes []func() error
}

// door is an address with what answers there.
type door struct {
	address string
	tls     bool
	handler handler
	up      func(*gatewayUp, string)
}

func (g *openedGateway) close() (err error) {
	for i := len(g.closes) - 1; i >= 0; i-- {
		err = errors.Join(err, g.closes[i]())
	}
	return err
}

func (a *app) openGateway(f gatewayFlags, s *session, log *slog.Logger) (g *openedGateway, err error) {
	g = &openedGateway{f: f, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	o := gateway.Defaults()
	o.Log, o.Origins, o.DefaultEpochs, o.Funds = log, f.origins, f.epochs, f.funds
	if o.Reader, err = f.reader(s, log); err != nil {
		return g, err
	}
	g.closes = append(g.closes, o.Reader.Close)
	if o.MaxRead, err = sizeOf("max-read", f.reads); err != nil {
		return g, err
	}
	if o.BasePath = f.basePath; s.verified {
		o.Receipts = s.Remote
	}
	if o.Blocked, err = g.blocklist(f.blocklist); err != nil {
		return g, err
	}
	if g.secure, err = g.certificate(f.cert, f.key); err != nil {
		return g, err
	}
	if !f.readOnly {
		if err = a.openWriting(g, &o, s); err != nil {
			return g, err
		}
	}
	if f.listen == "" {
		return g, nil
	}
	server, err := gateway.New(o)
	if err != nil {
		return g, err
	}
	g.closes = append(g.closes, server.Close)
	g.doors = append(g.doors, door{f.listen, f.cert != "", server, func(u *gatewayUp, url string) { u.HTTP = url + f.basePath }})
	return g, nil
}

// reader opens what reads for all doors.
func (f gatewayFlags) reader(s *session, log *slog.Logger) (*blobs.Reader, error) {
	o := blobs.DefaultReader(filepath.Join(f.dir, "cache"))
	var err error
	if o.MaxBytes, err = sizeOf("cache", f.cache); err != nil {
		return nil, err
	}
	o.Log, o.Patience = log, f.patience
	return blobs.NewReader(s.Client, o)
}

// openWriting opens what stores, and the S3 door.
func (a *app) openWriting(g *openedGateway, o *gateway.Options, s *session) error {
	most, err := sizeOf("spool-max", g.f.spool)
	if err != nil {
		return err
	}
	if o.MaxBody, err = sizeOf("max-body", g.f.body); err != nil {
		return err
	}
	if o.MaxBody == 0 || o.MaxBody > most {
		o.MaxBody = most // a larger one would wait for room for ever
	}
	if o.Spool, err = blobs.NewSpool(filepath.Join(g.f.dir, "spool"), most, o.MaxBody); err != nil {
		return err
	}
	o.Spool.Client = s.Client
	s.KeepAtMost(gatewayKept)
	wo := blobs.DefaultWriter()
	wo.Reader, wo.Log = o.Reader, g.log
	o.Writer = blobs.NewWriter(s.Client, s.key, wo)
	if !g.f.noUploads {
		o.UploadDir = filepath.Join(g.f.dir, "uploads")
	}
	o.RepeatDir = filepath.Join(g.f.dir, "requests")
	if o.Access, o.Owners, err = g.openAccess(); err != nil {
		return err
	}
	if o.Faucet, err = a.faucet(g.f.faucet, s); err != nil {
		return err
	}
	if g.f.s3.address == "" {
		return nil
	}
	network := s3Network(s, o.Spool, o.Reader, o.Writer)
	network.Relied = o.Owners.Any
	d, err := a.s3Door(g.f.s3, g.f.dir, s, network, g.log)
	if err != nil {
		return err
	}
	o.Relied = d.Inherit
	g.closes = append(g.closes, d.Close)
	if err := watch(g, s3.KeysFile(g.f.s3.keysPath(g.f.dir)), d.SetKeys); err != nil {
		return err
	}
	g.doors = append(g.doors, door{g.f.s3.address, g.f.cert != "", d, func(u *gatewayUp, url string) { u.S3 = url }})
	return nil
}

// serve serves all doors until ctx ends or one of them fails. told is called once they are open.
func (g *openedGateway) serve(ctx context.Context, told func(gatewayUp) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var up gatewayUp
	var listeners []net.Listener
	closeAll := func() {
		for _, l := range listeners {
			l.Close()
		}
	}
	for _, d := range g.doors {
		l, err := net.Listen("tcp", d.address)
		if err != nil {
			closeAll()
			return fmt.Errorf("%w: name another address with --listen or --s3", err)
		}
		listeners = append(listeners, l)
		scheme := "http://"
		if d.tls {
			scheme = "https://"
		}
		d.up(&up, scheme+l.Addr().String())
	}
	if err := told(up); err != nil {
		closeAll()
		return err
	}
	ended, all := make(chan error, len(g.doors)), newCrowd(mostConnections, connectionsOfAddress)
	idle := newIdleCollector()
	defer idle.stop()
	for i, d := range g.doors {
		go func() {
			ended <- serveHTTP(ctx, crowded{listeners[i], all}, d.handler, g.secure, idle.watch)
			cancel()
		}()
	}
	var errs []error
	for range g.doors {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}
