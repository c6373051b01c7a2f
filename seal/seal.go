package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

const (
	magic      = "age-encryption.org/v1\n"
	withScrypt = magic + "-> scrypt "
)

// HeadBytes is how many bytes Sealed and Passphrase look at.
const HeadBytes = len(withScrypt)

// Sealed reports whether what begins with b is an age file.
func Sealed(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }

// Passphrase reports whether the age file that begins with b is encrypted to a passphrase.
func Passphrase(b []byte) bool { return bytes.HasPrefix(b, []byte(withScrypt)) }

// ErrSize is returned for a file that is shorter or longer than was said.
var ErrSize = errors.New("the file has not the length that it had")

// Seal pads the size bytes of r, encrypts them and writes them to w.
func Seal(w io.Writer, r io.Reader, size int64, to []Recipient) error {
	if size < 0 || size > MaxSize {
		return fmt.Errorf("encrypt %d bytes: at most %d", size, int64(MaxSize))
	}
	e, err := age.Encrypt(w, to...)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	n, err := io.Copy(e, io.LimitReader(r, size))
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	switch more, err := io.ReadFull(r, make([]byte, 1)); {
	case n < size || more > 0:
		return fmt.Errorf("encrypt: %w", ErrSize)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("encrypt: %w", err)
	}
	if _, err := io.CopyN(e, zeros{}, PaddedSize(size)-size-lengthBytes); err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	_, err = io.WriteString(e, lengthText(size))
	if err == nil {
		err = e.Close()
	}
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
