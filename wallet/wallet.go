// Package wallet keeps an account's key in a file, under a passphrase or plain.
//
// The promise: a file is only ever made whole and readable by its owner alone, and
// never replaces another; one that others may touch is refused. The passphrase goes through age's scrypt.
//
// Left to others: asking a person for the passphrase.
package wallet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/walrus-network/walrus/internal/secretfile"
	"github.com/walrus-network/walrus/token"
)

// Errors a caller branches on.
var (
	ErrExists     = errors.New("the file exists already: a wallet is never replaced")
	ErrPassphrase = errors.New("wrong passphrase")
	ErrForm       = errors.New("not a wallet file")
)

// header begins the text that holds the key, encrypted or not.
const header = "walrus-wallet-v1 "

// maxFile bounds what is read as a wallet.
const maxFile = 64 << 10

// Save writes a key to a new file, readable by its owner only. An empty passphrase
// leaves it plain.
func Save(path string, key token.Key, passphrase string) error {
	text := []byte(Text(key))
	if passphrase != "" {
		var err error
		if text, err = encrypt(text, passphrase); err != nil {
			return fmt.Errorf("wallet %s: %w", path, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("wallet: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("wallet %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("wallet: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("wallet %s: %w", path, err)
	}
	return nil
}

func encrypt(text []byte, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Load reads a wallet. passphrase is asked for only if the file is encrypted.
// loose says to read it although others may read or write the file.
func Load(path string, loose bool, passphrase func() (string, error)) (token.Key, error) {
	fail := func(err error) (token.Key, error) { return token.Key{}, fmt.Errorf("wallet %s: %w", path, err) }
	text, err := secretfile.Read(path, maxFile, loose)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(errors.New("no such file: make one with walrus wallet new, or name another with --wallet"))
	}
	if err != nil {
		return token.Key{}, fmt.Errorf("wallet: %w", err)
	}
	if strings.HasPrefix(string(text), armor.Header) {
		if text, err = decrypt(text, passphrase); err != nil {
			return fail(err)
		}
	}
	key, err := Parse(string(text))
	if err != nil {
		return fail(err)
	}
	return key, nil
}

// Text is the plain form of a key: its holder has the money.
func Text(key token.Key) string {
	seed := key.Seed()
	return header + hex.EncodeToString(seed[:]) + "\n"
}

// Parse reads the plain form of a key.
func Parse(text string) (token.Key, error) {
	digits, ok := strings.CutPrefix(strings.TrimSpace(text), header)
	seed, err := hex.DecodeString(strings.TrimSpace(digits))
	if !ok || err != nil || len(seed) != 32 {
		return token.Key{}, ErrForm
	}
	return token.KeyFromSeed([32]byte(seed)), nil
}

func decrypt(text []byte, passphrase func() (string, error)) ([]byte, error) {
	word, err := passphrase()
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(word)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), identity)
	if err != nil {
		var wrong *age.NoIdentityMatchError
		if errors.As(err, &wrong) {
			return nil, ErrPassphrase
		}
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return io.ReadAll(io.LimitReader(r, maxFile))
}

// Is says whether a file looks like one that Save wrote, encrypted or not. It does not
// try to open it.
func Is(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	start := make([]byte, max(len(header), len(armor.Header)))
	n, _ := io.ReadFull(f, start) // a shorter file is none
	return strings.HasPrefix(string(start[:n]), header) || strings.HasPrefix(string(start[:n]), armor.Header)
}
