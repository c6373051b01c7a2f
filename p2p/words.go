package p2p

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxWords bounds a text of a stranger, in bytes.
const MaxWords = 1024

// Clean makes a stranger's words fit to be shown: at most most bytes of valid UTF-8 on
// one line. Every text that comes over a wire goes through it once, where it is decoded.
//
// White space and line ends become one space each. Control characters (C0, DEL and C1),
// format characters (bidirectional overrides and isolates, zero-width characters, tags,
// the byte order mark), variation selectors, private and unassigned code points are left
// out: a terminal obeys some of them, and the others make one text look like another.
func Clean(words string, most int) string {
	var out strings.Builder
	for i := 0; i < len(words); {
		r, n := utf8.DecodeRuneInString(words[i:])
		i += n
		switch {
		case r == utf8.RuneError && n <= 1:
			r = '\uFFFD'
		case unicode.IsSpace(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			r = ' '
		case !showable(r):
			continue
		}
		if out.Len()+utf8.RuneLen(r) > most {
			break
		}
		out.WriteRune(r)
	}
	return out.String()
}

// showable says that a rune shows as itself wherever it stands.
func showable(r rune) bool {
	switch {
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x2800, r == 0x3164, r == 0xFFA0: // blank, though they count as letters or marks
		return false
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return false
	}
	return unicode.IsPrint(r)
}
