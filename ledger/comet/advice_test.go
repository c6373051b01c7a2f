package comet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/walrus-network/walrus/kv"
)

// To move the ledger away is said where its files are the cause, and nowhere else.
func TestEachCauseHasItsOwnAdvice(t *testing.T) {
	c := &Chain{options: Options{Dir: "/n/ledger", KeyDir: "/n/keys", Listen: "192.0.2.1:4002"}}
	full := &os.PathError{Op: "write", Path: "/n/keys/x", Err: syscall.ENOSPC}
	for _, k := range []struct {
		err  error
		says string
		is   error
		move bool
	}{
		{full, "/n/keys is full", kv.ErrFull, false},
		{errors.New("open wal: write /n/x: no space left on device"), "make room", kv.ErrFull, false},
		{fmt.Errorf("x: %w", syscall.EDQUOT), "make room", kv.ErrFull, false},
		{fmt.Errorf("40 MiB left: %w", kv.ErrFull), "make room", kv.ErrFull, false},
		{&os.PathError{Op: "open", Path: "/n/keys/last-sign.json", Err: syscall.EACCES}, "owner and rights", nil, false},
		{errors.New("open /n/keys/x: permission denied"), "owner and rights", nil, false},
		{errors.New("open /n/keys/x: read-only file system"), "read-only", nil, false},
		{fmt.Errorf("sync: %w", syscall.EIO), "disk", nil, false},
		{errors.New("accept: too many open files"), "ulimit", nil, false},
		{&net.OpError{Op: "listen", Err: syscall.EADDRINUSE}, "port is taken", nil, false},
		{errors.New("listen tcp 192.0.2.1:4002: bind: cannot assign requested address"), `ledger_listen = "192.0.2.1:4002"`, nil, false},
		{errors.New("lookup nowhere.example: no such host"), "ledger_listen", nil, false},
		{errors.New("address nohost: missing port in address"), "ledger_listen", nil, false},
		{fmt.Errorf("x: %w", kv.ErrLocked), "already running", kv.ErrLocked, false},
		{fmt.Errorf("x: %w", kv.ErrCorrupt), "loses nothing", kv.ErrCorrupt, true},
		{errors.New("state (3) and store (4) height mismatch"), "same words", nil, true},
	} {
		got := c.explain(k.err)
		if !strings.Contains(got.Error(), k.says) || strings.Contains(got.Error(), "move /n/ledger away") != k.move || !strings.Contains(got.Error(), k.err.Error()) {
			t.Errorf("%v: %v", k.err, got)
		}
		if k.is != nil && !errors.Is(got, k.is) {
			t.Errorf("%v is not %v", got, k.is)
		}
	}
}

// Another network's ledger is neither followed nor to be moved away.
func TestTheLedgerOfAnotherNetworkIsRefusedAndKept(t *testing.T) {
	for _, known := range []bool{true, false} { // by the database's own key, or by CometBFT's record alone
		c := newCluster(t, 1)
		ctx := within(t)
		c.start(0)
		c.reach(ctx, 0, 3)
		c.stop(0)
		m := c.members[0]
		dir := filepath.Join(m.dir, "ledger")
		if !known {
			db, err := kv.Open(kv.Options{Dir: filepath.Join(dir, "db"), Profile: kv.Small})
			if err != nil {
				t.Fatal(err)
			}
			b := db.Batch()
			b.Delete([]byte(keyChain))
			if err := errors.Join(b.Commit(true), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
		other := c.genesis
		other.Name, other.Nodes = "elsewhere", slices.Clone(other.Nodes)
		for i := range other.Nodes {
			other.Nodes[i] = other.Nodes[i].Prove(other.Name, m.secret.Key(), m.secret.BLSKey())
		}
		_, err := Open(Options{Dir: dir, KeyDir: m.dir, Genesis: other, Key: m.secret.Key(), BLS: m.secret.BLSKey(), Listen: m.addr, Peers: c.peers, Log: quiet()})
		if !errors.Is(err, ErrOtherChain) || strings.Contains(err.Error(), "away") || !strings.Contains(err.Error(), string(c.genesis.ChainID())) || !strings.Contains(err.Error(), string(other.ChainID())) {
			t.Errorf("known %v: %v", known, err)
		}
		c.start(0) // it is as it was
		c.reach(ctx, 0, m.chain.machine.Height()+1)
		c.stop(0)
	}
}

// A vote whose consensus log could not be flushed is never given: CometBFT tells its log
// alone, and the node would live on mute.
func TestANodeThatCannotWriteItsConsensusLogEndsWithTheReason(t *testing.T) {
	for _, k := range []struct {
		msg   string
		pairs []any
		dead  bool
	}{
		{"CONSENSUS FAILURE!!!", []any{"err", "broken"}, true},
		{"failed writing to WAL", []any{"err", "broken"}, true},
		{"failed flushing WAL to disk", nil, true},
		{"Periodic WAL flush failed", []any{"err", "broken"}, true},
		{"WriteSync failed to flush consensus wal.\n\t\tWARNING: may result in creating alternative proposals", []any{"err", "broken"}, true},
		{"Error writing msg to consensus wal. WARNING: recover may not be possible for the current height", []any{"err", "broken"}, true},
		{"the WAL file is corrupted; attempting repair", []any{"err", "broken"}, false},
		{"failed signing vote", []any{"height", 1, "err", errors.New("flush: broken")}, true},
		{"failed signing vote", []any{"height", 1, "err", errQuiet}, false},
		{"failed signing vote", []any{"height", 1, "err", fmt.Errorf("%w: conflicting data", errRefused)}, false},
		{"MConnection panicked", []any{"err", "broken"}, false}, // a peer may have caused it
		{"Error stopping pool", []any{"err", "broken"}, false},
	} {
		why := ""
		logger{quiet(), func(s string) bool { why = s; return true }}.With("module", "consensus").Error(k.msg, k.pairs...)
		if (why != "") != k.dead || k.dead && k.pairs != nil && !strings.Contains(why, "broken") {
			t.Errorf("%q: %q", k.msg, why)
		}
	}
}

// The real thing: the log's file is taken away below a node that runs.
func TestALostConsensusLogEndsTheNode(t *testing.T) {
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	m := c.members[0]
	c.reach(ctx, 0, 2)
	closeFiles(t, filepath.Join(m.dir, "ledger", "comet", "cs.wal"))
	if err := m.end(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "WAL") && !strings.Contains(err.Error(), "wal") {
		t.Errorf("ended with %v", err)
	}
	m.stop = nil
	m.host.Close()
}

// closeFiles makes every write to the open files below dir fail: in their place is one
// that is open for reading alone.
func closeFiles(t *testing.T, dir string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not show a process's files")
	}
	n := 0
	for _, e := range list {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		var fd int
		if _, bad := fmt.Sscan(e.Name(), &fd); err != nil || bad != nil || !strings.HasPrefix(to, dir+"/") {
			continue
		}
		if err := syscall.Dup3(int(null.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Skip("the consensus log is not open: nothing to break")
	}
}
