package sim

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// Network is a ledger and the people who use it.
type Network struct {
	*People
	Ledger *ledger.Local
	Chain  token.ChainID
	Index  map[staking.NodeID]int // node -> its number
}

// NewNetwork begins a network. The customer has the money for so many epochs; clock gives
// the time of each block in Unix ms.
func NewNetwork(nodes int, p ledger.Params, epochs int, clock func() int64) (*Network, error) {
	n := &Network{People: newPeople(nodes), Index: map[staking.NodeID]int{}}
	for i, id := range n.IDs {
		n.Index[id] = i
	}
	var err error
	if n.Ledger, err = ledger.NewLocal(n.genesis(p, epochs), state.NewMemory(), clock); err != nil {
		return nil, err
	}
	n.Chain = n.Ledger.ChainID()
	return n, nil
}

// View is the ledger's state after its last block.
func (n *Network) View() (ledger.View, error) { return n.Ledger.View(context.Background()) }

// Run runs a block. A refused transaction is an error: the simulations send none that
// they know to be wrong.
func (n *Network) Run(b ledger.Block) error {
	r, err := n.Ledger.Run(b)
	if err != nil {
		return err
	}
	for _, tx := range r.Txs {
		if tx.Code != 0 {
			return fmt.Errorf("%s was refused: %s", tx.Kind, tx.Log)
		}
	}
	return nil
}

// Sign makes a person's next transaction.
func (n *Network) Sign(p *Person, body ledger.Body) []byte {
	tx := ledger.Sign(p.key, n.Chain, p.nonce, txFee, body)
	p.nonce++
	return tx
}

// Register makes the customer's transaction that registers a blob for so many epochs.
func (n *Network) Register(m blob.Manifest, epochs uint64) []byte {
	return n.Sign(n.Customer, ledger.RegisterBlob{Manifest: m, Epochs: epochs, Owner: n.Customer.Address(), Permanent: true})
}

// Certify makes the transaction that certifies a blob, with confirmations of more than
// two thirds of a committee's shards.
func (n *Network) Certify(c ledger.Committee, m blob.Manifest) ([]byte, error) {
	confirmations := map[int]token.BLSSignature{}
	weight := 0
	for i, member := range c.Nodes {
		if 3*weight > 2*len(c.Holder) {
			break
		}
		weight += member.Shards
		key := n.Secrets[n.Index[member.ID]].BLSKey()
		confirmations[i] = key.Sign(registry.ConfirmMessage(n.Chain, c.Epoch, m.ID()))
	}
	cert, err := registry.NewCertificate(c.Epoch, len(c.Nodes), confirmations)
	return ledger.Unsigned(ledger.Certify{Blob: m.ID(), Certificate: cert}), err
}
