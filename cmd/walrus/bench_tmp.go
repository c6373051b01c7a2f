package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/bench"
)

func (a *app) benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure against limits of the same run"}
	c.AddCommand(&cobra.Command{Use: "network", RunE: func(cmd *cobra.Command, _ []string) error {
		p, err := a.nodeProgram()
		if err != nil {
			return err
		}
		r, err := bench.Network(cmd.Context(), bench.DefaultNetwork(p))
		if err != nil {
			return err
		}
		a.json = true
		return a.print(r, func(io.Writer) error { return nil })
	}}, &cobra.Command{Use: "sink FILE", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return bench.Sink(a.in, a.out, args[0])
	}})
	return c
}
