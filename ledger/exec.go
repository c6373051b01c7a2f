package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// exec runs rules over an overlay. Reads that fail (a disk, a corrupt record) are
// no fault of a transaction: they stop the block through readFailure.
type exec struct {
	o     *state.Overlay
	p     Params
	chain token.ChainID
	name  string
	head  Head
	seen  *seen
	index *challenge.Index // as committed
}

// readFailure travels as a panic from a read to guard.
type readFailure struct{ err error }

// guard turns a readFailure into the error it carries.
func guard(err *error) {
	if r := recover(); r != nil {
		f, ok := r.(readFailure)
		if !ok {
			panic(r)
		}
		*err = f.err
	}
}

func sure[T any](v T, err error) T {
	if err != nil {
		panic(readFailure{err})
	}
	return v
}

func (x *exec) view() View { return View{x.o} }

func (x *exec) put(key []byte, v any) { x.o.Set(key, canon.Encode(v)) }

func (x *exec) epoch() uint64 { return x.head.Epoch }

func (x *exec) account(a token.Address) Account { return sure(x.view().Account(a)) }

func (x *exec) credit(a token.Address, n token.Amount) {
	if n == 0 {
		return
	}
	acc := x.account(a)
	acc.Balance = must(acc.Balance.Add(n))
	x.put(KeyAccount(a), acc)
}

func (x *exec) supply(change func(*Supply)) {
	s := sure(x.view().Supply())
	change(&s)
	x.put(KeySupply(), s)
}

func (x *exec) usage(change func(*Usage)) {
	u := sure(x.view().Usage())
	change(&u)
	x.put(KeyUsage(), u)
}

func (x *exec) node(id staking.NodeID) (NodeRecord, error) {
	n, ok, err := x.view().Node(id)
	if err != nil {
		panic(readFailure{err})
	}
	if !ok {
		return n, fmt.Errorf("%s: %w", id, ErrUnknownNode)
	}
	return n, nil
}

// operated is a node that the signer operates.
func (x *exec) operated(id staking.NodeID, tx Tx) (NodeRecord, error) {
	n, err := x.node(id)
	if err == nil && n.Operator != tx.Signer.Address() {
		err = fmt.Errorf("%s is operated by %s: %w", id, n.Operator, ErrNotOperator)
	}
	return n, err
}

func (x *exec) pool(id staking.NodeID) staking.Pool {
	p, ok, err := x.view().Pool(id)
	if err == nil && !ok {
		err = fmt.Errorf("node %s has no pool", id)
	}
	return sure(p, err)
}

func (x *exec) blsOf(id staking.NodeID) token.BLSPublicKey {
	n, err := x.node(id)
	return sure(n, err).BLS
}

func (x *exec) committee() Committee { return sure(x.view().Committee(x.epoch())) }

func (x *exec) putCommittee(c Committee) { x.o.Set(KeyCommittee(c.Epoch), c.encode()) }

func (x *exec) addBucket(epoch uint64, a token.Amount) {
	b := sure(x.view().Bucket(epoch))
	x.put(KeyBucket(epoch), must(b.Add(a)))
}

func (x *exec) takeBucket(epoch uint64, a token.Amount) {
	b := must(sure(x.view().Bucket(epoch)).Sub(a))
	if b == 0 {
		x.o.Delete(KeyBucket(epoch))
		return
	}
	x.put(KeyBucket(epoch), b)
}

// admit validates a transaction against the state: who may pay, and what it does.
func (x *exec) admit(raw []byte) (Tx, plan, error) {
	if uint64(len(raw)) > x.p.LargestTx() {
		return Tx{}, plan{}, fmt.Errorf("%d bytes, at most %d: %w", len(raw), x.p.LargestTx(), ErrTooLarge)
	}
	tx, body, err := DecodeTx(raw)
	if most := x.p.MostBytes(tx.Kind); uint64(len(raw)) > x.p.TxBytes && (err != nil || uint64(len(raw)) > most) {
		return tx, plan{}, fmt.Errorf("%d bytes, at most %d: %w", len(raw), most, ErrTooLarge)
	}
	if err != nil {
		return tx, plan{}, err
	}
	if err := body.check(x.p); err != nil {
		return tx, plan{}, fmt.Errorf("%s: %w", tx.Kind, err)
	}
	if tx.Kind.Unsigned() {
		p, err := body.plan(x, tx)
		if err != nil {
			return tx, plan{}, fmt.Errorf("%s: %w", tx.Kind, err)
		}
		return tx, p, nil
	}
	if least := x.p.Fees.Of(len(raw)); tx.Fee < least {
		return tx, plan{}, fmt.Errorf("fee %s, at least %s: %w", tx.Fee, least, ErrFee)
	}
	acc := x.account(tx.Signer.Address())
	if !acc.Unused(tx.Nonce) {
		return tx, plan{}, fmt.Errorf("nonce %d, the account is at %d: %w", tx.Nonce, acc.Nonce, ErrNonce)
	}
	if acc.Balance < tx.Fee {
		return tx, plan{}, fmt.Errorf("fee %s, the account %s has %s: %w", tx.Fee, tx.Signer.Address(), acc.Balance, ErrFunds)
	}
	if err := x.signatures(raw, tx, body); err != nil {
		return tx, plan{}, err
	}
	p, err := x.afford(tx, body, acc)
	return tx, p, err
}

// afford plans what a signed transaction does, and sees to it that its account can pay.
func (x *exec) afford(tx Tx, body Body, acc Account) (plan, error) {
	p, err := body.plan(x, tx)
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", tx.Kind, err)
	}
	if need, err := p.cost.Add(tx.Fee); err != nil || acc.Balance < need {
		return plan{}, fmt.Errorf("%s costs %s and a fee of %s, the account %s has %s: %w", tx.Kind, p.cost, tx.Fee, tx.Signer.Address(), acc.Balance, ErrFunds)
	}
	return p, nil
}

// prover is a body that carries signatures of others, which need no state to check.
type prover interface {
	proofs(chain token.ChainID, name string, signer token.Address) error
}

// signatures checks what depends on the transaction's bytes alone, once.
func (x *exec) signatures(raw []byte, tx Tx, body Body) error {
	hash := TxHash(raw)
	if x.seen.has(hash) {
		return nil
	}
	if err := tx.Signer.Verify(tx.message(x.chain), tx.Signature); err != nil {
		return fmt.Errorf("%s of %s: %w", tx.Kind, tx.Signer.Address(), ErrSignature)
	}
	if b, ok := body.(prover); ok {
		if err := b.proofs(x.chain, x.name, tx.Signer.Address()); err != nil {
			return fmt.Errorf("%s: %w: %w", tx.Kind, ErrSignature, err)
		}
	}
	x.seen.add(hash)
	return nil
}

// run executes a transaction: all of it or nothing.
func (x *exec) run(raw []byte) (Tx, error) {
	tx, p, err := x.admit(raw)
	if err != nil {
		return tx, err
	}
	if !tx.Kind.Unsigned() {
		x.charge(tx, p)
	}
	p.apply()
	return tx, nil
}

// charge takes what a signed transaction costs from who signed it.
func (x *exec) charge(tx Tx, p plan) {
	payer := tx.Signer.Address()
	acc := x.account(payer)
	acc.Balance = must(must(acc.Balance.Sub(tx.Fee)).Sub(p.cost))
	acc.Use(tx.Nonce)
	x.put(KeyAccount(payer), acc)
	x.supply(func(s *Supply) { s.Carry = must(s.Carry.Add(tx.Fee)) })
}

// must is for sums that the supply bounds: if one overflows, money was made or lost.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("ledger: invariant broken: %v", err))
	}
	return v
}
