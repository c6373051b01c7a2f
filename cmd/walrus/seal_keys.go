package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/secretfile"
	"github.com/walrus-network/walrus/seal"
)

// maxKeyFile bounds a file of keys or recipients.
const maxKeyFile = 1 << 20

// passphraseFlag is --passphrase, which asks, or --passphrase=FILE. It is no wallet's: that
// has --passphrase-file.
type passphraseFlag struct {
	set  bool
	file string // empty: a person is asked
}

// asks is the flag's value where none was typed.
const asks = "ask"

func (p *passphraseFlag) String() string { return p.file }
func (p *passphraseFlag) Type() string   { return "FILE" }
func (p *passphraseFlag) Set(s string) error {
	p.set = true
	if p.file = s; s == asks {
		p.file = ""
	}
	return nil
}

func (p *passphraseFlag) add(c *cobra.Command, help string) {
	c.Flags().Var(p, "passphrase", help)
	c.Flags().Lookup("passphrase").NoOptDefVal = asks
}

// read gives the passphrase, which a person types twice where it is new.
func (p *passphraseFlag) read(ctx context.Context, a *app, fresh bool) (string, error) {
	if p.file != "" {
		loose, err := a.loose()
		if err != nil {
			return "", err
		}
		return passphraseFrom(p.file, loose)
	}
	word, err := a.askSecret(ctx, "Passphrase of the blob: ")
	if errors.Is(err, errNoTerminal) {
		return "", fmt.Errorf("a passphrase is needed and %w: put it into a file and say --passphrase=FILE", err)
	}
	if err == nil && word == "" {
		err = errors.New("an empty passphrase")
	}
	if err != nil || !fresh {
		return word, err
	}
	again, err := a.askSecret(ctx, "The same again: ")
	if err == nil && again != word {
		err = errors.New("the two passphrases differ: nothing was stored")
	}
	return word, err
}

// encryptFlags say to what a store encrypts.
type encryptFlags struct {
	on         bool
	recipients []string
	file       string
	word       passphraseFlag
}

func (e *encryptFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&e.on, "encrypt", false, "encrypt what is stored: blobs are public")
	c.Flags().StringArrayVarP(&e.recipients, "recipient", "r", nil, "encrypt to this age recipient (age1…); may be given several times")
	c.Flags().StringVar(&e.file, "recipients-file", "", "encrypt to the recipients in this file, one a line")
	e.word.add(c, "encrypt with a passphrase, which is asked for, or is the first line of =FILE")
}

// parse gives the recipients; none where nothing is to be encrypted.
func (e *encryptFlags) parse(ctx context.Context, a *app) (to []seal.Recipient, err error) {
	byKey := len(e.recipients) > 0 || e.file != ""
	switch {
	case !e.on && (byKey || e.word.set):
		return nil, errUsage{errors.New("--recipient, --recipients-file and --passphrase say to what is encrypted: add --encrypt")}
	case !e.on:
		return nil, nil
	case byKey == e.word.set:
		return nil, errUsage{errors.New("encrypt to what? Name -r age1… (age-keygen makes keys) or --recipients-file FILE, or else --passphrase")}
	case e.word.set:
		word, err := e.word.read(ctx, a, true)
		if err != nil {
			return nil, err
		}
		r, err := seal.PassphraseRecipient(word)
		return []seal.Recipient{r}, err
	}
	for _, text := range e.recipients {
		r, err := seal.ParseRecipient(text)
		if err != nil {
			return nil, errUsage{err}
		}
		to = append(to, r)
	}
	if e.file != "" {
		f, err := a.input(ctx, e.file, "the recipients")
		if err != nil {
			return nil, err
		}
		defer f.Close()
		more, err := seal.ParseRecipients(io.LimitReader(f, maxKeyFile))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", nameText(e.file), err)
		}
		to = append(to, more...)
	}
	return to, nil
}

// sealedItem is an item that is encrypted before it is stored. The encrypted bytes are kept in
// a file: a blob is read twice, and no two encryptions are the same.
func sealedItem(item storeItem, to []seal.Recipient) storeItem {
	open := item.open
	item.open = func(ctx context.Context) (client.Source, func() error, error) {
		src, remove, err := open(ctx)
		if err != nil {
			return nil, nil, err
		}
		defer remove()
		plain, err := src.Open(0)
		if err != nil {
			return nil, nil, err
		}
		defer plain.Close()
		in, out := io.Pipe()
		sealing := make(chan struct{})
		go func() {
			defer close(sealing)
			out.CloseWithError(seal.Seal(out, &patientReader{ctx: ctx, r: plain}, src.Size(), to))
		}()
		kept, removeKept, err := client.Spool(in, os.TempDir())
		in.Close()
		<-sealing
		return kept, removeKept, err
	}
	return item
}

// decryptFlags say how what is read is decrypted.
type decryptFlags struct {
	keys []string
	word passphraseFlag
	raw  bool
}

func (d *decryptFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVarP(&d.keys, "identity", "i", nil, "decrypt with the age keys (AGE-SECRET-KEY-…) in this file; may be given several times")
	d.word.add(c, "decrypt with a passphrase, which is asked for, or is the first line of =FILE")
}

// parse gives the keys; none where nothing is to be decrypted.
func (d *decryptFlags) parse(ctx context.Context, a *app) (keys []seal.Identity, err error) {
	if d.raw && (len(d.keys) > 0 || d.word.set) {
		return nil, errUsage{errors.New("--raw gives the bytes as they are stored: name no key with it")}
	}
	loose, err := a.loose()
	if err != nil {
		return nil, err
	}
	for _, path := range d.keys {
		b, err := secretfile.Read(path, maxKeyFile, loose)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		more, err := seal.ParseIdentities(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", nameText(path), err)
		}
		keys = append(keys, more...)
	}
	if d.word.set {
		word, err := d.word.read(ctx, a, false)
		if err != nil {
			return nil, err
		}
		key, err := seal.PassphraseIdentity(word)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// opened is what a blob holds for a reader with these keys: decrypted if there are any, else
// refused where it is encrypted, unless the raw bytes are wanted.
func (d *decryptFlags) opened(ctx context.Context, b blobContent, keys []seal.Identity) (blobContent, error) {
	switch {
	case d.raw:
		return b, nil
	case len(keys) == 0:
		return &unsealed{of: b}, nil
	}
	o, err := seal.Open(b.size(), rangesOf(ctx, b), keys)
	switch {
	case errors.Is(err, seal.ErrNotSealed):
		return nil, fmt.Errorf("%w: read it without a key", err)
	case errors.Is(err, seal.ErrKey):
		return nil, fmt.Errorf("%w than was given: nothing was written; name the right one with -i or --passphrase", err)
	}
	return &sealedContent{b, o}, err
}

func rangesOf(ctx context.Context, b blobContent) seal.Read {
	return func(offset, length int64, w io.Writer) error { return b.write(ctx, offset, offset+length, w) }
}

// sealedContent is the decrypted bytes of a blob.
type sealedContent struct {
	of     blobContent
	opened *seal.Opened
}

func (s *sealedContent) size() int64 { return s.opened.Size() }

func (s *sealedContent) write(ctx context.Context, from, to int64, w io.Writer) error {
	return s.opened.Write(from, to, rangesOf(ctx, s.of), w)
}

// errSealed is returned for an encrypted blob that is read without a key.
var errSealed = errors.New("it is encrypted")

// unsealed is a blob that is to be read as it is: nothing of one that is encrypted is written.
type unsealed struct {
	of     blobContent
	looked bool // it is not encrypted
}

func (u *unsealed) size() int64 { return u.of.size() }

func (u *unsealed) write(ctx context.Context, from, to int64, w io.Writer) error {
	head := min(int64(seal.HeadBytes), u.size())
	if u.looked || from == to || head < int64(seal.HeadBytes) {
		return u.of.write(ctx, from, to, w)
	}
	if from == 0 && to >= head {
		l := &looking{w: w}
		err := u.of.write(ctx, from, to, l)
		u.looked = err == nil
		return err
	}
	// The beginning is read beside the range, which is held back until it is known.
	verdict := make(chan error, 1)
	go func() {
		var b bytes.Buffer
		err := u.of.write(ctx, 0, head, &b)
		if err == nil {
			err = sealedError(b.Bytes())
		}
		verdict <- err
	}()
	held := &heldBack{w: w, verdict: verdict}
	if err := u.of.write(ctx, from, to, held); err != nil {
		return err
	}
	u.looked = true
	return held.wait()
}

// sealedError says what to do about an encrypted blob that begins with b; nil for another.
func sealedError(b []byte) error {
	how := "decrypt it with -i KEYFILE"
	if seal.Passphrase(b) {
		how = "decrypt it with --passphrase"
	}
	if seal.Sealed(b) {
		return fmt.Errorf("%w: %s, or take it as it is with --raw", errSealed, how)
	}
	return nil
}

// looking passes bytes on once the first of them are not those of an encrypted blob.
type looking struct {
	w    io.Writer
	head []byte
	done bool
}

func (l *looking) Write(p []byte) (int, error) {
	if l.done {
		return l.w.Write(p)
	}
	l.head = append(l.head, p...)
	if len(l.head) < seal.HeadBytes {
		return len(p), nil
	}
	if err := sealedError(l.head); err != nil {
		return 0, err
	}
	l.done = true
	if _, err := l.w.Write(l.head); err != nil {
		return 0, err
	}
	return len(p), nil
}

// heldBack passes bytes on once the verdict is good.
type heldBack struct {
	w       io.Writer
	verdict chan error
	known   bool
	err     error
}

func (h *heldBack) wait() error {
	if !h.known {
		h.err, h.known = <-h.verdict, true
	}
	return h.err
}

func (h *heldBack) Write(p []byte) (int, error) {
	if err := h.wait(); err != nil {
		return 0, err
	}
	return h.w.Write(p)
}
