package ledger

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Block is what was agreed on.
type Block struct {
	Height      unit.Height
	TimeMs      int64 // Unix milliseconds, not before the last block's
	Txs         [][]byte
	DoubleSigns []DoubleSign          // evidence that the block carries
	Rounds      []staking.RoundResult // that this block closes, in a network that is challenged
	Faults      []Fault               // proven
	Proposer    staking.NodeID        // of the block; zero in a ledger without a network
	Extensions  []VoteExtension       // in the order of the last commit; only where Wants says Carry
	Last        token.BLSSignature    // of Proposer, over challenge.LastMessage; only where Wants says Last
}

// Result is what a block does.
type Result struct {
	Txs        []TxResult
	Validators []Validator // whose power changed; 0: not a validator any more
	AppHash    blob.Hash
}

// TxResult is what became of one transaction of a block.
type TxResult struct {
	Code   Code
	Log    string
	Kind   Kind   // 0 if it could not be read
	Defect string // trace of a mistake of this program, to be logged; else ""
}

// Machine is the state machine of one chain. Execute and Commit are for one caller
// at a time; Check, View and all reads may go on beside them.
type Machine struct {
	genesis  Genesis
	chain    token.ChainID
	state    *state.State
	verified *verifyCache
	keys     *token.BLSKeys // decoded keys of committees
	kept     *committees
	waiting  *admissions
	pending  *state.Update    // executed, not committed
	changed  []blob.ID        // blobs whose entries the pending update writes
	next     Rules            // in force once the pending update is committed
	index    *challenge.Index // as committed; Execute reads and Commit writes it

	mu      sync.RWMutex // guards the fields below
	rules   Rules        // as committed
	written writtenBlobs
}

// NewMachine opens the ledger of a genesis over kv, and lays the genesis at height 0
// if kv is empty.
func NewMachine(g Genesis, kv state.KV) (*Machine, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	s, err := state.Open(kv, g.Salt(), g.Params.Buckets)
	if err != nil {
		return nil, err
	}
	m := &Machine{genesis: g, chain: g.ChainID(), state: s, verified: newVerifyCache(), keys: token.NewBLSKeys(), kept: &committees{}, waiting: newWaiting()}
	if s.Empty() {
		if err := m.initChain(); err != nil {
			return nil, fmt.Errorf("lay the genesis of %s: %w", m.chain, err)
		}
	}
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	if m.rules, err = v.Rules(); err != nil {
		return nil, err
	}
	head, err := v.Head()
	if err != nil {
		return nil, err
	}
	if m.rules.Version > Newest {
		return nil, UnknownRules{head.Epoch, m.rules.Version}
	}
	if err := m.rules.known(head, head.Height+1); err != nil {
		return nil, err
	}
	m.index = challenge.NewIndex()
	err = v.EachSlot(func(slot int, s challenge.Slot) error {
		m.index.Set(slot, s)
		return nil
	})
	return m, err
}

func (m *Machine) initChain() (err error) {
	defer guard(&err)
	base, err := m.state.At(0)
	if err != nil {
		return err
	}
	o := state.NewOverlay(base)
	if err := m.genesis.lay(o); err != nil {
		return err
	}
	u, err := m.state.Prepare(0, o.Changes())
	if err != nil {
		return err
	}
	return m.state.Commit(u)
}

// exec is an executor over what is committed.
func (m *Machine) exec() (*exec, error) {
	base, err := m.state.At(m.state.Height())
	if err != nil {
		return nil, err
	}
	head, err := View{base}.Head()
	if err != nil {
		return nil, err
	}
	return &exec{o: state.NewOverlay(base), p: m.Rules().Params, chain: m.chain, name: m.genesis.Name, head: head, at: head.Height + 1, verified: m.verified, keys: m.keys, committees: m.kept, index: m.index}, nil
}

// Check says whether a transaction could be done on the committed state: the door
// of the mempool. The signature it verifies is not verified again in a block.
func (m *Machine) Check(tx []byte) (err error) {
	defer guard(&err)
	x, err := m.exec()
	if err != nil {
		return err
	}
	a, err := x.admit(tx)
	if err != nil {
		return err
	}
	return m.waiting.admit(a, x)
}

// Execute works out a block and keeps the outcome for Commit. It may be called
// again, with another block, until Commit.
func (m *Machine) Execute(b Block) (r Result, err error) {
	defer guard(&err)
	m.pending = nil
	x, err := m.exec()
	if err != nil {
		return r, err
	}
	if b.Height != x.head.Height+1 || b.TimeMs < x.head.TimeMs {
		return r, fmt.Errorf("block %d at %d ms does not follow %d at %d ms", b.Height, b.TimeMs, x.head.Height, x.head.TimeMs)
	}
	rules := m.Rules()
	if err := rules.known(x.head, b.Height); err != nil {
		return r, err
	}
	epoch := x.head.Epoch
	r.Validators = x.begin(b)
	if x.head.Epoch != epoch {
		rules = x.rules()
	}
	block := x.o
	for _, raw := range b.Txs {
		a, err := x.run(block, raw)
		m.waiting.settled(a)
		r.Txs = append(r.Txs, resultOf(a.tx, err))
	}
	x.o = block
	x.end()
	u, err := m.state.Prepare(b.Height, block.Changes())
	if err != nil {
		return Result{}, err
	}
	m.pending, m.changed, m.next, r.AppHash = u, entriesIn(block.Changes()), rules, u.Root()
	return r, nil
}

// maxLog bounds what a block's results say of a refusal.
const maxLog = 512

func resultOf(tx Tx, err error) TxResult {
	r := TxResult{Code: CodeOf(err), Kind: tx.Kind, Defect: DefectOf(err)}
	if err != nil {
		r.Log = shortLog(err.Error())
	}
	return r
}

// Commit makes the executed block durable.
func (m *Machine) Commit() error {
	if m.pending == nil {
		return errors.New("commit: no block was executed")
	}
	u, changed := m.pending, m.changed
	m.pending, m.changed = nil, nil
	m.mu.Lock()
	// First: a reader that sees the new height must find what it wrote.
	m.written.add(m.state.Height()+1, changed)
	m.mu.Unlock()
	if err := m.state.Commit(u); err != nil {
		return err
	}
	for _, c := range u.Changes() {
		if len(c.Key) == 9 && c.Key[0] == letterSlot {
			m.index.Set(int(numberAt(c.Key[1:])), slotOf(c))
		}
	}
	m.mu.Lock()
	m.rules = m.next
	m.mu.Unlock()
	return nil
}

// Rules are those in force after the last committed block.
func (m *Machine) Rules() Rules {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.rules
}

// BlobsSince is the blobs whose entries blocks after height wrote. ok is false where that
// is not known any more, or not yet: then the caller has to look at all.
func (m *Machine) BlobsSince(height unit.Height) (ids []blob.ID, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.written.since(height)
}

// Genesis is what the chain started from.
func (m *Machine) Genesis() Genesis { return m.genesis }

// ChainID is the chain's.
func (m *Machine) ChainID() token.ChainID { return m.chain }

// Height is the last committed height; 0 is the genesis.
func (m *Machine) Height() unit.Height { return m.state.Height() }

// AppHash is the root of the committed state.
func (m *Machine) AppHash() blob.Hash { return m.state.Root() }

// View reads the committed state. It stays the same state while blocks go by, and
// answers state.ErrHeight after two more: take one for a task, not for good.
func (m *Machine) View() (View, error) { return m.ViewAt(m.state.Height()) }

// ViewAt reads the state of a height that is still kept: the last one and two before.
func (m *Machine) ViewAt(height unit.Height) (View, error) {
	at, err := m.state.At(height)
	return View{at}, err
}

// Hold is a View that stays readable until release is called.
func (m *Machine) Hold() (v View, release func(), err error) {
	height := m.state.Height()
	if release, err = m.state.Hold(height); err != nil {
		return View{}, nil, err
	}
	v, err = m.ViewAt(height)
	return v, release, err
}

// Prove proves what a key holds at a height that is kept.
func (m *Machine) Prove(key []byte, height unit.Height) (state.Proof, error) {
	return m.state.Prove(height, key)
}

// Verify checks a proof against an app hash of this genesis' chain.
func (g Genesis) Verify(p state.Proof, appHash blob.Hash, key []byte) (value []byte, ok bool, err error) {
	return p.Verify(appHash, g.Salt(), g.Params.Buckets, key)
}

// Validators are those of the committed state's committee, all of them.
func (m *Machine) Validators() ([]Validator, error) {
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	h, err := v.Head()
	if err != nil {
		return nil, err
	}
	c, err := v.Committee(h.Epoch)
	if err != nil {
		return nil, err
	}
	return c.Validators(), nil
}

// HoldAt is the keys of a height that is kept: they stay readable until release is called.
func (m *Machine) HoldAt(height unit.Height) (at state.Lister, release func(), err error) {
	return m.state.HoldAt(height)
}

// Salt and Buckets are what the state's tree is made with.
func (m *Machine) Salt() [32]byte { return m.state.Salt() }

// Buckets is the number of leaves of the state's tree.
func (m *Machine) Buckets() int { return m.state.Buckets() }

// Nodes is the hashes of a level of the state's tree at a height that is kept.
func (m *Machine) Nodes(height unit.Height, level int) ([]blob.Hash, error) {
	return m.state.Nodes(height, level)
}

// EncodeTxReceipt and DecodeTxReceipt carry a receipt over a wire, with the beginning of a
// long log.
func EncodeTxReceipt(r TxReceipt) []byte {
	r.Log = shortLog(r.Log)
	return canon.Encode(r)
}

func shortLog(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxLog)], "") }

// DecodeTxReceipt reads a receipt from a stranger.
func DecodeTxReceipt(b []byte) (r TxReceipt, err error) {
	if len(b) > 4096 {
		return r, fmt.Errorf("receipt of %d bytes", len(b))
	}
	err = canon.Decode(b, &r)
	return r, err
}
