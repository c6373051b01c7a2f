package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// TxVersion is the version of the format of a transaction.
const TxVersion = 2

// maxTxBytes bounds what is decoded at all; Params.TxBytes is what a network takes.
const maxTxBytes = 2 << 20

// Kind numbers what a transaction does.
type Kind uint8

// All kinds. Those that are Unsigned carry their own proof.
const (
	KindTransfer      Kind = 1
	KindRegisterNode  Kind = 2
	KindUpdateNode    Kind = 3
	KindBond          Kind = 4
	KindUnbond        Kind = 5
	KindWithdraw      Kind = 6
	KindDelegate      Kind = 7
	KindUndelegate    Kind = 8
	KindRegisterBlob  Kind = 9
	KindCertify       Kind = 10
	KindExtend        Kind = 11
	KindDelete        Kind = 12
	KindShardReady    Kind = 13
	KindInvalidate    Kind = 14
	KindSetRenewal    Kind = 15
	KindVote          Kind = 16
	KindSetCommission Kind = 17
	KindSetNodeKeys   Kind = 18
	KindDeclare       Kind = 19
	KindAccuse        Kind = 20
	KindDispute       Kind = 21
	KindAnswer        Kind = 22
)

var kindNames = map[Kind]string{
	KindTransfer: "transfer", KindRegisterNode: "register-node", KindUpdateNode: "update-node", KindBond: "bond",
	KindUnbond: "unbond", KindWithdraw: "withdraw", KindDelegate: "delegate", KindUndelegate: "undelegate",
	KindRegisterBlob: "register-blob", KindCertify: "certify", KindExtend: "extend", KindDelete: "delete",
	KindShardReady: "shard-ready", KindInvalidate: "invalidate",
	KindSetCommission: "set-commission", KindSetNodeKeys: "set-node-keys", KindDeclare: "declare", KindAccuse: "accuse",
	KindSetRenewal: "set-renewal", KindDispute: "dispute", KindAnswer: "answer",
	KindVote: "vote",
}

// String is the name.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Unsigned says that transactions of this kind carry their own proof: no signer,
// nonce or fee, so that the same bytes may rightly come twice.
func (k Kind) Unsigned() bool {
	switch k {
	case KindCertify, KindShardReady, KindInvalidate, KindDeclare, KindAccuse, KindAnswer:
		return true
	}
	return false
}

// Tx is a transaction as it travels.
type Tx struct {
	_         struct{} `cbor:",toarray"`
	Version   uint8
	Kind      Kind
	Body      []byte // canonical CBOR of the kind's body
	Signer    token.PublicKey
	Nonce     uint64
	Fee       token.Amount
	Until     unit.Height // height of the last block that may hold it; 0: any
	Signature token.Signature
}

// Body is what a transaction does. The types of this package that have a Kind are all there are.
type Body interface {
	kind() Kind
	// check bounds what a stranger sent; it needs no state.
	check(Params) error
	// plan validates against the state and changes nothing.
	plan(*exec, Tx) (plan, error)
}

// plan is a validated transaction: what it costs its signer beside the fee, and
// what it does, which cannot fail.
type plan struct {
	cost    token.Amount
	subject string // of a kind that carries its own proof: of all about it one can be done
	apply   func()
}

// KindOf is the kind of a body and its bytes, as a transaction carries them.
func KindOf(body Body) (Kind, []byte) { return body.kind(), canon.Encode(body) }

// Sign makes a signed transaction that may wait for its block for ever.
func Sign(k token.Key, chain token.ChainID, nonce uint64, fee token.Amount, body Body) []byte {
	return SignUntil(k, chain, nonce, fee, 0, body)
}

// SignUntil makes a signed transaction that no block after the height until may hold:
// from then on its signer knows what became of it.
func SignUntil(k token.Key, chain token.ChainID, nonce uint64, fee token.Amount, until unit.Height, body Body) []byte {
	tx := Tx{Version: TxVersion, Kind: body.kind(), Body: canon.Encode(body), Signer: k.Public(), Nonce: nonce, Fee: fee, Until: until}
	tx.Signature = k.Sign(tx.message(chain))
	return canon.Encode(tx)
}

// Unsigned makes a transaction of a kind that carries its own proof.
func Unsigned(body Body) []byte {
	return canon.Encode(Tx{Version: TxVersion, Kind: body.kind(), Body: canon.Encode(body)})
}

// DecodeTx reads a transaction from a stranger. It checks the form, not the signature.
func DecodeTx(b []byte) (Tx, Body, error) {
	if len(b) > maxTxBytes {
		return Tx{}, nil, fmt.Errorf("%d bytes: %w", len(b), ErrTooLarge)
	}
	var tx Tx
	if err := canon.Decode(b, &tx); err != nil {
		return Tx{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if tx.Version != TxVersion {
		return Tx{}, nil, fmt.Errorf("version %d, want %d: %w", tx.Version, TxVersion, ErrMalformed)
	}
	body, err := decodeBody(tx.Kind, tx.Body)
	if err != nil {
		return Tx{}, nil, fmt.Errorf("%s: %w: %w", tx.Kind, ErrMalformed, err)
	}
	if tx.Kind.Unsigned() && (tx.Signer != token.PublicKey{} || tx.Nonce != 0 || tx.Fee != 0 || tx.Until != 0 || tx.Signature != token.Signature{}) {
		return Tx{}, nil, fmt.Errorf("%s has no signer, nonce or fee: %w", tx.Kind, ErrMalformed)
	}
	return tx, body, nil
}

func decodeBody(k Kind, b []byte) (Body, error) {
	switch k {
	case KindTransfer:
		return decodeAs[Transfer](b)
	case KindRegisterNode:
		return decodeAs[RegisterNode](b)
	case KindUpdateNode:
		return decodeAs[UpdateNode](b)
	case KindBond:
		return decodeAs[Bond](b)
	case KindUnbond:
		return decodeAs[Unbond](b)
	case KindWithdraw:
		return decodeAs[Withdraw](b)
	case KindDelegate:
		return decodeAs[Delegate](b)
	case KindUndelegate:
		return decodeAs[Undelegate](b)
	case KindRegisterBlob:
		return decodeAs[RegisterBlob](b)
	case KindCertify:
		return decodeAs[Certify](b)
	case KindExtend:
		return decodeAs[Extend](b)
	case KindDelete:
		return decodeAs[Delete](b)
	case KindShardReady:
		return decodeAs[ShardReady](b)
	case KindInvalidate:
		return decodeAs[Invalidate](b)
	case KindSetCommission:
		return decodeAs[SetCommission](b)
	case KindSetNodeKeys:
		return decodeAs[SetNodeKeys](b)
	case KindDeclare:
		return decodeAs[Declare](b)
	case KindAccuse:
		return decodeAs[Accuse](b)
	case KindDispute:
		return decodeAs[Dispute](b)
	case KindAnswer:
		return decodeAs[Answer](b)
	case KindSetRenewal:
		return decodeAs[SetRenewal](b)
	case KindVote:
		return decodeAs[Vote](b)
	}
	return nil, fmt.Errorf("unknown %s: a newer program may know it", k)
}

func decodeAs[T Body](b []byte) (Body, error) {
	var v T
	if err := canon.Decode(b, &v); err != nil {
		return nil, err
	}
	return v, nil
}

func (tx Tx) message(chain token.ChainID) []byte {
	return token.Message(token.PurposeTransaction, chain, tx.Version, tx.Kind, tx.Body, tx.Signer, tx.Nonce, tx.Fee, tx.Until)
}

// TxHash names a transaction.
func TxHash(b []byte) blob.Hash { return blob.Leaf(b) }
