package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is the columns of a line of help: those of the narrowest usual terminal.
const helpWidth = 80

// writeHelp writes what a command does, how it is typed, and its flags.
func writeHelp(w io.Writer, c *cobra.Command) error {
	var out strings.Builder
	text := c.Long
	if text == "" {
		text = c.Short
	}
	if text != "" {
		fmt.Fprintln(&out, fill(text, helpWidth))
	}
	writeUsage(&out, c)
	_, err := io.WriteString(w, out.String())
	return err
}

// writeUsage writes the parts of a help that cobra knows: usage, aliases, examples,
// commands, flags.
func writeUsage(out *strings.Builder, c *cobra.Command) {
	fmt.Fprintln(out, "Usage:")
	if c.Runnable() {
		indent(out, helpWidth, "  ", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		indent(out, helpWidth, "  ", c.CommandPath()+" [command]")
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(out, "\nAliases:\n  %s\n", c.NameAndAliases())
	}
	if c.HasExample() {
		fmt.Fprintf(out, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintln(out, "\nAvailable Commands:")
		for _, under := range c.Commands() {
			if under.IsAvailableCommand() || under.Name() == "help" {
				indent(out, helpWidth, fmt.Sprintf("  %-*s ", under.NamePadding(), under.Name()), under.Short)
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(out, "\nFlags:\n%s", c.LocalFlags().FlagUsagesWrapped(helpWidth))
	}
	if c.HasAvailableInheritedFlags() {
		fmt.Fprintf(out, "\nGlobal Flags:\n%s", c.InheritedFlags().FlagUsagesWrapped(helpWidth))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\nUse \"%s [command] --help\" for more information about a command.\n", c.CommandPath())
	}
}

// firstColumn is the first word of an indented line, with the space around it, where more
// than one space follows; else the space alone.
var firstColumn = regexp.MustCompile(`^\s+(\S+\s{2,})?`)

// fill breaks a text into lines of at most width letters. Lines that begin at the margin
// are a paragraph, up to an empty line. An indented line stays a line: what does not fit
// goes on under its second column.
func fill(text string, width int) string {
	var out strings.Builder
	var paragraph []string
	flush := func() {
		if words := strings.Join(paragraph, " "); utf8.RuneCountInString(words) <= width && words != "" {
			fmt.Fprintln(&out, words)
		} else if words != "" {
			indent(&out, width, "", words)
		}
		paragraph = nil
	}
	for _, line := range strings.Split(strings.Trim(text, "\n"), "\n") {
		column := firstColumn.FindString(line)
		switch {
		case strings.TrimSpace(line) == "":
			flush()
			fmt.Fprintln(&out)
		case column == "":
			paragraph = append(paragraph, line)
		case utf8.RuneCountInString(line) <= width:
			flush()
			fmt.Fprintln(&out, line)
		default:
			flush()
			indent(&out, width, column, line[len(column):])
		}
	}
	flush()
	return out.String()
}
