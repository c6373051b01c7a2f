package wallet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/token"
)

func phrase(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func TestAWalletComesBackAndIsForItsOwnerOnly(t *testing.T) {
	key := token.KeyFromSeed([32]byte{5})
	for _, word := range []string{"", "correct horse"} {
		path := filepath.Join(t.TempDir(), "sub", "wallet")
		if err := Save(path, key, word); err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(path)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		back, err := Load(path, false, phrase(word))
		if err != nil || back.Address() != key.Address() {
			t.Fatal(back, err)
		}
		if err := Save(path, key, word); !errors.Is(err, ErrExists) {
			t.Errorf("replaced: %v", err)
		}
		if b, _ := os.ReadFile(path); word != "" && strings.Contains(string(b), "walrus-wallet") {
			t.Error("the key lies open in an encrypted wallet")
		}
	}
}

func TestWrongPassphraseAndGarbageAreTold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w")
	if err := Save(path, token.KeyFromSeed([32]byte{5}), "right"); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, false, phrase("wrong")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("got %v", err)
	}
	for name, text := range map[string]string{"empty": "", "text": "hello", "short": header + "00ff", "armor": "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(p, false, phrase("x")); !errors.Is(err, ErrForm) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none"), false, phrase("")); err == nil || !strings.Contains(err.Error(), "walrus wallet new") {
		t.Errorf("got %v", err)
	}
}
