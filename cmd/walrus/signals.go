package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// errSignal is the cause of a context that a signal ended.
type errSignal struct{ syscall.Signal }

func (e errSignal) Error() string { return "interrupted by signal " + e.Signal.String() }

// patience is how long a command that was asked to end may take to do it by itself.
// A command that ends processes, or closes a node's data, may take longer: it is given
// slowPatience, or ends at a second signal.
const (
	patience     = 700 * time.Millisecond
	slowPatience = time.Minute
)

// slow is true while a command runs that may take slowPatience.
var slow atomic.Bool

// slowCommands are the commands that stop nodes or processes in order.
var slowCommands = []string{"walrus node run", "walrus testnet up", "walrus testnet demo", "walrus testnet down", "walrus testnet start", "walrus testnet adversary", "walrus gateway", "walrus bench network", "walrus bench ledger", "walrus bench wan", "walrus bench gateway"}

// untilSignal is a context that INT, TERM and HUP end. Whatever blocks, the process ends
// soon after; at a second signal at once. No file that it was making is left then.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		first, ok := (<-signals).(syscall.Signal)
		if !ok {
			return // closed
		}
		cancel(errSignal{first})
		limit := patience
		if slow.Load() {
			limit = slowPatience
		}
		select {
		case second, ok := <-signals:
			if !ok {
				return
			}
			first = second.(syscall.Signal)
		case <-time.After(limit):
		}
		removeLeftovers()
		go fmt.Fprintln(os.Stderr, "walrus: interrupted") // it may block too
		time.Sleep(50 * time.Millisecond)
		os.Exit(signalExit(first))
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// signalExit is a shell's exit code of a program that a signal ended.
func signalExit(s syscall.Signal) int { return 128 + int(s) }

// interruption is the exit code of a context that a signal ended.
func interruption(ctx context.Context) (code int, ok bool) {
	var s errSignal
	switch {
	case ctx.Err() == nil:
		return 0, false
	case errors.As(context.Cause(ctx), &s):
		return signalExit(s.Signal), true
	}
	return exitInterrupted, errors.Is(ctx.Err(), context.Canceled)
}
