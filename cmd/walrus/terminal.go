package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/walrus-network/walrus/p2p"
)

// encodeJSON writes a value as a line of JSON in which everything a terminal might obey
// is escaped: names of nodes on the ledger are strangers' words, and encoding/json writes
// C1 controls and bidirectional overrides as they are.
func encodeJSON(w io.Writer, v any) error {
	var plain bytes.Buffer
	if err := json.NewEncoder(&plain).Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(plain.Bytes()))
	return err
}

// escapeJSON escapes in JSON what a terminal might obey; it can stand in strings only.
func escapeJSON(text []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// lines removes from a text all that a terminal might obey, but line breaks.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = p2p.Clean(strings.TrimRight(line, "\r"), len(line))
	}
	return strings.Join(all, "\n")
}
