package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// exec runs rules over an overlay. A failing disk is no fault of a transaction: it
// stops the block through readFailure.
type exec struct {
	o        *state.Overlay
	p        Params
	chain    token.ChainID
	name     string
	head     Head
	at       unit.Height // height of the block in which transactions are done
	verified *verifyCache
	keys     *token.BLSKeys
	// roomier says that a node has declared more capacity: what may be promised is
	// weighed once, after the block's transactions.
	roomier    bool
	committees *committees
	buckets    map[unit.Epoch]*bucketChange // noted, not written yet
	index      *challenge.Index             // as committed
}

// end does what a block does after its transactions.
func (x *exec) end() {
	if x.roomier {
		x.roomier = false
		x.weighRoom()
	}
}

func (x *exec) view() View { return View{x.o} }

func (x *exec) put(key []byte, v any) { x.o.Set(key, canon.Encode(v)) }

func (x *exec) epoch() unit.Epoch { return x.head.Epoch }

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
	if !sure(ok, err) {
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
		err = fmt.Errorf("node %s has no pool: %w", id, ErrAbsent)
	}
	return sure(p, err)
}

func (x *exec) blsOf(id staking.NodeID) token.BLSPublicKey {
	n, err := x.node(id)
	return sure(n, err).BLS
}

func (x *exec) committee() Committee { return sure(x.committees.of(x.view(), x.epoch())) }

// committeeOf is that of an epoch which a transaction names: it may not be kept any
// more, or not be chosen yet.
func (x *exec) committeeOf(epoch unit.Epoch) (Committee, error) {
	c, err := x.committees.of(x.view(), epoch)
	if errors.Is(err, ErrNoCommittee) {
		return Committee{}, err
	}
	return sure(c, err), nil
}

func (x *exec) putCommittee(c Committee) { x.o.Set(KeyCommittee(c.Epoch), c.encode()) }

// addBucket and takeBucket note changes of what is set aside for an epoch. They are
// written together by flushBuckets: a blob with many leases changes the same epochs many
// times.
func (x *exec) addBucket(epoch unit.Epoch, a token.Amount) {
	c := x.bucketOf(epoch)
	c.in = must(c.in.Add(a))
}

func (x *exec) takeBucket(epoch unit.Epoch, a token.Amount) {
	c := x.bucketOf(epoch)
	c.out = must(c.out.Add(a))
}

// bucketChange is what a transaction puts into a bucket and takes out.
type bucketChange struct{ in, out token.Amount }

func (x *exec) bucketOf(epoch unit.Epoch) *bucketChange {
	if x.buckets == nil {
		x.buckets = map[unit.Epoch]*bucketChange{}
	}
	c := x.buckets[epoch]
	if c == nil {
		c = &bucketChange{}
		x.buckets[epoch] = c
	}
	return c
}

// flushBuckets writes what was noted, in the order of the epochs.
func (x *exec) flushBuckets() {
	for _, epoch := range slices.Sorted(maps.Keys(x.buckets)) {
		c := x.buckets[epoch]
		b := must(must(sure(x.view().Bucket(epoch)).Add(c.in)).Sub(c.out))
		if b == 0 {
			x.o.Delete(KeyBucket(epoch))
			continue
		}
		x.put(KeyBucket(epoch), b)
	}
	x.buckets = nil
}

// form checks what the bytes and the Params decide. It needs no state: a block that
// holds a transaction without form is refused whole.
func (p Params) form(raw []byte) (Tx, Body, error) {
	if uint64(len(raw)) > p.LargestTx() {
		return Tx{}, nil, fmt.Errorf("%d bytes, at most %d: %w", len(raw), p.LargestTx(), ErrTooLarge)
	}
	tx, body, err := DecodeTx(raw)
	if most := p.mostBytes(tx.Kind); uint64(len(raw)) > p.TxBytes && (err != nil || uint64(len(raw)) > most) {
		return tx, nil, fmt.Errorf("%d bytes, at most %d: %w", len(raw), most, ErrTooLarge)
	}
	if err != nil {
		return tx, nil, err
	}
	if err := body.check(p); err != nil {
		return tx, nil, fmt.Errorf("%s: %w", tx.Kind, err)
	}
	return tx, body, nil
}

// admission is a transaction on its way through the rules.
type admission struct {
	tx   Tx
	hash blob.Hash
	// payable says that the signer has signed the transaction, its nonce is unused and
	// its fee is there: in a block it pays and uses its nonce even if it fails.
	payable bool
	plan    plan
}

// admit validates a transaction against the state: its right to be there, its fee, and
// what it does.
func (x *exec) admit(raw []byte) (a admission, err error) {
	tx, body, err := x.p.form(raw)
	a.tx = tx
	if err != nil {
		return a, err
	}
	a.hash = TxHash(raw)
	if !tx.Kind.Unsigned() {
		if err := x.authorize(raw, a.hash, tx, body); err != nil {
			return a, err
		}
		a.payable = true
	}
	err = x.settling(func() (err error) {
		a.plan, err = x.afford(tx, body)
		return err
	})
	if err != nil {
		return a, fmt.Errorf("%s: %w", tx.Kind, err)
	}
	return a, nil
}

// authorize checks that a signed transaction may be done now: its last block, fee,
// nonce and signatures.
func (x *exec) authorize(raw []byte, hash blob.Hash, tx Tx, body Body) error {
	if tx.Until != 0 && x.at > tx.Until {
		return fmt.Errorf("block %d was the last for it, the next is %d: %w", tx.Until, x.at, ErrExpired)
	}
	if least := x.p.Fees.Of(len(raw)); tx.Fee < least {
		return fmt.Errorf("fee %s, at least %s: %w", tx.Fee, least, ErrFee)
	}
	acc := x.account(tx.Signer.Address())
	if !acc.Unused(tx.Nonce) {
		return fmt.Errorf("nonce %d, the account is at %d: %w", tx.Nonce, acc.Nonce, ErrNonce)
	}
	if acc.Balance < tx.Fee {
		return fmt.Errorf("fee %s, the account %s has %s: %w", tx.Fee, tx.Signer.Address(), acc.Balance, ErrFunds)
	}
	return x.signatures(hash, tx, body)
}

// spender is a body that names an amount which leaves its signer's account.
type spender interface{ spends() token.Amount }

// afford plans what a transaction does. An amount that it names is held against the
// balance first: no plan meets a number that is larger than the supply.
func (x *exec) afford(tx Tx, body Body) (p plan, err error) {
	if tx.Kind.Unsigned() {
		return body.plan(x, tx)
	}
	acc := x.account(tx.Signer.Address())
	payable := func(cost token.Amount) error {
		if need, err := cost.Add(tx.Fee); err != nil || acc.Balance < need {
			return fmt.Errorf("it costs %s and a fee of %s, the account %s has %s: %w", cost, tx.Fee, tx.Signer.Address(), acc.Balance, ErrFunds)
		}
		return nil
	}
	if s, ok := body.(spender); ok {
		if err := payable(s.spends()); err != nil {
			return plan{}, err
		}
	}
	if p, err = body.plan(x, tx); err != nil {
		return plan{}, err
	}
	return p, payable(p.cost)
}

// prover is a body that carries signatures of others, which need no state to check.
type prover interface {
	proofs(chain token.ChainID, name string, signer token.Address) error
}

// signatures checks what depends on the transaction's bytes alone, once.
func (x *exec) signatures(hash blob.Hash, tx Tx, body Body) error {
	return x.verified.once(hash, func() error {
		if err := tx.Signer.Verify(tx.message(x.chain), tx.Signature); err != nil {
			return fmt.Errorf("%s of %s: %w", tx.Kind, tx.Signer.Address(), ErrSignature)
		}
		if b, ok := body.(prover); ok {
			if err := b.proofs(x.chain, x.name, tx.Signer.Address()); err != nil {
				return fmt.Errorf("%s: %w: %w", tx.Kind, ErrSignature, err)
			}
		}
		return nil
	})
}

// run executes a transaction: all of it or nothing. One that fails although it was
// payable pays its fee and uses its nonce, so that failing is not free.
func (x *exec) run(block *state.Overlay, raw []byte) (admission, error) {
	x.o, x.buckets = state.NewOverlay(block), nil
	a, err := x.admit(raw)
	if err == nil {
		err = x.perform(a)
	}
	if err != nil {
		x.o, x.buckets = state.NewOverlay(block), nil
		x.charge(a, CodeOf(err))
	}
	x.o.Merge(block)
	return a, err
}

// perform does what was planned.
func (x *exec) perform(a admission) error {
	return x.settling(func() error {
		x.charge(a, 0)
		a.plan.apply()
		x.flushBuckets()
		return nil
	})
}

// charge takes what a transaction costs from its signer, and notes in the account what
// became of it.
func (x *exec) charge(a admission, code Code) {
	if !a.payable {
		return
	}
	payer := a.tx.Signer.Address()
	acc := x.account(payer)
	acc.Balance = must(acc.Balance.Sub(a.tx.Fee))
	if code == 0 {
		acc.Balance = must(acc.Balance.Sub(a.plan.cost))
	}
	acc.Use(a.tx.Nonce)
	acc.note(TxOutcome{Nonce: a.tx.Nonce, Tx: a.hash, Height: x.at, Code: code})
	x.put(KeyAccount(payer), acc)
	x.supply(func(s *Supply) { s.Carry = must(s.Carry.Add(a.tx.Fee)) })
}

// must is for sums that the supply bounds: if one overflows, money was made or lost.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("ledger: invariant broken: %v", err))
	}
	return v
}
