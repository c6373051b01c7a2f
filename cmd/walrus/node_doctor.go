package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/doctor"
)

// diagnosis is the result of an examination, for people and scripts.
type diagnosis struct {
	doctor.Diagnosis
	OK   int `json:"ok"`
	Warn int `json:"warn"`
	Fail int `json:"fail"`
	// Error is set if a check fails.
	Error string `json:"error,omitempty"`
}

const doctorHelp = `Looks at a node and at its machine before it is entered on the ledger, and whenever
something is odd: its keys, the network, versions, the clock, the disk, how long it takes
to prove its shards against the time that a round gives, whether what it promises fits
on the disk, and whether others reach it. Each line says what was found, and below it
what to do where it is not ok. Exits with 1 if something fails.

The node may be running or not. If it is not, it is put on the network for these
seconds, where it will listen, so that others can dial it. Nothing of the node is
changed; some megabytes are written beside its fragments, and removed.`

func (a *app) nodeDoctor() *cobra.Command {
	var dir string
	var addresses []string
	c := &cobra.Command{Use: "doctor", Short: "Look whether a node and its machine are fit for the network", Long: doctorHelp, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		found, err := doctor.Examine(c.Context(), doctor.Options{Dir: dir, Addresses: addresses, Version: version(), Log: a.log()})
		if err != nil {
			return err
		}
		out := diagnosis{Diagnosis: found, OK: found.Count(doctor.Healthy), Warn: found.Count(doctor.Doubtful), Fail: found.Count(doctor.Failing)}
		if out.Fail > 0 {
			out.Error = fmt.Sprintf("%d of %d checks of the node in %s fail", out.Fail, len(out.Checks), dir)
		}
		if err := a.print(out, out.print); err != nil || out.Fail == 0 {
			return err
		}
		return fmt.Errorf("%s", out.Error)
	}}
	c.Flags().StringVar(&dir, "dir", defaultNodeDir, "the node's directory")
	c.Flags().StringSliceVar(&addresses, "address", nil, "where others reach it, as multiaddrs (default: what the ledger says, else where it listens)")
	return c
}

func (d diagnosis) print(w io.Writer) error {
	t := newTable(w)
	for _, c := range d.Checks {
		t.row(string(c.Health), c.Name, c.Figure)
		if c.Advice != "" {
			t.row("", "", "-> "+c.Advice)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d ok, %d warn, %d fail\n", d.OK, d.Warn, d.Fail)
	return err
}
