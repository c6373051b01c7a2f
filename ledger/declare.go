package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Declare says that a node has lost fragments that it should hold. In the next round the
// node is not asked, not paid and not punished. For a round under way it is too late.
type Declare struct {
	_         struct{} `cbor:",toarray"`
	Node      staking.NodeID
	Ordinal   unit.Ordinal    // of the round; see View.NextRound
	Signature token.Signature // by the node's key, over declareMessage
}

// declareMessage is the message that a node signs to declare a loss.
func declareMessage(chain token.ChainID, ordinal unit.Ordinal) []byte {
	return token.Message(token.PurposeDeclare, chain, ordinal)
}

// NewDeclare declares a loss of the key's node for a round.
func NewDeclare(chain token.ChainID, k token.Key, ordinal unit.Ordinal) Declare {
	return Declare{Node: staking.NodeID(k.Public()), Ordinal: ordinal, Signature: k.Sign(declareMessage(chain, ordinal))}
}

func (Declare) kind() Kind { return KindDeclare }

func (Declare) check(Params) error { return nil }

func (b Declare) plan(x *exec, _ Tx) (plan, error) {
	if _, err := x.node(b.Node); err != nil {
		return plan{}, err
	}
	next := sure(x.view().NextRound())
	if b.Ordinal != next {
		return plan{}, fmt.Errorf("round %d, the next that can be declared for is %d: %w", b.Ordinal, next, ErrDeclared)
	}
	was, ever, err := read[unit.Ordinal](x.view(), "declared loss", KeyDeclared(b.Node))
	if sure(ever, err) && was == next {
		return plan{}, fmt.Errorf("round %d: %w", next, ErrDeclared)
	}
	if err := b.Node.PublicKey().Verify(declareMessage(x.chain, b.Ordinal), b.Signature); err != nil {
		return plan{}, fmt.Errorf("round %d: %w", b.Ordinal, ErrSignature)
	}
	return plan{subject: string(KeyDeclared(b.Node)), apply: func() { x.put(KeyDeclared(b.Node), next) }}, nil
}

// NextRound is the ordinal of the round for which a loss can still be declared.
func (v View) NextRound() (unit.Ordinal, error) {
	h, err := v.Head()
	if err != nil {
		return 0, err
	}
	p, err := v.Params()
	if err != nil {
		return 0, err
	}
	ordinal := unit.Ordinal(uint64(h.Height) / p.RoundBlocks)
	if r, ok, err := v.Round(); err != nil {
		return 0, err
	} else if ok && r.Ordinal >= ordinal {
		ordinal = r.Ordinal + 1
	}
	return ordinal, nil
}

// declared says that a node has declared a loss for the round with this ordinal.
func (x *exec) declared(id staking.NodeID, ordinal unit.Ordinal) bool {
	of, ever, err := read[unit.Ordinal](x.view(), "declared loss", KeyDeclared(id))
	return sure(ever, err) && of == ordinal
}
