package ledger

import (
	"context"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Local is a ledger of one: the same machine behind a mutex. Every transaction gets
// its own block at once.
type Local struct {
	clock func() int64 // Unix milliseconds

	mu      sync.Mutex // guards the fields below
	machine *Machine
	last    int64         // time of the last block
	changed chan struct{} // closed at the next block
}

// NewLocal opens a ledger over kv; clock gives the Unix time in milliseconds.
func NewLocal(g Genesis, kv state.KV, clock func() int64) (*Local, error) {
	m, err := NewMachine(g, kv)
	if err != nil {
		return nil, err
	}
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	h, err := v.Head()
	if err != nil {
		return nil, err
	}
	return &Local{clock: clock, machine: m, last: h.TimeMs, changed: make(chan struct{})}, nil
}

// Submit runs a block with one transaction. A transaction that a mempool would
// refuse makes no block; its receipt says why, at the present height.
func (l *Local) Submit(ctx context.Context, tx []byte) (TxReceipt, error) {
	if err := ctx.Err(); err != nil {
		return TxReceipt{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.machine.Check(tx); err != nil {
		if !Refused(err) {
			return TxReceipt{}, err
		}
		r := resultOf(Tx{}, err)
		return TxReceipt{Height: l.machine.Height(), Code: r.Code, Log: r.Log}, nil
	}
	r, err := l.block([][]byte{tx})
	if err != nil {
		return TxReceipt{}, err
	}
	return TxReceipt{Height: l.machine.Height(), Code: r.Txs[0].Code, Log: r.Txs[0].Log}, nil
}

// Advance runs empty blocks.
func (l *Local) Advance(blocks int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range blocks {
		if _, err := l.block(nil); err != nil {
			return err
		}
	}
	return nil
}

// Run runs a block with what it holds beside its height and time, which are the ledger's
// own: transactions, and what else was found, for callers that drive a ledger without a
// network.
func (l *Local) Run(b Block) (Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.run(b)
}

// block needs mu held.
func (l *Local) block(txs [][]byte) (Result, error) { return l.run(Block{Txs: txs}) }

// run needs mu held.
func (l *Local) run(b Block) (Result, error) {
	l.last = max(l.last, l.clock())
	b.Height, b.TimeMs = l.machine.Height()+1, l.last
	r, err := l.machine.Execute(b)
	if err != nil {
		return r, err
	}
	if err := l.machine.Commit(); err != nil {
		return r, err
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return r, nil
}

// View reads the state as it is now; later blocks do not change it, and after two
// of them it answers state.ErrHeight.
func (l *Local) View(ctx context.Context) (View, error) {
	if err := ctx.Err(); err != nil {
		return View{}, err
	}
	return l.machine.View()
}

// Changed is closed when the next block is there. Take it before the View.
func (l *Local) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// BlobsSince is the blobs whose entries blocks after height wrote; see Machine.
func (l *Local) BlobsSince(height unit.Height) ([]blob.ID, bool) { return l.machine.BlobsSince(height) }

// Machine is the machine, for reads and proofs. Its blocks are Local's to run.
func (l *Local) Machine() *Machine { return l.machine }

// ChainID is the chain's.
func (l *Local) ChainID() token.ChainID { return l.machine.ChainID() }

// Height is the last block's.
func (l *Local) Height() unit.Height { return l.machine.Height() }

// AppHash is the root of the state.
func (l *Local) AppHash() blob.Hash { return l.machine.AppHash() }
