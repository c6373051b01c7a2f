package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketName is the file in a node's directory on which it answers its operator.
const SocketName = "node.sock"

// maxQuestion bounds what the operator asks, in bytes.
const maxQuestion = 64 << 10

// ErrNotRunning is returned where no node answers in a directory.
var ErrNotRunning = errors.New("no node is running here")

// ServeSocket answers the operator of this machine on a unix socket in dir until ctx ends.
func (n *Node) ServeSocket(ctx context.Context, dir string) error {
	path := filepath.Join(dir, SocketName)
	os.Remove(path) // left by a crash; the store's lock says that no other node runs here
	l, err := listenPrivately(path)
	if err != nil {
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
	mux.HandleFunc("POST /surroundings", func(w http.ResponseWriter, r *http.Request) {
		var addresses []string
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&addresses); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(lookAround(r.Context(), n.host, addresses))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("operator's socket: %w", err)
	}
	return nil
}

// listenPrivately listens on a unix socket that only its owner may use. The socket comes
// to be in a directory of its own that nobody else may enter, and is moved from there
// once it has its rights: at no moment does it stand open with those of the umask.
func listenPrivately(path string) (net.Listener, error) {
	dir := filepath.Join(filepath.Dir(path), ".s") // short: the system bounds a socket's path
	if err := os.RemoveAll(dir); err != nil {      // left by a crash
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	inner := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: inner, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would look at the old place
	if err := errors.Join(os.Chmod(inner, 0o600), os.Rename(inner, path)); err != nil {
		l.Close()
		return nil, err
	}
	return unlinking{l, path}, nil
}

// unlinking removes its socket when it closes.
type unlinking struct {
	*net.UnixListener
	path string
}

func (l unlinking) Close() error {
	os.Remove(l.path)
	return l.UnixListener.Close()
}

// AskStatus asks the node that runs in dir how it is.
func AskStatus(ctx context.Context, dir string) (s Status, err error) {
	err = askNode(ctx, dir, http.MethodGet, "/status", nil, &s)
	return s, err
}

// askSurroundings asks the node that runs in dir what its peers see of it at addresses,
// or without any at those that it has.
func askSurroundings(ctx context.Context, dir string, addresses []string) (s surroundings, err error) {
	err = askNode(ctx, dir, http.MethodPost, "/surroundings", addresses, &s)
	return s, err
}

// askNode asks the node that runs in dir; question may be nil.
func askNode(ctx context.Context, dir, method, what string, question, answer any) error {
	path := filepath.Join(dir, SocketName)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w: start it with walrus node run --dir %s", path, ErrNotRunning, dir)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("%s: %s: %s", path, response.Status, bytes.TrimSpace(text))
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
