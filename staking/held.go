package staking

import "github.com/walrus-network/walrus/token"

// HeldPay is a node's pay that waits to be earned twice: once when the work was done, and
// once more by going on. It is paid out in tranches, one at each epoch's end.
//
// Invariant: entry i is due at the end of the i-th epoch after the last that was closed.
type HeldPay struct {
	_     struct{}       `cbor:",toarray"`
	First []token.Amount // never missed
	Late  []token.Amount // missed once: the next miss loses them
}

// Total is all that is held.
func (h HeldPay) Total() (sum token.Amount) {
	for _, a := range h.First {
		sum = mustAdd(sum, a)
	}
	for _, a := range h.Late {
		sum = mustAdd(sum, a)
	}
	return sum
}

// Due is what the next end of an epoch releases or misses: what was never missed, and
// what was missed once.
func (h HeldPay) Due() (first, late token.Amount) { return shift(&h.First), shift(&h.Late) }

// Release closes an epoch: what is due is paid if the node passed; else it moves once
// to the tail, tranches epochs on, and what had moved before is lost.
func (h *HeldPay) Release(passed bool, tranches uint64) (paid, deferred, lost token.Amount) {
	first, late := shift(&h.First), shift(&h.Late)
	if passed {
		return mustAdd(first, late), 0, 0
	}
	addAt(&h.Late, int(tranches)-1, first)
	return 0, first, late
}

// Add holds an amount back, in equal tranches from the next epoch's end on; the last
// takes what does not divide.
func (h *HeldPay) Add(a token.Amount, tranches uint64) {
	part := a / token.Amount(tranches)
	for i := range int(tranches) {
		if i == int(tranches)-1 {
			part = a - part*token.Amount(tranches-1)
		}
		addAt(&h.First, i, part)
	}
}

// Forfeit takes all of it.
func (h *HeldPay) Forfeit() token.Amount {
	sum := h.Total()
	*h = HeldPay{}
	return sum
}

func shift(list *[]token.Amount) token.Amount {
	if len(*list) == 0 {
		return 0
	}
	a := (*list)[0]
	*list = append([]token.Amount(nil), (*list)[1:]...)
	return a
}

func addAt(list *[]token.Amount, i int, a token.Amount) {
	if a == 0 {
		return
	}
	for len(*list) <= i {
		*list = append(*list, 0)
	}
	(*list)[i] = mustAdd((*list)[i], a)
}
