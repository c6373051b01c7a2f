package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
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

// serveHTTP serves until ctx ends, and then until requests have ended.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, f gatewayFlags) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // for proxies
	server := &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: mostHeader,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan error, 1)
	go func() {
		if f.cert != "" {
			done <- server.ServeTLS(l, f.cert, f.key)
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

// readBlocklist reads a file of blob IDs. Empty lines and those that begin with # are notes.
func readBlocklist(path string) (func(blob.ID) bool, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("blocklist: %w", err)
	}
	defer f.Close()
	blocked := map[blob.ID]bool{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := blob.ParseID(line)
		if err != nil {
			return nil, fmt.Errorf("blocklist %s, line %d: %w", path, n, err)
		}
		blocked[id] = true
	}
	return func(id blob.ID) bool { return blocked[id] }, lines.Err()
}
