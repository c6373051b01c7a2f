package ledger

import (
	"fmt"
	"unicode/utf8"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Limits of what a node says of itself.
const (
	maxAddresses   = 16
	maxAddressText = 256
	maxNameText    = 64
	maxURLText     = 256
	maxAboutText   = 512
	maxCapacityKiB = 1 << 50 // a zettabyte
)

// nodeDetails is what an operator can change.
type nodeDetails struct {
	addresses   []string
	comet       string
	capacityKiB unit.KiB
	name        string
	url         string
	about       string
}

func (d nodeDetails) check() error {
	if len(d.addresses) > maxAddresses {
		return fmt.Errorf("%d addresses, at most %d", len(d.addresses), maxAddresses)
	}
	for _, a := range append([]string{d.comet}, d.addresses...) {
		if len(a) > maxAddressText || !utf8.ValidString(a) {
			return fmt.Errorf("address %.40q is too long or no text", a)
		}
	}
	if len(d.name) > maxNameText || !utf8.ValidString(d.name) {
		return fmt.Errorf("name %.40q is longer than %d bytes or no text", d.name, maxNameText)
	}
	if len(d.url) > maxURLText || !utf8.ValidString(d.url) {
		return fmt.Errorf("URL %.40q is longer than %d bytes or no text", d.url, maxURLText)
	}
	if len(d.about) > maxAboutText || !utf8.ValidString(d.about) {
		return fmt.Errorf("about %.40q is longer than %d bytes or no text", d.about, maxAboutText)
	}
	if d.capacityKiB == 0 || d.capacityKiB > maxCapacityKiB {
		return fmt.Errorf("capacity of %d KiB", d.capacityKiB)
	}
	return nil
}

// RegisterNode enters a node. The signer becomes its operator, and puts up its first bond.
type RegisterNode struct {
	_             struct{} `cbor:",toarray"`
	Node          staking.NodeID
	NodeSignature token.Signature // by the node's key, over nodeMessage
	BLS           token.BLSPublicKey
	BLSProof      token.BLSSignature // see BLSProofMessage
	Addresses     []string
	Comet         string
	CapacityKiB   unit.KiB
	Name          string
	URL           string
	About         string
	Governance    token.Address // the signer where it is zero; so with Payout
	Payout        token.Address
	Bond          token.Amount
	CommissionBps unit.Bps
}

func or(a, b token.Address) token.Address {
	if a == (token.Address{}) {
		return b
	}
	return a
}

// nodeMessage is what a node's own key signs so that an operator may register it.
func nodeMessage(chain token.ChainID, id staking.NodeID, operator token.Address, bls token.BLSPublicKey) []byte {
	return token.Message(token.PurposeNode, chain, id, operator, bls)
}

// Prove fills in what the node's keys say, for the operator that will sign the
// transaction.
func (b RegisterNode) Prove(chain token.ChainID, chainName string, operator token.Address, id token.Key, bls token.BLSKey) RegisterNode {
	b.Node, b.BLS = staking.NodeID(id.Public()), bls.Public()
	b.NodeSignature = id.Sign(nodeMessage(chain, b.Node, operator, b.BLS))
	b.BLSProof = bls.ProvePossession(BLSProofMessage(chainName, b.Node, b.BLS))
	return b
}

func (RegisterNode) kind() Kind { return KindRegisterNode }

func (b RegisterNode) check(p Params) error {
	if err := (nodeDetails{b.Addresses, b.Comet, b.CapacityKiB, b.Name, b.URL, b.About}).check(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if b.CommissionBps > p.Staking.MaxCommissionBps {
		return fmt.Errorf("commission %d, at most %d: %w", b.CommissionBps, p.Staking.MaxCommissionBps, ErrMalformed)
	}
	return nil
}

func (b RegisterNode) proofs(chain token.ChainID, name string, signer token.Address) error {
	if err := b.Node.PublicKey().Verify(nodeMessage(chain, b.Node, signer, b.BLS), b.NodeSignature); err != nil {
		return fmt.Errorf("node %s: %w", b.Node, err)
	}
	if err := b.BLS.VerifyPossession(BLSProofMessage(name, b.Node, b.BLS), b.BLSProof); err != nil {
		return fmt.Errorf("BLS key of node %s: %w", b.Node, err)
	}
	return nil
}

func (b RegisterNode) spends() token.Amount { return b.Bond }

func (b RegisterNode) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.node(b.Node); err == nil {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrNodeExists)
	}
	_, taken, err := x.o.Get(keyBLS(b.BLS))
	if sure(taken, err) {
		return plan{}, fmt.Errorf("%s: BLS key: %w", b.Node, ErrNodeExists)
	}
	if b.Bond < x.p.Staking.MinBond {
		return plan{}, fmt.Errorf("bond %s, a new node needs at least %s: %w", b.Bond, x.p.Staking.MinBond, ErrStake)
	}
	pool, err := staking.NewPool(b.Bond, x.p.Staking.MinDelegation, b.CommissionBps)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	operator := tx.Signer.Address()
	record := NodeRecord{ID: b.Node, Operator: operator, Governance: or(b.Governance, operator), Payout: or(b.Payout, operator),
		BLS: b.BLS, Addresses: b.Addresses, Comet: b.Comet, CapacityKiB: b.CapacityKiB, Name: b.Name, URL: b.URL, About: b.About, RegisteredEpoch: x.epoch()}
	return plan{cost: b.Bond, apply: func() {
		x.put(KeyNode(b.Node), record)
		x.put(KeyPool(b.Node), pool)
		x.put(keyBLS(b.BLS), b.Node)
	}}, nil
}

// UpdateNode replaces what a node says of itself. Less capacity acts as shards leave.
type UpdateNode struct {
	_           struct{} `cbor:",toarray"`
	Node        staking.NodeID
	Addresses   []string
	Comet       string
	CapacityKiB unit.KiB
	Name        string
	URL         string
	About       string
}

func (UpdateNode) kind() Kind { return KindUpdateNode }

func (b UpdateNode) check(Params) error {
	if err := (nodeDetails{b.Addresses, b.Comet, b.CapacityKiB, b.Name, b.URL, b.About}).check(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

func (b UpdateNode) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.operated(b.Node, tx)
	if err != nil {
		return plan{}, err
	}
	more := b.CapacityKiB > n.CapacityKiB
	n.Addresses, n.Comet, n.CapacityKiB, n.Name, n.URL, n.About = b.Addresses, b.Comet, b.CapacityKiB, b.Name, b.URL, b.About
	return plan{apply: func() {
		x.put(KeyNode(b.Node), n)
		x.roomier = x.roomier || more
	}}, nil
}

// SetCommission announces another commission; see staking.Pool.SetCommission.
type SetCommission struct {
	_    struct{} `cbor:",toarray"`
	Node staking.NodeID
	Bps  unit.Bps
}

func (SetCommission) kind() Kind { return KindSetCommission }

func (SetCommission) check(Params) error { return nil }

func (b SetCommission) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.operated(b.Node, tx); err != nil {
		return plan{}, err
	}
	p := x.pool(b.Node)
	if err := p.SetCommission(b.Bps, x.epoch(), x.counted(), x.p.Staking); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{apply: func() { x.put(KeyPool(b.Node), p) }}, nil
}

// SetNodeKeys hands a node's rights over. A zero address leaves a key as it is.
type SetNodeKeys struct {
	_          struct{} `cbor:",toarray"`
	Node       staking.NodeID
	Operator   token.Address
	Governance token.Address
	Payout     token.Address
}

func (SetNodeKeys) kind() Kind { return KindSetNodeKeys }

func (SetNodeKeys) check(Params) error { return nil }

func (b SetNodeKeys) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.operated(b.Node, tx)
	if err != nil {
		return plan{}, err
	}
	n.Operator, n.Governance, n.Payout = or(b.Operator, n.Operator), or(b.Governance, n.Governance), or(b.Payout, n.Payout)
	return plan{apply: func() { x.put(KeyNode(b.Node), n) }}, nil
}

// ShardReady says that the receiver of a shard holds all of it. From then on the
// old holder may let go. Every move has at most one.
type ShardReady struct {
	_         struct{} `cbor:",toarray"`
	Node      staking.NodeID
	Epoch     unit.Epoch
	Shard     uint16
	Signature token.Signature // by the node's key, over readyMessage
}

// readyMessage is what a node signs when it holds all of a shard.
func readyMessage(chain token.ChainID, epoch unit.Epoch, shard uint16) []byte {
	return token.Message(token.PurposeReady, chain, epoch, shard)
}

// NewShardReady signs that the node of a key holds all of a shard.
func NewShardReady(chain token.ChainID, k token.Key, epoch unit.Epoch, shard blob.Shard) ShardReady {
	b := ShardReady{Node: staking.NodeID(k.Public()), Epoch: epoch, Shard: uint16(shard)}
	b.Signature = k.Sign(readyMessage(chain, epoch, b.Shard))
	return b
}

func (ShardReady) kind() Kind { return KindShardReady }

func (ShardReady) check(Params) error { return nil }

func (b ShardReady) plan(x *exec, _ Tx) (plan, error) {
	c := x.committee()
	s := int(b.Shard)
	if b.Epoch != c.Epoch || s >= len(c.Holder) || c.Holder[s] != b.Node || c.From[s].IsZero() {
		return plan{}, fmt.Errorf("%s, shard %d, epoch %d: %w", b.Node, b.Shard, b.Epoch, ErrNotMoving)
	}
	if err := b.Node.PublicKey().Verify(readyMessage(x.chain, b.Epoch, b.Shard), b.Signature); err != nil {
		return plan{}, fmt.Errorf("shard %d: %w", b.Shard, ErrSignature)
	}
	return plan{subject: fmt.Sprintf("%d %d", b.Epoch, b.Shard), apply: func() {
		c.From[s] = staking.NodeID{}
		x.putCommittee(c)
	}}, nil
}
