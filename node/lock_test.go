package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
)

// A lock is that of the directory, whichever way its path is spelled.
func TestADirectoryHasOneNodeHoweverItIsSpelled(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "node")
	for _, d := range []string{dir, filepath.Join(base, "a")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	lock, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(base, "moved")
	check := func(spelled string) {
		t.Helper()
		if pid, held, err := Holder(spelled); err != nil || !held || pid != os.Getpid() {
			t.Errorf("%s: held %v by %d, %v", spelled, held, pid, err)
		}
		if l, err := Hold(spelled); !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Errorf("%s is held twice: %v %v", spelled, l, err)
		}
		if err := RunDaemon(context.Background(), DaemonConfig{Dir: spelled}, ledger.Genesis{}, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrRunning) {
			t.Errorf("a second node starts on %s: %v", spelled, err)
		}
	}
	for _, spelled := range []string{dir, link, dir + "/", base + "/a/../node", base + "/./link/"} {
		check(spelled)
	}
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	check(moved)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, held, err := Holder(moved); held || err != nil {
		t.Errorf("still held after its end: %v", err)
	}
	again, err := Hold(moved)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
	// A number that was left in the file is that of no node.
	if err := os.WriteFile(filepath.Join(moved, LockName), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, held, err := Holder(moved); held || pid != 0 || err != nil {
		t.Errorf("process %d is taken for a node: %v", pid, err)
	}
}

// Removing the lock's file below a node that runs does not make it free.
func TestAnOpenDatabaseHoldsTheDirectoryToo(t *testing.T) {
	dir := t.TempDir()
	db, err := kv.Open(kv.Options{Dir: filepath.Join(dir, FragmentsDir), Profile: kv.Large})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, held, _ := Holder(dir); !held {
		t.Error("the directory looks free")
	}
	if _, err := Hold(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("got %v", err)
	}
}

// A process that hands its lock on leaves no moment in which the directory is free.
func TestALockIsHandedToTheProcessThatIsStarted(t *testing.T) {
	dir := t.TempDir()
	lock, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	file, _ := lock.Hand()
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := errors.Join(lock.Name(cmd.Process.Pid), lock.Release()); err != nil {
		t.Fatal(err)
	}
	if pid, held, err := Holder(dir); !held || pid != cmd.Process.Pid || err != nil {
		t.Errorf("held %v by %d: %v", held, pid, err)
	}
	cmd.Process.Signal(syscall.SIGSTOP)
	for end := time.Now().Add(time.Minute); !Stopped(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a stopped process is not known for one")
		}
	}
}

// A node that runs and says nothing is not waited for without end, and is told from one
// that does not run.
func TestASilentNodeIsNotWaitedForWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	lock, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		s := new(socket)
		s.answer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
			<-r.Context().Done()
		}))
		served <- s.serve(ctx, dir, quiet())
	}()
	defer func() { cancel(); <-served }()
	for {
		err := askNode(context.Background(), 200*time.Millisecond, dir, http.MethodGet, "/status", nil, new(Status))
		if errors.Is(err, ErrSilent) && strings.Contains(err.Error(), "within 200ms") && strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			break
		}
		if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "starts or ends") { // it does not listen yet
			t.Fatalf("got %v", err)
		}
	}
	if _, err := AskStatus(context.Background(), t.TempDir()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no node runs there: %v", err)
	}
}

// The system takes 107 bytes for the path of a socket.
func TestADirectoryOfAnyLengthHasASocket(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 300 {
		dir = filepath.Join(dir, strings.Repeat("d", 60))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := checkSocket(dir); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s := newSocket(func() string { return "for rain" })
	go func() { served <- s.serve(ctx, dir, quiet()) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, err := AskStatus(context.Background(), dir)
		if errors.Is(err, ErrWaiting) && strings.Contains(err.Error(), "for rain") {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, SocketName)); err == nil {
		t.Error("the socket stays behind")
	}
}
