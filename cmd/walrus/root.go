package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes. The help of the root command lists them.
const (
	exitOK    = 0
	exitFail  = 1 // what was asked for could not be done
	exitUsage = 2 // the words typed make no sense
)

// streams is where a command reads and writes.
type streams struct {
	in  io.Reader
	out io.Writer // results
	err io.Writer // the story, and errors
}

// app is what all commands share.
type app struct {
	streams
	began time.Time
	json  bool
	debug bool
}

// errUsage marks an error of the words typed.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// run is the program: words in, an exit code out.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, began: time.Now()}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	fmt.Fprintf(s.err, "walrus: %v\n", err)
	var usage errUsage
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFail
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "walrus",
		Short:         "Keep blobs available on a network in which nodes are assumed to fail",
		Long:          "walrus stores and reads blobs, runs nodes, and starts networks on one machine.\n\nExit codes: 0 done; 1 it could not be done, and the message says why; 2 the words typed make no sense.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return errUsage{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object instead of text")
	root.PersistentFlags().BoolVar(&a.debug, "debug", false, "say on standard error what goes on")
	root.AddCommand(a.nodeCommand(), a.testnetCommand(), a.benchCommand(), a.versionCommand())
	return root
}

// log is the program's log. A command that works is quiet.
func (a *app) log() *slog.Logger {
	if !a.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// print writes a result: as JSON if that was asked for, else as text gives it.
func (a *app) print(v any, text func(io.Writer) error) error {
	if !a.json {
		return text(a.out)
	}
	return json.NewEncoder(a.out).Encode(v)
}

// version is what the build knows of itself.
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
