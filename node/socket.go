package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// SocketName is the file in a node's directory on which it answers its operator.
const SocketName = "node.sock"

// maxQuestion bounds what the operator asks, in bytes.
const maxQuestion = 64 << 10

// ErrNotRunning is returned where no node answers in a directory.
var ErrNotRunning = errors.New("no node is running here")

// socket answers the operator of this machine on a unix socket for as long as the process
// runs: what it answers changes with the state of the node, that it answers does not.
type socket struct{ handler atomic.Pointer[http.Handler] }

// newSocket is a socket that answers with the reason why the node does not work yet.
func newSocket(why func() string) *socket {
	s := new(socket)
	s.explain(why)
	return s
}

// answer lets handler answer the operator from now on.
func (s *socket) answer(handler http.Handler) { s.handler.Store(&handler) }

// explain answers every question of the operator with the reason why the node waits.
func (s *socket) explain(why func() string) {
	s.answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, why(), http.StatusServiceUnavailable)
	}))
}

// ServeHTTP answers one question.
func (s *socket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// serve listens in dir until ctx ends. A full disk has no place for the socket's file:
// serve waits for one.
func (s *socket) serve(ctx context.Context, dir string, log *slog.Logger) error {
	for said := false; ; said = true {
		err := s.listen(ctx, dir)
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
			return err
		}
		if !said {
			log.Warn("the operator's socket waits for room on the disk", "err", err)
		}
		if !pause(ctx, roomEvery) {
			return nil
		}
	}
}

func (s *socket) listen(ctx context.Context, dir string) error {
	path, done, err := socketPath(dir)
	if err != nil {
		return fmt.Errorf("operator's socket: %w", err)
	}
	defer done()
	os.Remove(path) // left by a crash; the node's lock says that no other node runs here
	l, err := listenPrivately(path)
	if err != nil {
		return fmt.Errorf("operator's socket: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("operator's socket: %w", err)
	}
	return nil
}

// operatorHandler answers what the operator asks of a node that runs.
func (n *Node) operatorHandler() http.Handler {
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
		json.NewEncoder(w).Encode(LookAround(r.Context(), n.host, addresses))
	})
	return mux
}

// listenPrivately listens on a unix socket that only its owner may use. The socket comes
// to be in a directory of its own that only the owner may enter, and is moved from there
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
	return unlinkingListener{l, path}, nil
}

// unlinkingListener removes its socket when it closes.
type unlinkingListener struct {
	*net.UnixListener
	path string
}

func (l unlinkingListener) Close() error {
	os.Remove(l.path)
	return l.UnixListener.Close()
}

// CheckDir says whether a node can lie in dir, as far as its path tells.
func CheckDir(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	const longest, name = 3500, 255 // bytes: the system takes 4,096, and files lie below
	if len(abs) > longest {
		return fmt.Errorf("the directory's path has %d bytes, at most %d will do: choose a shorter one", len(abs), longest)
	}
	for _, part := range strings.Split(abs, string(filepath.Separator)) {
		if len(part) > name {
			return fmt.Errorf("the directory %.20s… has a name of %d bytes, at most %d will do: choose a shorter one", part, len(part), name)
		}
	}
	return checkSocket(abs)
}

// Limits of what a node may take to answer its operator, on the same machine.
const (
	statusLimit = 5 * time.Second
	lookMargin  = 5 * time.Second // beside what looking around takes itself
)

// ErrWaiting is returned where a node runs and cannot work now; the text says why.
var ErrWaiting = errors.New("the node waits")

// ErrSilent is returned where a node runs and does not answer.
var ErrSilent = errors.New("the node does not answer")

// AskStatus asks the node that runs in dir how it is.
func AskStatus(ctx context.Context, dir string) (s Status, err error) {
	err = askNode(ctx, statusLimit, dir, http.MethodGet, "/status", nil, &s)
	return s, err
}

// AskSurroundings asks the node that runs in dir to look around, see LookAround. It takes
// up to 25 s. Errors: ErrNotRunning, ErrWaiting, ErrSilent; the end of ctx.
func AskSurroundings(ctx context.Context, dir string, addresses []string) (s Surroundings, err error) {
	err = askNode(ctx, lookLimit+lookMargin, dir, http.MethodPost, "/surroundings", addresses, &s)
	return s, err
}

// askNode asks the node that runs in dir, and waits no longer than limit; question may
// be nil.
func askNode(outer context.Context, limit time.Duration, dir, method, what string, question, answer any) error {
	ctx, cancel := context.WithTimeout(outer, limit)
	defer cancel()
	shown := filepath.Join(dir, SocketName)
	path, done, err := socketPath(dir)
	if err != nil {
		if _, held, _ := Holder(dir); held {
			return fmt.Errorf("%s: %w", shown, err)
		}
		return fmt.Errorf("%s: %w: start it with walrus node run --dir %s", shown, ErrNotRunning, dir)
	}
	defer done()
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
		return noAnswer(outer, limit, dir, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if response.StatusCode == http.StatusServiceUnavailable {
			return fmt.Errorf("%s: %w: %s", dir, ErrWaiting, bytes.TrimSpace(text))
		}
		return fmt.Errorf("%s: %s: %s", shown, response.Status, bytes.TrimSpace(text))
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		if ctx.Err() != nil {
			return noAnswer(outer, limit, dir, err)
		}
		return fmt.Errorf("%s: %w", shown, err)
	}
	return nil
}

// noAnswer says why a node gave none: none runs, its process does not go on, or it is
// busy with something.
func noAnswer(outer context.Context, limit time.Duration, dir string, err error) error {
	if outer.Err() != nil && errors.Is(outer.Err(), context.Canceled) {
		return outer.Err()
	}
	pid, held, lockErr := Holder(dir)
	switch {
	case lockErr != nil:
		return fmt.Errorf("%s: %w: %w", dir, ErrSilent, lockErr)
	case !held:
		return fmt.Errorf("%s: %w: start it with walrus node run --dir %s", filepath.Join(dir, SocketName), ErrNotRunning, dir)
	case pid == 0:
		return fmt.Errorf("%s: %w on its socket within %s; a process that cannot be seen from here, as in another container, holds the directory", dir, ErrSilent, limit)
	case Stopped(pid):
		return fmt.Errorf("%s: %w on its socket: its process (pid %d) is stopped; kill -CONT %d lets it go on", dir, ErrSilent, pid, pid)
	case outer.Err() != nil:
		return fmt.Errorf("%s: %w on its socket in time: %w", dir, ErrSilent, outer.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w on its socket within %s: its process (pid %d) is busy, or waits for its disk; look into its log", dir, ErrSilent, limit, pid)
	}
	return fmt.Errorf("%s: %w on its socket yet: its process (pid %d) starts or ends", dir, ErrSilent, pid)
}
