package main

import (
	"context"
	"errors"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
)

// Exit codes. exitHelp lists them for people.
const (
	exitOK          = 0
	exitFail        = 1
	exitUsage       = 2
	exitMissing     = 3
	exitLater       = 4
	exitFull        = 5
	exitInterrupted = 130 // as a shell has it: 128 + SIGINT
)

const exitHelp = `  0    done
  1    it could not be done; the message says why
  2    the words typed make no sense
  3    there is no such blob: unknown, never certified, or ended; or no such file
       in a quilt
  4    too few nodes answer: nothing is lost, try again later
  5    the disk is full: make room
  130  interrupted (INT); so 143 by TERM and 129 by HUP: 128 and the signal's number
`

// errUsage marks an error of the words typed.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

func exitCode(ctx context.Context, err error) int {
	var usage errUsage
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	code, interrupted := interruption(ctx)
	switch {
	case interrupted:
		return code
	case errors.As(err, &usage):
		return exitUsage
	case is(client.ErrUnknownBlob, client.ErrEnded, client.ErrUncertified, ledger.ErrUnknownBlob, errNoFile):
		return exitMissing
	case is(client.ErrQuorum, fetch.ErrUnavailable, light.ErrNoNode, light.ErrBehind):
		return exitLater
	case is(node.ErrFull):
		return exitFull
	}
	return exitFail
}
