package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Recipient is what a file is encrypted to, and Identity what decrypts it.
type (
	Recipient = age.Recipient
	Identity  = age.Identity
)

// mostWork bounds the work of a passphrase's key, as a power of two, that a file may ask of
// its reader: 20 takes 1 GiB of memory and some seconds. Files are made with 18.
const mostWork = 20

// ParseRecipients reads recipients (age1…), one a line; # begins a comment.
func ParseRecipients(r io.Reader) ([]Recipient, error) {
	out, err := age.ParseRecipients(r)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	return out, nil
}

// ParseRecipient reads one recipient.
func ParseRecipient(s string) (Recipient, error) {
	if strings.HasPrefix(s, "AGE-SECRET-KEY-") {
		return nil, errors.New("a secret key is no recipient: age-keygen -y gives the recipient that begins with age1")
	}
	out, err := age.ParseRecipients(strings.NewReader(s))
	if err != nil || len(out) != 1 {
		return nil, fmt.Errorf("%q is no recipient: one looks like age1…, as age-keygen prints", s)
	}
	return out[0], nil
}

// ParseIdentities reads secret keys (AGE-SECRET-KEY-…), one a line; # begins a comment.
func ParseIdentities(b []byte) ([]Identity, error) {
	if Sealed(b) || bytes.HasPrefix(b, []byte("-----BEGIN AGE")) {
		return nil, errors.New("the keys are encrypted themselves: decrypt them first, with age -d")
	}
	out, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil { // which may quote a line of the file: a secret
		return nil, errors.New("no file of keys: each line is one like AGE-SECRET-KEY-1…, as age-keygen writes them")
	}
	return out, nil
}

// PassphraseRecipient encrypts to a passphrase.
func PassphraseRecipient(word string) (Recipient, error) { return age.NewScryptRecipient(word) }

// PassphraseIdentity decrypts with a passphrase.
func PassphraseIdentity(word string) (Identity, error) {
	i, err := age.NewScryptIdentity(word)
	if err != nil {
		return nil, err
	}
	i.SetMaxWorkFactor(mostWork)
	return i, nil
}
