package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// One in 64 blob IDs in base64url begins with a hyphen, as a flag does. What is such an ID,
// of a blob or of a file in a quilt, is never a flag: it is marked before flags are read, and
// the command gets it as it was typed. After -- nothing is a flag anyway.

// hyphenMark begins a marked argument. No argument that was typed can hold it.
const hyphenMark = "\x00"

// markHyphens marks the arguments that begin with a hyphen and are IDs. The value of a flag
// stays as it is.
func markHyphens(root *cobra.Command, args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		if arg == "--" {
			copy(out[i:], args[i:])
			return out
		}
		if out[i] = arg; isHyphenID(arg) && (i == 0 || !takesValue(root, args[:i-1], args[i-1])) {
			out[i] = hyphenMark + arg
		}
	}
	return out
}

// unmarkHyphens gives arguments their form as typed.
func unmarkHyphens(args []string) {
	for i := range args {
		args[i] = strings.TrimPrefix(args[i], hyphenMark)
	}
}

// isHyphenID reports whether arg begins with a hyphen and is an ID, a patch ID, or an ID
// with the identifier of a file.
func isHyphenID(arg string) bool {
	if !strings.HasPrefix(arg, "-") {
		return false
	}
	id, _, _ := strings.Cut(arg, "/")
	_, notBlob := blob.ParseID(id)
	_, notPatch := quilt.ParsePatchID(arg)
	return notBlob == nil || notPatch == nil
}

// takesValue reports whether flag is one of the command that before names, and the argument
// behind it is its value.
func takesValue(root *cobra.Command, before []string, flag string) bool {
	if !strings.HasPrefix(flag, "-") {
		return false
	}
	c, _, err := root.Find(before)
	if err != nil {
		return false
	}
	f := c.Flag(strings.TrimPrefix(flag, "--"))
	if name := strings.TrimPrefix(flag, "-"); len(name) == 1 {
		c.InheritedFlags() // which are merged into the command's own
		f = c.Flags().ShorthandLookup(name)
	}
	return f != nil && f.NoOptDefVal == ""
}
