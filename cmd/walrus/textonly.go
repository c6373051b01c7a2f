package main

import (
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

// errNotText is returned for bytes that a terminal must not get.
var errNotText = errors.New("the blob is not text here and would upset the terminal: use -o FILE, or -o - to see it all the same")

// textOnly refuses bytes that are not text for a terminal. It checks every byte, since a
// harmless beginning proves nothing about the rest.
type textOnly struct {
	w       io.Writer
	pending []byte // the beginning of a letter whose end has not come
	refused bool
}

// Write passes on the text up to the first harmful letter, and then fails.
func (t *textOnly) Write(p []byte) (int, error) {
	if t.refused {
		return 0, errNotText
	}
	all := append(t.pending, p...)
	end := 0
	for end < len(all) {
		r, size := utf8.DecodeRune(all[end:])
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(all[end:]) {
			break
		}
		if !harmless(r, size) {
			t.refused = true
			break
		}
		end += size
	}
	if _, err := t.w.Write(all[:end]); err != nil {
		return 0, err
	}
	if t.refused {
		return 0, errNotText
	}
	t.pending = append([]byte(nil), all[end:]...)
	return len(p), nil
}

// Close says whether the text ended within a letter.
func (t *textOnly) Close() error {
	if !t.refused && len(t.pending) > 0 {
		return errNotText
	}
	return nil
}

// harmless says whether a terminal shows a letter, and does nothing else: no control
// (C0 but white space, C1 like U+009B) and nothing that changes the order of letters or
// hides them (U+202E and other formats).
func harmless(r rune, size int) bool {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return true
	case r == utf8.RuneError && size == 1, unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return false
	case r == '\u200d' || r == '\u200c': // joiners, of letters and of pictures
		return true
	}
	return !unicode.Is(unicode.Cf, r)
}
