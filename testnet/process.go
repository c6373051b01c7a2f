package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/walrus-network/walrus/node"
)

// Start starts the process of node i. With stay it outlives the caller; without, it
// ends when the caller does, however that happens: its standard input is a pipe
// that closes then.
func (t *Testnet) Start(i int, stay bool) (*Process, error) {
	if pid, ok := t.pid(i); ok {
		return nil, fmt.Errorf("node %d runs already as process %d", i, pid)
	}
	log, err := os.OpenFile(t.LogFile(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"node", "run", "--dir", t.NodeDir(i)}
	if a, ok, err := t.Adversary(i); err != nil {
		return nil, fmt.Errorf("start node %d: %w", i, err)
	} else if ok {
		args = []string{"testnet", "node", "--dir", t.NodeDir(i), "--adversary", a.String()}
	}
	if !stay {
		args = append(args, "--until-stdin-closes")
	}
	cmd := exec.Command(t.command.Program, args...)
	cmd.Env = append(os.Environ(), t.command.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is for whoever started it
	if !stay {
		if _, err := cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node %d: %w", i, err)
	}
	p := &Process{t: t, node: i, pid: cmd.Process.Pid, exited: make(chan struct{})}
	if err := os.WriteFile(t.pidFile(i), []byte(strconv.Itoa(p.pid)), 0o600); err != nil {
		cmd.Process.Kill()
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Process is a node's process that this one started.
type Process struct {
	t      *Testnet
	node   int
	pid    int
	exited chan struct{} // closed when it has ended
	err    error         // how it ended, then
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

func (t *Testnet) pidFile(i int) string { return filepath.Join(t.NodeDir(i), pidName) }

// pid is the process of node i, if it runs.
func (t *Testnet) pid(i int) (int, bool) {
	b, err := os.ReadFile(t.pidFile(i))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || !t.isNode(pid, i) {
		return 0, false
	}
	return pid, true
}

// isNode says whether a process is that of node i: a number may have been given to
// another since. A process has no command line yet while it is being started, and
// none any more while it ends; it is there until its last thread has gone, which
// is when its files and ports are free.
func (t *Testnet) isNode(pid, i int) bool {
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, os.ErrNotExist) {
		if _, noProc := os.Stat("/proc/self"); noProc == nil {
			return false
		}
		return syscall.Kill(pid, 0) == nil // a system without /proc
	}
	if len(words) == 0 {
		return !ended(pid)
	}
	return strings.Contains(string(words), t.NodeDir(i)+"\x00") || strings.HasSuffix(string(words), t.NodeDir(i))
}

// ended says whether a process is gone but for its entry, which waits for its
// parent: it is a zombie and its only thread.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), " ")
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return (strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")) && len(threads) <= 1
}

// Running says whether node i runs.
func (t *Testnet) Running(i int) bool {
	_, ok := t.pid(i)
	return ok
}

// Kill ends node i at once, as a crash does (SIGKILL).
func (t *Testnet) Kill(ctx context.Context, i int) error { return t.signal(ctx, i, syscall.SIGKILL) }

// Stop asks node i to end, and waits for it.
func (t *Testnet) Stop(ctx context.Context, i int) error { return t.signal(ctx, i, syscall.SIGTERM) }

func (t *Testnet) signal(ctx context.Context, i int, s syscall.Signal) error {
	pid, ok := t.pid(i)
	if !ok {
		return fmt.Errorf("node %d does not run", i)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal node %d: %w", i, err)
	}
	for t.Running(i) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %d does not end: %w", i, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Wipe removes the fragments of node i, which must not run: a lost disk.
func (t *Testnet) Wipe(i int) error {
	if t.Running(i) {
		return fmt.Errorf("node %d: %w: kill it first", i, ErrRunning)
	}
	return os.RemoveAll(filepath.Join(t.NodeDir(i), node.FragmentsDir))
}

// Down ends all nodes; those that do not in time are killed.
func (t *Testnet) Down(ctx context.Context) error {
	var errs []error
	for i := range t.Nodes {
		if pid, ok := t.pid(i); ok {
			syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	const patience = 10 * time.Second
	polite, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range t.Nodes {
		for t.Running(i) && polite.Err() == nil {
			wait(polite, 10*time.Millisecond)
		}
		if t.Running(i) {
			errs = append(errs, t.Kill(context.WithoutCancel(ctx), i))
		}
	}
	return errors.Join(errs...)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Remove deletes the testnet's directory. Its nodes must not run.
func (t *Testnet) Remove() error {
	for i := range t.Nodes {
		if t.Running(i) {
			return fmt.Errorf("node %d: %w", i, ErrRunning)
		}
	}
	return os.RemoveAll(t.Dir)
}

// Status is what node i says of itself over its socket.
func (t *Testnet) Status(ctx context.Context, i int) (node.Status, error) {
	return node.AskStatus(ctx, t.NodeDir(i))
}
