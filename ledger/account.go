package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
)

// NonceWindow is how far above the lowest unused nonce a transaction may be.
const NonceWindow = 64

// Account is somebody's money and which nonces they have used.
//
// A transaction may use any unused nonce from Nonce to Nonce+64, so that several
// processes can spend from one wallet and the order of a mempool does not matter.
type Account struct {
	_       struct{} `cbor:",toarray"`
	Balance token.Amount
	Nonce   uint64 // the lowest unused one
	Used    uint64 // bit i: Nonce+1+i is used
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

func (b Transfer) plan(x *exec, _ Tx) (plan, error) {
	return plan{cost: b.Amount, apply: func() { x.credit(b.To, b.Amount) }}, nil
}
