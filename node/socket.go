package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketName is the file in a node's directory on which it answers its operator.
const SocketName = "node.sock"

// ErrNotRunning is returned where no node answers in a directory.
var ErrNotRunning = errors.New("no node is running here")

// ServeSocket answers the operator of this machine on a unix socket in dir until ctx ends.
func (n *Node) ServeSocket(ctx context.Context, dir string) error {
	path := filepath.Join(dir, SocketName)
	os.Remove(path) // left by a crash; the store's lock says that no other node runs here
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("operator's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("operator's socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		s, err := n.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("operator's socket: %w", err)
	}
	return nil
}

// AskStatus asks the node that runs in dir how it is.
func AskStatus(ctx context.Context, dir string) (Status, error) {
	path := filepath.Join(dir, SocketName)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/status", nil)
	if err != nil {
		return Status{}, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return Status{}, ctx.Err()
		}
		return Status{}, fmt.Errorf("%s: %w: start it with walrus node run --dir %s", path, ErrNotRunning, dir)
	}
	defer response.Body.Close()
	var s Status
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return Status{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
