package sim

import (
	"encoding/binary"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Money of a network. Pay is about a tenth of the stake a year, as in networks of
// this kind: a slash is a part of the stake, so that its weight depends on that ratio.
const (
	stakePerNode    = 1_000_000 * token.WAL // bond + delegations
	bondPercent     = 5                     // bond / stake; the rules ask for 2
	HoldersPerNode  = 2                     // delegators of each node at first
	commissionBps   = 1000
	LeasesPerNode   = 4_000 * token.WAL  // of an epoch, paid by the customer
	subsidyPerNode  = 400 * token.WAL    // of an epoch, paid by the network
	subsidyEpochs   = 52                 // epochs until the fund is empty
	PocketMoney     = 10_000 * token.WAL // of each person, for fees
	txFee           = token.WAL / 1000   // more than any transaction here needs
	nodeCapacityKiB = 1 << 40            // a pebibyte: disks do not bind here
)

const (
	chainName = "simulation"

	// Began is the time of the genesis in Unix ms. Nothing depends on the day.
	Began = 1_800_000_000_000
)

func amount(n int) token.Amount { return token.Amount(n) }

// Person is an account and its key.
type Person struct {
	key   token.Key
	nonce uint64
}

// Address is the person's account.
func (p *Person) Address() token.Address { return p.key.Address() }

// People are the nodes and persons of a network.
type People struct {
	Secrets   []token.Secret   // of the nodes
	IDs       []staking.NodeID // of the nodes
	Operators []*Person        // one for each node
	Holders   []*Person        // HoldersPerNode for each node: those of node i from HoldersPerNode * i on
	Customer  *Person          // pays for all blobs
}

// NodeName is the name of the node with a number, from node0 on.
func NodeName(i int) string { return fmt.Sprintf("node%d", i) }

const (
	seedOperator = iota + 1
	seedHolder
	seedCustomer
	seedNode
)

func seedOf(what, i int) (out [32]byte) {
	binary.BigEndian.PutUint64(out[:], uint64(what))
	binary.BigEndian.PutUint64(out[8:], uint64(i))
	return out
}

func newPeople(nodes int) *People {
	person := func(what, i int) *Person { return &Person{key: token.KeyFromSeed(seedOf(what, i))} }
	p := &People{Customer: person(seedCustomer, 0)}
	for i := range nodes {
		secret := token.Secret(seedOf(seedNode, i))
		p.Secrets = append(p.Secrets, secret)
		p.IDs = append(p.IDs, staking.NodeID(secret.Key().Public()))
		p.Operators = append(p.Operators, person(seedOperator, i))
	}
	for i := range nodes * HoldersPerNode {
		p.Holders = append(p.Holders, person(seedHolder, i))
	}
	return p
}

// genesis gives every node its bond, every holder twice the delegation, and the customer
// the price of so many epochs.
func (p *People) genesis(params ledger.Params, epochs int) ledger.Genesis {
	g := ledger.Genesis{Name: chainName, Time: Began, Params: params, Subsidy: params.Subsidy * subsidyEpochs}
	account := func(who *Person, a token.Amount) {
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: who.Address(), Amount: a})
	}
	for i, secret := range p.Secrets {
		account(p.Operators[i], PocketMoney)
		n := ledger.GenesisNode{Operator: p.Operators[i].Address(), Name: NodeName(i),
			Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2",
			CapacityKiB: nodeCapacityKiB, Bond: bondPerNode(), CommissionBps: commissionBps}
		g.Nodes = append(g.Nodes, n.Prove(chainName, secret.Key(), secret.BLSKey()))
	}
	for _, h := range p.Holders {
		account(h, 2*DelegationPerHolder()+PocketMoney)
	}
	// Beside the leases the customer pays write prices of half an epoch; the rest is spare.
	account(p.Customer, 2*amount(len(p.Secrets))*LeasesPerNode*amount(epochs))
	return g
}

func bondPerNode() token.Amount { return stakePerNode * bondPercent / 100 }

// DelegationPerHolder is what each holder delegates at first.
func DelegationPerHolder() token.Amount { return (stakePerNode - bondPerNode()) / HoldersPerNode }
