package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Other programs fill the disk while a node closes: the operator hears of it although there
// was room when closing began.
func TestAClosingNodeSaysWhenItsDiskBecomesFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system to fill")
	}
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=80m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	answer := roomOr(disk, 64<<20, closes)
	if got := answer(); got != closes {
		t.Errorf("with room it says %q", got)
	}
	const some = 20 << 20
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, some), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if got := answer(); !strings.Contains(got, "make room") {
		t.Errorf("on a full disk it says %q", got)
	}
}
