package ledger

import (
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Limits of what is remembered of the mempool.
const (
	waitingSize   = 1 << 15 // places in each of the two generations
	waitingBlocks = 40      // after which a transaction that no block took is given up
)

// admissions remembers which transaction was admitted to which place. A signed one takes
// its nonce, and what it costs of its account's balance; one that carries its own proof
// takes its subject. Without that, transactions of which one can be done would fill the
// mempool and the blocks. It is a node's own policy and no part of the rules: a block
// may hold what another node admitted.
type admissions struct {
	mu       sync.Mutex // guards the fields below
	now, old map[place]admittedTx
}

// place is either a nonce of a signer or a subject.
type place struct {
	signer  token.PublicKey
	nonce   uint64
	subject string
}

type admittedTx struct {
	tx     blob.Hash
	height unit.Height  // at which it was admitted
	need   token.Amount // cost and fee
}

func newWaiting() *admissions { return &admissions{now: map[place]admittedTx{}} }

func placeOf(a admission) place {
	if a.tx.Kind.Unsigned() {
		return place{subject: fmt.Sprintf("%d %s", a.tx.Kind, a.plan.subject)}
	}
	return place{signer: a.tx.Signer, nonce: a.tx.Nonce}
}

// admit takes the place of a transaction, unless another one has it.
func (w *admissions) admit(a admission, x *exec) error {
	need := token.Amount(0)
	var acc Account
	if !a.tx.Kind.Unsigned() {
		need = must(a.plan.cost.Add(a.tx.Fee)) // afford has held it against the balance
		acc = x.account(a.tx.Signer.Address())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := placeOf(a)
	if was, ok := w.get(at, x.head.Height); ok && was.tx != a.hash {
		if a.tx.Kind.Unsigned() {
			return fmt.Errorf("%s: another one about the same waits for a block: %w", a.tx.Kind, ErrKnown)
		}
		return fmt.Errorf("nonce %d: another transaction with it waits for a block: %w", a.tx.Nonce, ErrNonce)
	}
	if !a.tx.Kind.Unsigned() {
		if err := w.funded(a, acc, need, x.head.Height); err != nil {
			return err
		}
	}
	if len(w.now) >= waitingSize {
		w.old, w.now = w.now, map[place]admittedTx{}
	}
	delete(w.old, at)
	w.now[at] = admittedTx{a.hash, x.head.Height, need}
	return nil
}

// funded holds what an account's waiting transactions cost together against its balance.
func (w *admissions) funded(a admission, acc Account, need token.Amount, height unit.Height) error {
	left := acc.Balance
	for n := range uint64(NonceWindow + 1) {
		at := place{signer: a.tx.Signer, nonce: acc.Nonce + n}
		if was, ok := w.get(at, height); ok && at.nonce != a.tx.Nonce && acc.Unused(at.nonce) {
			left -= min(left, was.need)
		}
	}
	if left < need {
		return fmt.Errorf("%s needs %s, and the account %s has %s beside what its transactions need that wait for a block: %w", a.tx.Kind, need, a.tx.Signer.Address(), left, ErrFunds)
	}
	return nil
}

// get is what has a place, unless it was given up.
func (w *admissions) get(at place, height unit.Height) (admittedTx, bool) {
	was, ok := w.now[at]
	if !ok {
		was, ok = w.old[at]
	}
	return was, ok && height < was.height+waitingBlocks
}

// settled frees the place of a transaction that a block held, done or refused. A
// refused one that carries its own proof has no place: its subject is not known.
func (w *admissions) settled(a admission) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := placeOf(a)
	delete(w.now, at)
	delete(w.old, at)
}
