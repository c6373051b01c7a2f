package ledger

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/unit"
)

// Code numbers a refusal on the wire. 0 is success. Numbers never change.
type Code uint32

// Refusal is a reason for which a transaction is refused. Clients branch on it.
type Refusal struct {
	Code Code
	Text string
}

// Error says what is wrong and what to do.
func (r *Refusal) Error() string { return r.Text }

// All refusals.
var (
	ErrMalformed     = &Refusal{1, "transaction is malformed"}
	ErrSignature     = &Refusal{2, "signature does not match: was it made for another chain?"}
	ErrNonce         = &Refusal{3, "nonce was used or is too far ahead: ask for the account again"}
	ErrFunds         = &Refusal{4, "not enough money in the account"}
	ErrFee           = &Refusal{5, "fee is too low"}
	ErrTooLarge      = &Refusal{6, "transaction is too large"}
	ErrExpired       = &Refusal{7, "the last block for this transaction has passed: sign it anew"}
	ErrDefect        = &Refusal{8, "the transaction brought a mistake of the program to light and was refused: please report it"}
	ErrUnknownNode   = &Refusal{10, "no such node is registered"}
	ErrNodeExists    = &Refusal{11, "the node or its BLS key is registered already"}
	ErrNotOperator   = &Refusal{12, "only the node's operator may do this"}
	ErrStake         = &Refusal{13, "stake cannot be moved like that"}
	ErrNothing       = &Refusal{14, "there is nothing to draw yet"}
	ErrOut           = &Refusal{15, "the node was expelled for good"}
	ErrUnknownBlob   = &Refusal{20, "no such blob is registered, or it has ended"}
	ErrLeased        = &Refusal{21, "the owner has a lease on this blob: extend it instead"}
	ErrNotOwner      = &Refusal{22, "the signer has no lease on this blob"}
	ErrPermanent     = &Refusal{23, "a permanent lease cannot be deleted"}
	ErrCapacity      = &Refusal{24, "the network has no room for this blob"}
	ErrManifest      = &Refusal{25, "not the manifest of a blob of this network"}
	ErrEpochs        = &Refusal{26, "a lease cannot be that long or short"}
	ErrInvalidBlob   = &Refusal{27, "the blob was proven badly encoded and is refused for good"}
	ErrFullEntry     = &Refusal{28, "the blob has as many leases as it can have"}
	ErrCertified     = &Refusal{30, "the blob is certified already"}
	ErrCertificate   = &Refusal{31, "the certificate does not hold"}
	ErrProof         = &Refusal{33, "the proof does not show that the blob is badly encoded"}
	ErrNotMoving     = &Refusal{32, "the node has no such shard to become ready for"}
	ErrNotGovernance = &Refusal{45, "only the node's governance key may vote for it"}
	ErrVote          = &Refusal{46, "this cannot be voted"}
	ErrDeclared      = &Refusal{50, "a loss can be declared once, for the next round that was not opened yet"}
	ErrEvidence      = &Refusal{51, "the evidence does not show a fault"}
	ErrKnown         = &Refusal{52, "this fault is on the ledger already"}
	ErrDispute       = &Refusal{53, "this shard cannot be disputed for this round"}
	ErrDisputed      = &Refusal{54, "this shard was disputed for this round already: a shard is disputed once in a round"}
	ErrOpenDisputes  = &Refusal{55, "too many disputes are open: wait until some are answered or decided"}
	ErrNoDispute     = &Refusal{56, "no such dispute waits for an answer"}
	ErrAnswer        = &Refusal{57, "the answer is not the proof that is disputed"}
)

var refusals = []*Refusal{
	ErrMalformed, ErrSignature, ErrNonce, ErrFunds, ErrFee, ErrTooLarge, ErrExpired, ErrDefect, ErrUnknownNode, ErrNodeExists,
	ErrNotOperator, ErrStake, ErrNothing, ErrOut, ErrUnknownBlob, ErrLeased, ErrNotOwner, ErrPermanent, ErrCapacity,
	ErrManifest, ErrEpochs, ErrInvalidBlob, ErrFullEntry, ErrCertified, ErrCertificate, ErrNotMoving, ErrProof,
	ErrNotGovernance, ErrVote, ErrDeclared, ErrEvidence, ErrKnown,
	ErrDispute, ErrDisputed, ErrOpenDisputes, ErrNoDispute, ErrAnswer,
}

// CodeOf is the number of a refusal, 0 for nil, and that of ErrMalformed for what
// is no refusal of this package.
func CodeOf(err error) Code {
	if err == nil {
		return 0
	}
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ErrMalformed.Code
}

// Refused says whether an error is the transaction's fault. Any other, of a disk
// perhaps, is the machine's.
func Refused(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// TxReceipt is what became of a transaction.
type TxReceipt struct {
	_      struct{}    `cbor:",toarray"`
	Height unit.Height // of the block that holds it
	Code   Code        // 0: it was done
	Log    string      // why not, and what to do
}

// Err is nil for success, else an error that Is the refusal and says what the log says.
func (r TxReceipt) Err() error {
	if r.Code == 0 {
		return nil
	}
	for _, known := range refusals {
		if known.Code == r.Code {
			return refusal{known, r.Log}
		}
	}
	return refusal{&Refusal{r.Code, fmt.Sprintf("refused with code %d, which a newer program may know", r.Code)}, r.Log}
}

// refusal is a Refusal as it came over a wire, with its particulars.
type refusal struct {
	of  *Refusal
	log string
}

func (r refusal) Error() string {
	if r.log == "" {
		return r.of.Text
	}
	return r.log
}

func (r refusal) Unwrap() error { return r.of }
