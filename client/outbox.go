package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// Limits of an outbox.
const (
	maxOutbox  = 512       // transactions
	maxPending = 128 << 10 // bytes of one
	txSuffix   = ".tx"
)

// ErrOutboxFull is returned where more transactions wait than an outbox keeps.
var ErrOutboxFull = errors.New("too many transactions are pending: walrus wallet pending shows them, and drops what is decided")

// Outbox keeps the signed transactions of a wallet in a directory, one file each, until
// it is known what became of them. A process that is interrupted leaves its transaction
// there, which may still be done: a later process that wants the same sends the same
// bytes again, and no second transaction.
//
// While a process waits for a transaction it holds the lock of its file. The lock ends
// with the process, however it ends.
type Outbox struct {
	dir   string
	chain token.ChainID
}

// NewOutbox keeps the transactions of a chain under a directory, which is made when the
// first one is kept.
func NewOutbox(dir string, chain token.ChainID) *Outbox { return &Outbox{dir, chain} }

// outboxEntry is a transaction in an outbox that this process holds the lock of.
type outboxEntry struct {
	raw  []byte
	tx   ledger.Tx
	path string
	file *os.File // held locked
}

func (o *Outbox) path(raw []byte) string {
	return filepath.Join(o.dir, string(o.chain)+"-"+ledger.TxHash(raw).String()+txSuffix)
}

// put keeps a transaction, durably, before it is sent.
func (o *Outbox) put(raw []byte) (*outboxEntry, error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("pending transactions: %w", err)
	}
	if names, err := o.names(); err != nil {
		return nil, err
	} else if len(names) >= maxOutbox {
		return nil, fmt.Errorf("%s: %w", o.dir, ErrOutboxFull)
	}
	// It gets its name when it is whole and locked: others take it for what it is.
	f, err := os.CreateTemp(o.dir, ".new-")
	if err != nil {
		return nil, fmt.Errorf("pending transactions: %w", err)
	}
	k := &outboxEntry{raw: raw, path: f.Name(), file: f}
	if k.tx, _, err = ledger.DecodeTx(raw); err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		_, err = f.Write(raw)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(k.path, o.path(raw))
	}
	if err == nil {
		k.path = o.path(raw)
		err = syncDir(o.dir)
	}
	if err != nil {
		k.drop()
		return nil, fmt.Errorf("pending transactions: %s: %w", o.dir, err)
	}
	return k, nil
}

// syncDir makes a name durable: a transaction whose file is lost with the power would be
// signed a second time.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// drop forgets the transaction: it is known what became of it.
func (k *outboxEntry) drop() {
	os.Remove(k.path)
	k.file.Close()
}

// leave keeps it for the next process.
func (k *outboxEntry) leave() { k.file.Close() }

func (o *Outbox) names() (out []string, err error) {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pending transactions: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), string(o.chain)+"-") && strings.HasSuffix(e.Name(), txSuffix) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// load reads a kept transaction without its lock; nil where the file is not one.
func (o *Outbox) load(name string) *outboxEntry {
	k := &outboxEntry{path: filepath.Join(o.dir, name)}
	info, err := os.Stat(k.path)
	if err != nil || info.Size() > maxPending {
		return nil
	}
	if k.raw, err = os.ReadFile(k.path); err == nil {
		k.tx, _, err = ledger.DecodeTx(k.raw)
	}
	if err != nil || o.path(k.raw) != k.path {
		return nil
	}
	return k
}

// lock takes the lock of a kept transaction: false where another process waits for it,
// or has just forgotten it.
func (k *outboxEntry) lock() bool {
	f, err := os.OpenFile(k.path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	const tries, pause = 5, 20 * time.Millisecond // another process may hold it just to look
	for try := 1; syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; try++ {
		if try == tries {
			f.Close()
			return false
		}
		time.Sleep(pause)
	}
	if _, err := os.Stat(k.path); err != nil {
		f.Close()
		return false
	}
	k.file = f
	return true
}

// same takes a transaction of a signer that does the same and that no process waits for.
func (o *Outbox) same(signer token.PublicKey, kind ledger.Kind, body []byte) *outboxEntry {
	names, err := o.names()
	if err != nil {
		return nil
	}
	for _, name := range names {
		k := o.load(name)
		if k != nil && k.tx.Signer == signer && k.tx.Kind == kind && string(k.tx.Body) == string(body) && k.lock() {
			return k
		}
	}
	return nil
}

// PendingTx is a transaction of an outbox, and what the ledger shows of it.
type PendingTx struct {
	Hash    blob.Hash
	Tx      ledger.Tx
	Body    ledger.Body
	Waited  bool // another process waits for it now
	Decided bool // Receipt says what became of it
	Receipt ledger.TxReceipt
	Err     error // why nothing can be said
}

// Pending lists what the outbox keeps, and drops what is decided.
func (o *Outbox) Pending(v ledger.View) (out []PendingTx, err error) {
	names, err := o.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		k := o.load(name)
		if k == nil {
			continue
		}
		p := PendingTx{Hash: ledger.TxHash(k.raw), Tx: k.tx}
		_, p.Body, _ = ledger.DecodeTx(k.raw)
		p.Receipt, p.Decided, p.Err = v.Fate(k.raw)
		switch p.Waited = !k.lock(); {
		case p.Waited:
		case p.Decided || errors.Is(p.Err, ledger.ErrForgotten): // nothing more will be known
			k.drop()
		default:
			k.leave()
		}
		out = append(out, p)
	}
	return out, nil
}
