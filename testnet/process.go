package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
//
// The node's directory is held from before the process is there: two starts at once
// give one process.
func (t *Testnet) Start(i int, stay bool) (*Process, error) {
	lock, err := node.Hold(t.NodeDir(i))
	if err != nil {
		return nil, t.of(i, err)
	}
	defer lock.Release() // the process has it then
	log, err := os.OpenFile(t.logFile(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
	program, err := filepath.Abs(t.command.Program)
	if err != nil {
		return nil, fmt.Errorf("start node %d: %w", i, err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = t.NodeDir(i) // its paths are relative to it: the testnet may be moved
	held, environment := lock.Hand()
	cmd.ExtraFiles = []*os.File{held}
	cmd.Env = append(append(os.Environ(), t.command.Env...), environment)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is for the process that started it
	if !stay {
		if _, err := cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node %d: %w", i, err)
	}
	p := &Process{t: t, node: i, pid: cmd.Process.Pid, exited: make(chan struct{})}
	if err := errors.Join(lock.Name(p.pid), os.WriteFile(t.pidFile(i), []byte(strconv.Itoa(p.pid)), 0o600)); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// of names the node that an error is about.
func (t *Testnet) of(i int, err error) error {
	if errors.Is(err, node.ErrRunning) {
		if pid, ok := t.pid(i); ok && pid != 0 {
			return fmt.Errorf("node %d runs (pid %d): %w: walrus testnet kill %d, or down, ends it", i, pid, ErrRunning, i)
		}
		return fmt.Errorf("node %d runs, in a process that cannot be seen from here: %w: stop it first", i, ErrRunning)
	}
	return fmt.Errorf("node %d: %w", i, err)
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

// pid is the process of node i, if it runs: the one that holds the node's directory,
// whatever words it was started with. It is 0 for a process that cannot be seen from
// here. The file named pid is for people alone.
func (t *Testnet) pid(i int) (pid int, runs bool) {
	pid, held, err := node.Holder(t.NodeDir(i))
	return pid, held || err != nil // what cannot be told may run
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
	if pid == 0 {
		return fmt.Errorf("node %d runs in a process that cannot be seen from here: %w", i, ErrRunning)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal node %d: %w", i, err)
	}
	return t.gone(ctx, i, pid)
}

// gone waits until a process that was told to end has ended. Its directory is free a
// moment before its ports are.
func (t *Testnet) gone(ctx context.Context, i, pid int) error {
	for {
		if now, runs := t.pid(i); !runs && ended(pid) || runs && now != pid && now != 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %d (pid %d) does not end: %w", i, pid, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Wipe removes the fragments of node i, which must not run: a lost disk. The directory
// is held meanwhile.
func (t *Testnet) Wipe(i int) error {
	lock, err := node.Hold(t.NodeDir(i))
	if err != nil {
		return t.of(i, err)
	}
	return errors.Join(empty(filepath.Join(t.NodeDir(i), node.FragmentsDir)), lock.Release())
}

// empty removes a directory with all that is in it. Where the directory is a link or a
// mount of its own, what it leads to is emptied, and it stays.
func empty(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		if err := os.RemoveAll(dir); !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// Down ends the gateway and all nodes; those that do not in time are killed.
func (t *Testnet) Down(ctx context.Context) error {
	return errors.Join(t.StopGateway(ctx), t.end(ctx, t.all()))
}

func (t *Testnet) all() (list []int) {
	for i := range t.Nodes {
		list = append(list, i)
	}
	return list
}

// end ends some nodes.
func (t *Testnet) end(ctx context.Context, list []int) error {
	const patience = 10 * time.Second
	polite, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pids := make([]int, t.Nodes)
	var errs []error
	for _, i := range list {
		pid, ok := t.pid(i)
		switch {
		case !ok:
			continue
		case pid == 0:
			errs = append(errs, t.of(i, node.ErrRunning))
			continue
		}
		pids[i] = pid
		syscall.Kill(pid, syscall.SIGTERM)
		if node.Stopped(pid) {
			syscall.Kill(pid, syscall.SIGCONT) // else it does not hear
		}
	}
	for i, pid := range pids {
		if pid == 0 {
			continue
		}
		if t.gone(polite, i, pid) != nil {
			syscall.Kill(pid, syscall.SIGKILL)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			errs = append(errs, t.gone(last, i, pid))
			cancel()
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

// Remove deletes the testnet's directory. Its nodes must not run: each is held until
// all is gone.
func (t *Testnet) Remove() (err error) {
	for i := range t.Nodes {
		if _, err := os.Stat(t.NodeDir(i)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		lock, err := node.Hold(t.NodeDir(i))
		if err != nil {
			return t.of(i, err)
		}
		defer lock.Release()
	}
	return empty(t.Dir)
}

// Status is what node i says of itself over its socket.
func (t *Testnet) Status(ctx context.Context, i int) (node.Status, error) {
	return node.AskStatus(ctx, t.NodeDir(i))
}
