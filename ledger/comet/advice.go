package comet

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
)

// ErrOtherChain is returned where the ledger in a directory is that of another network.
var ErrOtherChain = errors.New("this is the ledger of another network")

// ledgerReserve is what the ledger leaves free: blocks still come where the node takes
// no more fragments, until it stops as a whole.
const ledgerReserve = kv.DefaultReserve / 4

// keyChain holds the ID of the chain whose ledger lies in a database.
const keyChain = "g/chain"

// ownLedger refuses the ledger of another chain. To follow it would be to join the wrong
// network, and to move it away would lose what is of use to that one.
func (c *Chain) ownLedger(isNew bool) error {
	want := string(c.options.Genesis.ChainID())
	if isNew {
		b := c.db.Batch()
		b.Set([]byte(keyChain), []byte(want))
		if err := b.Commit(true); err != nil {
			return fmt.Errorf("ledger: %w", c.explain(err))
		}
		return nil
	}
	value, ok, err := c.db.Get([]byte(keyChain))
	if err != nil {
		return fmt.Errorf("ledger: %w", c.explain(err))
	}
	have := string(value)
	if !ok {
		have = c.cometChain() // of a program that wrote no such key
	}
	if have != "" && have != want {
		return fmt.Errorf("ledger: %w: %s holds that of %s, and network.toml is that of %s: name the network.toml of %s in node.toml, or make a node for the other network in a directory of its own", ErrOtherChain, c.options.Dir, have, want, have)
	}
	return nil
}

// cometChain is the chain as CometBFT has it; empty where that cannot be read.
func (c *Chain) cometChain() (id string) {
	defer func() {
		if recover() != nil { // CometBFT's way of saying that the record is damaged
			id = ""
		}
	}()
	s, err := c.states.Load()
	if err != nil {
		return ""
	}
	return s.ChainID
}

// cause is a reason why a ledger does not open or go on, told by its errors, or by the
// words of CometBFT, which flattens what it wraps.
type cause struct {
	errs  []error
	words []string
	// advice is what an operator can do about it. None of it loses anything.
	advice func(c *Chain) string
	as     error // the cause as callers match it; may be nil
}

func causes() []cause {
	return []cause{
		{errs: []error{ledger.ErrRules, kv.ErrLocked, ErrLastSign, ErrOtherChain}, advice: func(*Chain) string { return "" }}, // they say it themselves
		{[]error{kv.ErrFull, syscall.ENOSPC, syscall.EDQUOT}, []string{"no space left on device", "quota exceeded", "file system is full"}, func(c *Chain) string {
			return fmt.Sprintf("the disk of %s or %s is full: make room there; nothing is damaged", c.options.Dir, c.options.KeyDir)
		}, kv.ErrFull},
		{[]error{fs.ErrPermission, syscall.EROFS}, []string{"permission denied", "operation not permitted", "read-only file system"}, func(c *Chain) string {
			return fmt.Sprintf("the node may not write in %s or %s: look at their owner and rights, and whether the file system is mounted read-only; nothing is damaged", c.options.Dir, c.options.KeyDir)
		}, nil},
		{[]error{kv.ErrFailing, syscall.EIO}, []string{"input/output error"}, func(c *Chain) string {
			return fmt.Sprintf("the disk of %s or %s fails: look at the system's log, and move the node's directory to another disk", c.options.Dir, c.options.KeyDir)
		}, nil},
		{[]error{syscall.EMFILE, syscall.ENFILE}, []string{"too many open files"}, func(*Chain) string {
			return "the process may open too few files: raise its limit (ulimit -n, LimitNOFILE), and start it again; nothing is damaged"
		}, nil},
		{[]error{syscall.ENOMEM}, []string{"cannot allocate memory"}, func(*Chain) string {
			return "the machine has too little memory: give it more, and start the node again; nothing is damaged"
		}, nil},
		{[]error{syscall.EADDRINUSE}, []string{"address already in use"}, func(c *Chain) string {
			return fmt.Sprintf("listen on %s: the port is taken: stop what uses it or choose another ledger_listen in node.toml", c.options.Listen)
		}, nil},
		{[]error{syscall.EADDRNOTAVAIL, syscall.EACCES}, []string{"cannot assign requested address", "no such host", "missing port in address", "too many colons in address", "invalid port", "unknown port", "invalid address", "lookup "}, func(c *Chain) string {
			return fmt.Sprintf("this machine cannot listen on ledger_listen = %q: write an address that it has, like 0.0.0.0:4002, into node.toml", c.options.Listen)
		}, nil},
	}
}

// explain adds to an error what an operator can do about its cause. To move the ledger
// away is said only where its files are damaged, or contradict each other: all of it is
// fetched again then, and nothing else lies there.
func (c *Chain) explain(err error) error {
	text := strings.ToLower(err.Error())
	for _, k := range causes() {
		if !k.is(err, text) {
			continue
		}
		advice := k.advice(c)
		switch {
		case advice == "":
			return err
		case k.as != nil && !errors.Is(err, k.as):
			return fmt.Errorf("%s: %w: %w", advice, k.as, err)
		}
		return fmt.Errorf("%s: %w", advice, err)
	}
	anew := fmt.Sprintf("move %s away, and the node fetches the ledger anew; that loses nothing, since its fragments and keys lie elsewhere", c.options.Dir)
	if errors.Is(err, kv.ErrCorrupt) {
		return fmt.Errorf("%w: %s", err, anew)
	}
	return fmt.Errorf("%w: start the node again; if it ends with the same words, the ledger's files contradict each other: %s", err, anew)
}

func (k cause) is(err error, text string) bool {
	for _, e := range k.errs {
		if errors.Is(err, e) {
			return true
		}
	}
	for _, w := range k.words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
