package ledger

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ErrGenesis is returned for a genesis that no network can start from.
var ErrGenesis = errors.New("not a usable genesis")

// MaxGenesis bounds the bytes of a genesis from a stranger.
const MaxGenesis = 8 << 20

// Genesis is what a network starts from. Its hash names the chain.
type Genesis struct {
	_        struct{} `cbor:",toarray"`
	Name     string   // of the chain: small letters, digits, dashes
	Time     int64    // Unix milliseconds
	Params   Params
	Subsidy  token.Amount // fund out of which Params.Subsidy is paid each epoch
	Accounts []GenesisAccount
	Nodes    []GenesisNode
}

// GenesisAccount is money that an owner has from the start.
type GenesisAccount struct {
	_       struct{} `cbor:",toarray"`
	Address token.Address
	Amount  token.Amount
}

// GenesisNode is a node that is there from the start. Its bond is money beside the accounts'.
type GenesisNode struct {
	_             struct{} `cbor:",toarray"`
	ID            staking.NodeID
	Operator      token.Address
	Governance    token.Address // the operator where it is zero; so with Payout
	Payout        token.Address
	BLS           token.BLSPublicKey
	BLSProof      token.BLSSignature // see BLSProofMessage
	Addresses     []string
	Comet         string
	Name          string
	CapacityKiB   unit.KiB
	Bond          token.Amount
	CommissionBps unit.Bps
}

// BLSProofMessage is what a node's BLS key signs to prove that it is the node's.
// It is bound to the chain's name, not its ID: the ID depends on the genesis, and
// the genesis holds these proofs. All nodes do it the same way, first or later.
func BLSProofMessage(chainName string, id staking.NodeID, key token.BLSPublicKey) []byte {
	return token.Message(token.PurposeBLS, token.ChainID(chainName), id, key)
}

// Prove fills in what the node's keys say: ID, BLS key and its proof of possession.
func (n GenesisNode) Prove(chainName string, id token.Key, bls token.BLSKey) GenesisNode {
	n.ID, n.BLS = staking.NodeID(id.Public()), bls.Public()
	n.BLSProof = bls.ProvePossession(BLSProofMessage(chainName, n.ID, n.BLS))
	return n
}

// Encode is the canonical bytes.
func (g Genesis) Encode() []byte { return canon.Encode(g) }

// DecodeGenesis reads a genesis from outside and checks it.
func DecodeGenesis(b []byte) (Genesis, error) {
	var g Genesis
	if len(b) > MaxGenesis {
		return g, fmt.Errorf("genesis of %d bytes: %w", len(b), ErrGenesis)
	}
	if err := canon.Decode(b, &g); err != nil {
		return Genesis{}, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if err := g.Validate(); err != nil {
		return Genesis{}, err
	}
	return g, nil
}

// Hash is what people compare before they trust a genesis.
func (g Genesis) Hash() blob.Hash { return blob.Leaf(g.Encode()) }

// ChainID is the name, a dash, and the first 8 hex digits of the hash.
func (g Genesis) ChainID() token.ChainID {
	return token.ChainID(g.Name + "-" + g.Hash().String()[:8])
}

// Salt is what the state's buckets are salted with.
func (g Genesis) Salt() [32]byte { return g.Hash() }

// Supply is all the money there will ever be.
func (g Genesis) Supply() (sum token.Amount, err error) {
	sum = g.Subsidy
	for _, a := range g.Accounts {
		if sum, err = sum.Add(a.Amount); err != nil {
			return 0, err
		}
	}
	for _, n := range g.Nodes {
		if sum, err = sum.Add(n.Bond); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

var chainName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Validate refuses a genesis that no network can start from.
func (g Genesis) Validate() error {
	if !chainName.MatchString(g.Name) {
		return fmt.Errorf("chain name %q: 1 to 32 small letters, digits and dashes: %w", g.Name, ErrGenesis)
	}
	if g.Time <= 0 {
		return fmt.Errorf("time %d: %w", g.Time, ErrGenesis)
	}
	if err := g.Params.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if _, err := g.Supply(); err != nil {
		return fmt.Errorf("supply: %w: %w", ErrGenesis, err)
	}
	accounts := map[token.Address]bool{}
	for _, a := range g.Accounts {
		if accounts[a.Address] {
			return fmt.Errorf("account %s twice: %w", a.Address, ErrGenesis)
		}
		accounts[a.Address] = true
	}
	if len(g.Nodes) == 0 {
		return fmt.Errorf("no nodes: %w", ErrGenesis)
	}
	ids, keys := map[staking.NodeID]bool{}, map[token.BLSPublicKey]bool{}
	for _, n := range g.Nodes {
		if ids[n.ID] || keys[n.BLS] {
			return fmt.Errorf("node %s twice: %w", n.ID, ErrGenesis)
		}
		ids[n.ID], keys[n.BLS] = true, true
		if err := n.validate(g); err != nil {
			return fmt.Errorf("node %s: %w: %w", n.ID, ErrGenesis, err)
		}
	}
	return nil
}

func (n GenesisNode) validate(g Genesis) error {
	details := nodeDetails{addresses: n.Addresses, comet: n.Comet, capacityKiB: n.CapacityKiB, name: n.Name}
	if err := details.check(); err != nil {
		return err
	}
	if n.Bond < g.Params.Staking.MinBond {
		return fmt.Errorf("bond %s is below %s", n.Bond, g.Params.Staking.MinBond)
	}
	if n.CommissionBps > g.Params.Staking.MaxCommissionBps {
		return fmt.Errorf("commission %d is above %d", n.CommissionBps, g.Params.Staking.MaxCommissionBps)
	}
	return n.BLS.VerifyPossession(BLSProofMessage(g.Name, n.ID, n.BLS), n.BLSProof)
}

// lay writes the state at height 0.
func (g Genesis) lay(o *state.Overlay) error {
	supply, err := g.Supply()
	if err != nil {
		return err
	}
	x := &exec{o: o, p: g.Params, chain: g.ChainID(), name: g.Name}
	x.head = Head{TimeMs: g.Time, EpochStart: 1, EpochEnd: unit.Height(g.Params.EpochBlocks()), RuleVersion: FirstRules}
	x.put(KeyHead(), x.head)
	x.put(KeyRules(), Rules{Version: FirstRules, Params: g.Params})
	x.put(KeySupply(), Supply{Total: supply, Subsidy: g.Subsidy})
	x.put(KeyUsage(), Usage{})
	for _, a := range g.Accounts {
		x.put(KeyAccount(a.Address), Account{Balance: a.Amount})
	}
	for _, n := range g.Nodes {
		pool, err := staking.NewPool(n.Bond, g.Params.Staking.MinDelegation, n.CommissionBps)
		if err != nil {
			return err
		}
		x.put(KeyPool(n.ID), pool)
		x.put(keyBLS(n.BLS), n.ID)
		x.put(KeyNode(n.ID), NodeRecord{ID: n.ID, Operator: n.Operator, Governance: or(n.Governance, n.Operator), Payout: or(n.Payout, n.Operator), BLS: n.BLS, Addresses: n.Addresses, Comet: n.Comet, CapacityKiB: n.CapacityKiB, Name: n.Name})
	}
	first, err := staking.First(g.Params.Shards, x.candidates())
	if err != nil {
		return err
	}
	x.putCommittee(x.convene(0, first))
	x.weighRoom()
	return nil
}

// Validators are those of the first committee, worked out without a disk.
func (g Genesis) Validators() ([]Validator, error) {
	o := state.NewOverlay(state.NewMemory())
	if err := g.lay(o); err != nil {
		return nil, err
	}
	c, err := View{o}.Committee(0)
	return c.Validators(), err
}
