package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

type handler = http.Handler

// Limits of connections. Bodies and answers have limits of their own, by which a client that
// stands still is left.
const (
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	drainPatience  = 20 * time.Second
	mostHeader     = 64 << 10 // bytes
)

// serveHTTP serves until ctx ends, and then until requests have ended. secure is nil where
// there is no certificate. watch, if not nil, is told the states of connections.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config, watch func(net.Conn, http.ConnState)) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // for proxies
	server := &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: mostHeader, TLSConfig: secure, ConnState: watch,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	if d, ok := h.(interface{ Drain() }); ok { // of answers that never end
		server.RegisterOnShutdown(d.Drain)
	}
	done := make(chan error, 1)
	go func() {
		if secure != nil {
			done <- server.ServeTLS(l, "", "")
		} else {
			done <- server.Serve(l)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
