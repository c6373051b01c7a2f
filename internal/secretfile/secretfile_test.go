package secretfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFileThatOthersMayTouchIsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode := os.FileMode(0); mode <= 0o777; mode++ {
		mode := mode | 0o400
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		b, err := Read(path, 100, false)
		if loose := mode&0o077 != 0; loose != errors.Is(err, ErrLoose) || !loose && string(b) != "secret" {
			t.Errorf("mode %o: %q, %v", mode, b, err)
		} else if loose && !strings.Contains(err.Error(), `it'\''s'`) {
			t.Errorf("%v does not say the chmod", err)
		}
		if b, err := Read(path, 100, true); err != nil || string(b) != "secret" {
			t.Errorf("mode %o, allowed: %q, %v", mode, b, err)
		}
	}
}

func TestAnothersFileIsNoSecret(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 12345, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 100, false); !errors.Is(err, ErrLoose) {
		t.Error(err)
	}
}

func TestDirectoriesOfKeysAreWrittenByTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	for mode, loose := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o775: true, 0o702: true} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := Check(dir, false); errors.Is(err, ErrLoose) != loose {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestAPipeIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(path, []byte("secret"), 0)
	if b, err := Read(path, 100, false); err != nil || string(b) != "secret" {
		t.Errorf("%q, %v", b, err)
	}
}
