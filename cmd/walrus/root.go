package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/client"
)

// streams are the standard input and outputs of a command.
type streams struct {
	in  io.Reader
	out io.Writer // results
	err io.Writer // the story, and errors
}

// app is the state that all commands share.
type app struct {
	streams
	began    time.Time
	json     bool
	debug    bool
	flags    *pflag.FlagSet // of the command that runs
	running  bool           // the words typed made sense
	stdinFor string         // what standard input is for; empty: nothing yet
	printed  bool           // the result is out

	needsNodes bool   // the command will need the nodes that hold blobs: they are dialed at once
	lists      []byte // begins the keys that the command will list: they are asked for with the first look
	// connected, if not nil, is called before the first look, and returns keys to read with it.
	connected func(context.Context, *client.Connection) [][]byte
}

// run runs the program with arguments, and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, began: time.Now()}
	root := a.root()
	root.SetArgs(markHyphens(root, args))
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !a.running {
		err = errUsage{err}
		a.json = slices.Contains(args, "--json") // flags may not have been read
	}
	code := exitCode(ctx, err)
	text := strings.ReplaceAll(strings.ReplaceAll(err.Error(), hyphenMark, ""), `\x00`, "")
	if _, interrupted := interruption(ctx); interrupted {
		text = "interrupted"
	}
	if pending := mayStillHappen(err); pending != "" {
		text += "\n" + pending
	}
	if a.json && !a.printed {
		encodeJSON(s.out, failure{Error: text, Exit: code})
	}
	if !a.debug {
		text = brief(text)
	}
	fmt.Fprintf(s.err, "walrus: %s\n", lines(text))
	return code
}

// brief cuts a text in which every node of a network says the same.
func brief(text string) string {
	const most, shown = 7, 3
	lines := strings.Split(text, "\n")
	if len(lines) <= most {
		return text
	}
	return fmt.Sprintf("%s\n(and %d lines more: --debug shows them)", strings.Join(lines[:shown], "\n"), len(lines)-shown)
}

// failure is the JSON object of a command that has no result.
type failure struct {
	Error string `json:"error"`
	Exit  int    `json:"exit"`
}

const rootHelp = `walrus stores and reads blobs, runs nodes, and starts networks on one machine.

A network to try it on:  eval "$(walrus testnet up)"

Exit codes:
` + exitHelp + `
With --json standard output gets exactly one JSON object, also when the command
fails: then it has a member "error".`

func (a *app) root() *cobra.Command {
	root := a.group("walrus", "Keep blobs available on a network in which nodes are assumed to fail",
		a.storeCommand(), a.readCommand(), a.statusCommand(), a.auditCommand(), a.receiptCommand(), a.verifyCommand(), a.extendCommand(), a.renewCommand(), a.deleteCommand(), a.listCommand(), a.idCommand(),
		a.infoCommand(), a.checkpointCommand(), a.paramsCommand(), a.explainCommand(), a.nodesCommand(), a.walletCommand(), a.stakeCommand(), a.poolCommand(), a.disputeCommand(), a.nodeCommand(), a.networkCommand(), a.testnetCommand(),
		a.gatewayCommand(), a.s3Command(), a.benchCommand(), a.simCommand(), a.configCommand(), a.versionCommand())
	root.Long = rootHelp
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		if err := writeHelp(c.OutOrStdout(), c); err != nil {
			c.PrintErrln(err)
		}
	})
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, c.CommandPath())
	})
	root.PersistentPreRun = func(c *cobra.Command, args []string) {
		unmarkHyphens(args)
		a.flags, a.running = c.Flags(), true
		slow.Store(slices.ContainsFunc(slowCommands, func(path string) bool { return c.CommandPath() == path || strings.HasPrefix(c.CommandPath(), path+" ") }))
	}
	strictNumbers(root)
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON object instead of text")
	f.BoolVar(&a.debug, "debug", false, "say on standard error what goes on")
	for _, s := range settings {
		if s.truth {
			f.Bool(s.flag(), false, s.help)
		} else {
			f.String(s.flag(), "", s.help)
		}
	}
	f.String(configFlag, "", "the config file (default "+configName+" in the user's config directory)")
	return root
}

// group is a command that only has other commands under it. Without an argument it prints
// its help; an argument that is no command is an error.
func (a *app) group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		c.SuggestionsMinimumDistance = 2
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			text += ", did you mean " + strings.Join(like, " or ") + "?"
		}
		return fmt.Errorf("%s (see %s --help)", text, c.CommandPath())
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(commands...)
	return c
}

// log is the program's log; it is silent without --debug.
func (a *app) log() *slog.Logger {
	if !a.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// print writes a result: as JSON with --json, else by the function text.
func (a *app) print(v any, text func(io.Writer) error) error {
	a.printed = true
	if !a.json {
		return text(a.out)
	}
	return encodeJSON(a.out, v)
}

// say prints a line for people on standard error. With --json it prints nothing.
func (a *app) say(format string, args ...any) {
	if !a.json {
		fmt.Fprintln(a.err, lines(fmt.Sprintf(format, args...)))
	}
}

// version is the version of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "development"
	}
	return info.Main.Version
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return a.print(map[string]string{"version": version()}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, "walrus", version())
			return err
		})
	}}
}
