package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/walrus-network/walrus/internal/secretfile"
)

// terminal gives the terminal of a stream, if it is one.
func terminal(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// errNoTerminal is returned where a person must be asked and there is no terminal.
var errNoTerminal = errors.New("there is no terminal to ask on")

// asked is the terminal on which a person can be asked. Standard input may be a
// file that is being stored; the person still sits at the terminal then.
func (a *app) asked() (f *os.File, done func(), err error) {
	if f, ok := terminal(a.in); ok {
		return f, func() {}, nil
	}
	if _, ok := terminal(a.err); !ok {
		return nil, nil, errNoTerminal
	}
	if f, err = os.OpenFile("/dev/tty", os.O_RDWR, 0); err != nil {
		return nil, nil, errNoTerminal
	}
	return f, func() { f.Close() }, nil
}

// passphrase reads the passphrase of a wallet: from the file that is set, else from the terminal.
func (a *app) passphrase(ctx context.Context, prompt string) (string, error) {
	h, err := a.setting(setPassphrase)
	if err != nil {
		return "", err
	}
	if h.Value != "" {
		loose, err := a.loose()
		if err != nil {
			return "", err
		}
		return passphraseFrom(h.Value, loose)
	}
	word, err := a.askSecret(ctx, prompt)
	if errors.Is(err, errNoTerminal) {
		err = fmt.Errorf("a passphrase is needed and %w: put it into a file and name that with WALRUS_PASSPHRASE_FILE", err)
	}
	return word, err
}

func passphraseFrom(path string, loose bool) (string, error) {
	if path == "-" {
		path = os.Stdin.Name()
	}
	const enough = 64 << 10
	b, err := secretfile.Read(path, enough, loose)
	if err != nil {
		return "", fmt.Errorf("passphrase file: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("passphrase file %s: its first line is empty", path)
	}
	return line, nil
}

// newPassphrase asks twice for the passphrase of a new wallet.
func (a *app) newPassphrase(ctx context.Context) (string, error) {
	word, err := a.passphrase(ctx, "New passphrase: ")
	if err != nil {
		return "", err
	}
	if h, err := a.setting(setPassphrase); err != nil || h.Value != "" {
		return word, err
	}
	if word == "" {
		return "", errors.New("an empty passphrase: use --no-passphrase if you want a plain file")
	}
	again, err := a.askSecret(ctx, "The same again: ")
	if err == nil && again != word {
		err = errors.New("the two passphrases differ: nothing was written")
	}
	return word, err
}

// askSecret asks on the terminal without showing what is typed.
func (a *app) askSecret(ctx context.Context, prompt string) (string, error) {
	tty, done, err := a.asked()
	if err != nil {
		return "", err
	}
	defer done()
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprint(a.err, prompt)
	defer fmt.Fprintln(a.err)
	return answer(ctx, func() (string, error) {
		word, err := term.ReadPassword(fd)
		return string(word), err
	}, func() { term.Restore(fd, before) })
}

// ask asks on the terminal.
func (a *app) ask(ctx context.Context, prompt string) (string, error) {
	tty, done, err := a.asked()
	if err != nil {
		return "", err
	}
	defer done()
	fmt.Fprint(a.err, prompt)
	return answer(ctx, func() (string, error) {
		line, err := bufio.NewReader(tty).ReadString('\n')
		return strings.TrimSpace(line), err
	}, func() {})
}

// answer waits for a person, or for ctx: the read is then abandoned, since the program ends
// soon.
func answer(ctx context.Context, read func() (string, error), restore func()) (string, error) {
	type reply struct {
		text string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		text, err := read()
		replies <- reply{text, err}
	}()
	select {
	case r := <-replies:
		return r.text, r.err
	case <-ctx.Done():
		restore()
		return "", ctx.Err()
	}
}
