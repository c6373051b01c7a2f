package sim

import (
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// The money of the network. What a node earns and has at stake stand to each other as
// in a network that pays its stake about a tenth a year: slashes are parts of the
// stake, so that this is what they weigh against.
const (
	stakePerNode    = 1_000_000 * token.WAL // bond and delegations
	bondPercent     = 5                     // of it: the operator's own; the rules ask for 2
	holdersPerNode  = 2
	commissionBps   = 1000
	leasesPerNode   = 4_000 * token.WAL // paid for storage by customers, an epoch
	subsidyPerNode  = 400 * token.WAL   // added by the network, an epoch
	subsidyEpochs   = 52                // for which the fund lasts
	pocketMoney     = 10_000 * token.WAL
	txFee           = token.WAL / 1000 // more than any transaction here needs
	nodeCapacityKiB = 1 << 40          // a pebibyte: disks do not bind here
)

const (
	chainName = "simulation"
	began     = 1_800_000_000_000 // Unix ms; the day does not matter
)

func amount(n int) token.Amount { return token.Amount(n) }

// person signs transactions.
type person struct {
	key   token.Key
	nonce uint64
}

func (p *person) address() token.Address { return p.key.Address() }

// people are the holders of all keys.
type people struct {
	secrets   []token.Secret // of the nodes
	ids       []staking.NodeID
	operators []*person // one for each node
	holders   []*person // holdersPerNode for each node, in turn
	customer  *person
}

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

func newPeople(nodes int) *people {
	somebody := func(what, i int) *person { return &person{key: token.KeyFromSeed(seedOf(what, i))} }
	p := &people{customer: somebody(seedCustomer, 0)}
	for i := range nodes {
		secret := token.Secret(seedOf(seedNode, i))
		p.secrets = append(p.secrets, secret)
		p.ids = append(p.ids, staking.NodeID(secret.Key().Public()))
		p.operators = append(p.operators, somebody(seedOperator, i))
	}
	for i := range nodes * holdersPerNode {
		p.holders = append(p.holders, somebody(seedHolder, i))
	}
	return p
}

// genesis is a network's: every node has its bond, every holder what he will delegate
// and as much again, and the customer what so many epochs cost.
func (p *people) genesis(params ledger.Params, epochs int) ledger.Genesis {
	g := ledger.Genesis{Name: chainName, Time: began, Params: params, Subsidy: params.Subsidy * subsidyEpochs}
	account := func(who *person, a token.Amount) {
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: who.address(), Amount: a})
	}
	for i, secret := range p.secrets {
		account(p.operators[i], pocketMoney)
		n := ledger.GenesisNode{Operator: p.operators[i].address(), Name: NodeName(i),
			Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2",
			CapacityKiB: nodeCapacityKiB, Bond: bondPerNode(), CommissionBps: commissionBps}
		g.Nodes = append(g.Nodes, n.Prove(chainName, secret.Key(), secret.BLSKey()))
	}
	for _, h := range p.holders {
		account(h, 2*delegationPerHolder()+pocketMoney)
	}
	// Writing costs half an epoch beside; the rest is to spare.
	account(p.customer, 2*amount(len(p.secrets))*leasesPerNode*amount(epochs+longLease))
	return g
}

func bondPerNode() token.Amount { return stakePerNode * bondPercent / 100 }

func delegationPerHolder() token.Amount { return (stakePerNode - bondPerNode()) / holdersPerNode }

// certify is the certificate of a blob that every node has taken. index says which of
// them a node is.
func (p *people) certify(chain token.ChainID, c ledger.Committee, index map[staking.NodeID]int, m blob.Manifest) ([]byte, error) {
	confirmations := map[int]token.BLSSignature{}
	weight := 0
	for i, member := range c.Nodes {
		if 3*weight > 2*len(c.Holder) {
			break
		}
		weight += member.Shards
		key := p.secrets[index[member.ID]].BLSKey()
		confirmations[i] = key.Sign(registry.ConfirmMessage(chain, c.Epoch, m.ID()))
	}
	cert, err := registry.NewCertificate(c.Epoch, len(c.Nodes), confirmations)
	return ledger.Unsigned(ledger.Certify{Blob: m.ID(), Certificate: cert}), err
}

// sign makes a transaction of the person.
func (p *person) sign(chain token.ChainID, body ledger.Body) []byte {
	tx := ledger.Sign(p.key, chain, p.nonce, txFee, body)
	p.nonce++
	return tx
}
