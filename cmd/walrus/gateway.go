package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/gateway/blobs"
)

const defaultGatewayDir = "walrus-gateway"

const gatewayHelp = `Runs a gateway until it is interrupted: other programs store and read through it,
and its wallet pays. Its directory has its index, its cache and the bodies that are
being stored.

`

func (a *app) gatewayCommand() *cobra.Command {
	var dir string
	var door s3Flags
	c := &cobra.Command{Use: "gateway --s3 ADDR", Short: "Let programs for S3 store and read", Args: cobra.NoArgs}
	c.Long = gatewayHelp + s3Help
	c.Flags().StringVar(&dir, "dir", defaultGatewayDir, "the gateway's directory")
	door.add(c.Flags())
	a.untilStdin(c, func(ctx context.Context) error {
		if door.address == "" {
			return errUsage{errors.New("name an address for the gateway: --s3 127.0.0.1:9000")}
		}
		return a.runGateway(ctx, dir, door)
	})
	return c
}

type gatewayUp struct {
	S3 string `json:"s3"`
}

func (a *app) runGateway(ctx context.Context, dir string, f s3Flags) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	s.Sent, s.Resumed = nil, nil // a gateway is not one command that waits
	level := slog.LevelInfo
	if a.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
	ro := blobs.DefaultReader(filepath.Join(dir, "cache"))
	ro.Log = log
	reader, err := blobs.NewReader(s.Client, ro)
	if err != nil {
		return err
	}
	defer reader.Close()
	wo := blobs.DefaultWriter()
	wo.Reader, wo.Log = reader, log
	bodies, err := blobs.NewSpool(filepath.Join(dir, "spool"), spoolMost, 0)
	if err != nil {
		return err
	}
	door, err := a.s3Door(f, dir, s, s3Network(s, bodies, reader, blobs.NewWriter(s.Client, s.key, wo)), log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		return errors.Join(err, door.Close())
	}
	if err := a.print(gatewayUp{"http://" + l.Addr().String()}, func(w io.Writer) error { return f.print(w, "http://"+l.Addr().String()) }); err != nil {
		return errors.Join(err, l.Close(), door.Close())
	}
	return errors.Join(serveHTTP(ctx, l, door), door.Close())
}

// spoolMost is the bytes of bodies that are being stored.
const spoolMost = 16 << 30

// serveHTTP serves until ctx ends, and then until requests have ended.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	const headerPatience, idle, drain = 10 * time.Second, 2 * time.Minute, 20 * time.Second
	server := &http.Server{Handler: h, ReadHeaderTimeout: headerPatience, IdleTimeout: idle, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
