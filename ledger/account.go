package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// NonceWindow is how far above the lowest unused nonce a transaction may be.
const NonceWindow = 64

// Account is an owner's money and the nonces that its key has used.
//
// A transaction may use any unused nonce from Nonce to Nonce+64, so that several
// processes can spend from one wallet and the order of a mempool does not matter.
type Account struct {
	_       struct{} `cbor:",toarray"`
	Balance token.Amount
	Nonce   uint64 // the lowest unused one
	Used    uint64 // bit i: Nonce+1+i is used
	// Recent holds what became of the account's last transactions, oldest first, as
	// packed outcomes: see Outcome. A proof of the account proves them.
	Recent []byte
}

// OutcomesKept is how many outcomes an account holds: those of two blocks at least,
// each of which takes at most NonceWindow+1 transactions of an account through the
// doors of mempools.
const OutcomesKept = 2 * (NonceWindow + 1)

// TxOutcome is what became of a signed transaction.
type TxOutcome struct {
	Nonce  uint64
	Tx     blob.Hash   // only the first outcomeHash bytes are kept
	Height unit.Height // of the block that held it
	Code   Code        // 0: it was done
}

// A packed outcome is nonce (8 bytes, big endian), hash (16), height (8), code (2).
const (
	outcomeHash  = 16
	outcomeBytes = 8 + outcomeHash + 8 + 2
)

// note adds an outcome, and drops the oldest beyond OutcomesKept.
func (a *Account) note(o TxOutcome) {
	kept := a.Recent[max(0, len(a.Recent)-(OutcomesKept-1)*outcomeBytes):]
	out := make([]byte, 0, len(kept)+outcomeBytes)
	out = append(out, kept...)
	out = binary.BigEndian.AppendUint64(out, o.Nonce)
	out = append(out, o.Tx[:outcomeHash]...)
	out = binary.BigEndian.AppendUint64(out, uint64(o.Height))
	a.Recent = binary.BigEndian.AppendUint16(out, uint16(o.Code))
}

// outcomes are those that the account holds, oldest first. Each Tx has its first 16
// bytes; the rest is zero.
func (a Account) outcomes() (out []TxOutcome) {
	for b := a.Recent; len(b) >= outcomeBytes; b = b[outcomeBytes:] {
		o := TxOutcome{Nonce: binary.BigEndian.Uint64(b), Height: unit.Height(binary.BigEndian.Uint64(b[8+outcomeHash:])), Code: Code(binary.BigEndian.Uint16(b[16+outcomeHash:]))}
		copy(o.Tx[:outcomeHash], b[8:])
		out = append(out, o)
	}
	return out
}

// outcomeOf is what became of the transaction that used a nonce; ok is false where the
// account holds none for that nonce.
func (a Account) outcomeOf(nonce uint64) (o TxOutcome, ok bool) {
	for _, o := range a.outcomes() {
		if o.Nonce == nonce {
			return o, true
		}
	}
	return o, false
}

// Is says whether the outcome is that of a transaction.
func (o TxOutcome) Is(tx blob.Hash) bool {
	return [outcomeHash]byte(o.Tx[:]) == [outcomeHash]byte(tx[:])
}

// Unused says whether a transaction may use n.
func (a Account) Unused(n uint64) bool {
	switch {
	case n < a.Nonce || n-a.Nonce > NonceWindow:
		return false
	case n == a.Nonce:
		return true
	}
	return a.Used&(1<<(n-a.Nonce-1)) == 0
}

// Use marks a nonce that is Unused.
func (a *Account) Use(n uint64) {
	if n > a.Nonce {
		a.Used |= 1 << (n - a.Nonce - 1)
		return
	}
	for used := true; used; {
		used = a.Used&1 != 0
		a.Used >>= 1
		a.Nonce++
	}
}

// Transfer gives money to another account.
type Transfer struct {
	_      struct{} `cbor:",toarray"`
	To     token.Address
	Amount token.Amount
}

func (Transfer) kind() Kind { return KindTransfer }

func (b Transfer) check(Params) error {
	if b.Amount == 0 {
		return fmt.Errorf("transfer of nothing: %w", ErrMalformed)
	}
	return nil
}

func (b Transfer) spends() token.Amount { return b.Amount }

func (b Transfer) plan(x *exec, _ Tx) (plan, error) {
	return plan{cost: b.Amount, apply: func() { x.credit(b.To, b.Amount) }}, nil
}
