package ledger

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/unit"
)

// ErrForgotten is returned for a transaction of which the ledger cannot say any more
// what became of it: its nonce was used, and too many other transactions of the account
// came since.
var ErrForgotten = errors.New("the account has used the transaction's nonce, and so many since that the ledger does not say any more by which transaction")

// KeysOfFate is the keys that Fate of a transaction reads first, where these are few: they can
// be asked for together with others.
func KeysOfFate(raw []byte) [][]byte {
	tx, body, err := DecodeTx(raw)
	if err != nil {
		return nil
	}
	if !tx.Kind.Unsigned() {
		return [][]byte{KeyHead(), KeyAccount(tx.Signer.Address())}
	}
	if c, ok := body.(Certify); ok {
		return [][]byte{KeyHead(), KeyBlob(c.Blob)}
	}
	return nil
}

// Fate is what the records show of a transaction: the receipt of one that a block held,
// or the refusal of one that no block can hold any more. Known is false while it may
// still be done. A signed transaction is found in its signer's account; one that carries
// its own proof by its effect, which another sender may have caused.
//
// Of a receipt that a refusal gives Height is 0 where no block held the transaction.
func (v View) Fate(raw []byte) (r TxReceipt, known bool, err error) {
	tx, body, err := DecodeTx(raw)
	if err != nil {
		return r, false, err
	}
	if !tx.Kind.Unsigned() {
		return v.fateOf(tx, TxHash(raw))
	}
	switch b := body.(type) {
	case Certify:
		return v.certified(b.Blob)
	case Invalidate:
		t, buried, err := v.Tombstone(b.Blob)
		return done(t.Height, buried && t.Reason == registry.Invalid, err)
	case ShardReady:
		return v.ready(b)
	case Declare:
		was, ever, err := read[unit.Ordinal](v, "declared loss", KeyDeclared(b.Node))
		return done(0, ever && was >= b.Ordinal, err)
	case Accuse:
		return v.accused(b)
	case Answer:
		d, there, err := v.Dispute(b.Ordinal, b.Shard)
		return done(d.Closed, there && d.State == DisputeAnswered, err)
	}
	return r, false, fmt.Errorf("%s: its effect is not known to this program", tx.Kind)
}

func done(height unit.Height, is bool, err error) (TxReceipt, bool, error) {
	return TxReceipt{Height: height}, is && err == nil, err
}

func never(why *Refusal, format string, args ...any) (TxReceipt, bool, error) {
	return TxReceipt{Code: why.Code, Log: fmt.Sprintf(format, args...) + ": " + why.Text}, true, nil
}

// fateOf is that of a signed transaction.
func (v View) fateOf(tx Tx, hash blob.Hash) (r TxReceipt, known bool, err error) {
	if err := v.Prefetch(KeyHead(), KeyAccount(tx.Signer.Address())); err != nil {
		return r, false, err
	}
	// The head first: an account that is read later is as new at least.
	h, err := v.Head()
	if err != nil {
		return r, false, err
	}
	acc, err := v.Account(tx.Signer.Address())
	if err != nil {
		return r, false, err
	}
	if o, noted := acc.outcomeOf(tx.Nonce); noted {
		if !o.Is(hash) {
			return never(ErrNonce, "nonce %d: block %d holds another transaction with it", tx.Nonce, o.Height)
		}
		return TxReceipt{Height: o.Height, Code: o.Code}, true, nil
	}
	if acc.Nonce > tx.Nonce || !acc.Unused(tx.Nonce) && tx.Nonce-acc.Nonce <= NonceWindow {
		return r, false, ErrForgotten
	}
	if tx.Until != 0 && h.Height >= tx.Until {
		return never(ErrExpired, "no block up to %d held it", tx.Until)
	}
	return r, false, nil
}

func (v View) certified(id blob.ID) (r TxReceipt, known bool, err error) {
	e, there, err := v.Blob(id)
	return done(e.CertifiedHeight, there && e.Certified(), err)
}

func (v View) ready(b ShardReady) (r TxReceipt, known bool, err error) {
	h, err := v.Head()
	if err != nil {
		return r, false, err
	}
	c, err := v.Committee(h.Epoch)
	if err != nil {
		return r, false, err
	}
	s := int(b.Shard)
	return done(0, h.Epoch == b.Epoch && s < len(c.Holder) && c.Holder[s] == b.Node && c.From[s].IsZero(), nil)
}

func (v View) accused(b Accuse) (r TxReceipt, known bool, err error) {
	f, err := challenge.DecodeFalsehood(b.Evidence)
	if err != nil {
		return r, false, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	round, kept, err := v.RoundOf(b.Ordinal)
	if err != nil || !kept {
		return r, false, err
	}
	c, err := v.Committee(round.Round.Epoch)
	if err != nil || int(f.Signed.Shard) >= len(c.Holder) {
		return r, false, err
	}
	rec, there, err := read[FaultRecord](v, "fault", KeyFault(Fault{Node: c.Holder[f.Signed.Shard], Kind: Lie, Epoch: round.Round.Epoch, Round: round.Round.Round}))
	return done(rec.Height, there, err)
}
