package comet

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// appVersion is the version of the application protocol, not of the rules: those
// are in the state.
const appVersion = 1

// receiptsKept is how many receipts are remembered for callers that ask after their
// transaction was committed: some minutes' worth of full blocks.
const receiptsKept = 1 << 16

// app is the state machine as CometBFT drives it. It translates and holds no rule.
type app struct {
	abci.BaseApplication
	machine   *ledger.Machine
	fail      func(error) // told once, when the machine cannot go on
	log       *slog.Logger
	extender  extender
	addresses addresses
	self      staking.NodeID            // for chooser. Set by Chain
	chooser   func(ProposerView) Choice // nil: honest
	// wants and execute are the machine's.
	wants func(height unit.Height) (ledger.Wants, error)
	// lastWanted is the newest answer of wants that a vote was judged by.
	lastWanted atomic.Pointer[wantedAt]
	execute    func(ledger.Block) (ledger.Result, error)
	// catchingUp says that blocks come from CometBFT's block sync. Set by Chain.
	catchingUp func() bool
	// hadTheTurn says whether a block's proposer had the turn to propose it. It is called
	// from ProcessProposal alone. Set by Chain.
	hadTheTurn func(block, proposer []byte) bool
	urgent     func() [][]byte // see Options
	// retain is the height below which blocks may go; nil: none may. Set by Chain.
	retain func(height int64) (int64, error)
	// knocks judges a connection to CometBFT's port before its handshake. Set by Chain.
	knocks func(remote string) error

	mu       sync.Mutex // guards the fields below
	changed  chan struct{}
	settled  unit.Height // the last height whose receipts are there
	block    []blockTx
	receipts map[blob.Hash]ledger.TxReceipt
	order    []blob.Hash // of receipts, oldest first
	waiting  map[blob.Hash][]chan ledger.TxReceipt
}

// forget is set in the code of a transaction without a nonce when CometBFT is told
// what became of it. It remembers the bytes of what was done and drops them when
// they come again; but a certificate may rightly come again, byte for byte, when a
// blob was deleted and is stored once more in the same epoch.
const forget = 1 << 31

// blockTx is a transaction of the block that is about to be committed.
type blockTx struct {
	hash   blob.Hash
	result ledger.TxResult
}

func newApp(m *ledger.Machine, o Options, fail func(error)) *app {
	return &app{machine: m, fail: fail, log: o.Log, chooser: o.Choose, extender: extender{chain: m.ChainID(), key: o.BLS, attester: o.Attester},
		addresses: addresses{m, map[string]staking.NodeID{}}, wants: m.Wants, execute: m.Execute,
		catchingUp: func() bool { return false }, hadTheTurn: func(_, _ []byte) bool { return false }, urgent: o.Urgent,
		changed: make(chan struct{}), settled: m.Height(),
		receipts: map[blob.Hash]ledger.TxReceipt{}, waiting: map[blob.Hash][]chan ledger.TxReceipt{}}
}

// filterByAddress is the question CometBFT asks of a connection that was just made.
const filterByAddress = "/p2p/filter/addr/"

// Query answers CometBFT alone: there is no other door to it.
func (a *app) Query(_ context.Context, q *abci.RequestQuery) (*abci.ResponseQuery, error) {
	if remote, ok := strings.CutPrefix(q.Path, filterByAddress); ok && a.knocks != nil {
		if err := a.knocks(remote); err != nil {
			return &abci.ResponseQuery{Code: 1, Log: err.Error()}, nil
		}
	}
	return &abci.ResponseQuery{}, nil
}

// Info says how far the state is, so that CometBFT replays what is missing.
func (a *app) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	hash := a.machine.AppHash()
	r := &abci.ResponseInfo{Data: "walrus", AppVersion: appVersion, LastBlockHeight: int64(a.machine.Height())}
	if r.LastBlockHeight > 0 {
		r.LastBlockAppHash = hash[:]
	}
	return r, nil
}

// InitChain gives the genesis committee and the state it was laid with.
func (a *app) InitChain(context.Context, *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	validators, err := a.machine.Validators()
	if err != nil {
		return nil, err
	}
	hash := a.machine.AppHash()
	return &abci.ResponseInitChain{Validators: updatesOf(validators), AppHash: hash[:]}, nil
}

func updatesOf(validators []ledger.Validator) []abci.ValidatorUpdate {
	out := make([]abci.ValidatorUpdate, len(validators))
	for i, v := range validators {
		out[i] = abci.Ed25519ValidatorUpdate(v.NodeID[:], v.Power)
	}
	return out
}

// CheckTx is the door of the mempool.
func (a *app) CheckTx(_ context.Context, r *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	var err error
	if isVotes(r.Tx) {
		err = fmt.Errorf("%w: votes on a block come from its proposer alone", ledger.ErrMalformed)
	} else {
		err = a.machine.Check(r.Tx)
	}
	if err == nil {
		return &abci.ResponseCheckTx{}, nil
	}
	a.defect("a transaction at the mempool's door", r.Tx, ledger.DefectOf(err))
	return &abci.ResponseCheckTx{Code: uint32(ledger.CodeOf(err)), Log: err.Error()}, nil
}

// FinalizeBlock works out an agreed block. Logs are kept for the callers of this node and
// not handed on: they are no part of what is agreed.
func (a *app) FinalizeBlock(_ context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	b, err := a.agreed(r)
	if err != nil {
		return nil, a.broken(fmt.Errorf("block %d: %w", r.Height, err))
	}
	result, err := a.execute(b)
	if err != nil {
		return nil, a.broken(fmt.Errorf("block %d: %w", r.Height, err))
	}
	out := &abci.ResponseFinalizeBlock{AppHash: result.AppHash[:], ValidatorUpdates: updatesOf(result.Validators)}
	if len(b.Txs) < len(r.Txs) {
		out.TxResults = append(out.TxResults, &abci.ExecTxResult{}) // CometBFT wants one for transaction 0 too
	}
	block := make([]blockTx, len(b.Txs))
	for i, t := range result.Txs {
		block[i] = blockTx{ledger.TxHash(b.Txs[i]), t}
		a.defect("a transaction in a block", b.Txs[i], t.Defect)
		code := uint32(t.Code)
		if t.Kind.Unsigned() {
			code |= forget
		}
		out.TxResults = append(out.TxResults, &abci.ExecTxResult{Code: code})
	}
	a.mu.Lock()
	a.block = block
	a.mu.Unlock()
	return out, nil
}

// defect says loudly that a transaction has brought a mistake of this program to light.
func (a *app) defect(where string, tx []byte, trace string) {
	if trace != "" {
		a.log.Error("mistake of this program: "+where+" met a broken invariant and was refused; please report this line", "tx", fmt.Sprintf("%.4096x", tx), "trace", trace)
	}
}

// agreed is an agreed block as the ledger takes it.
func (a *app) agreed(r *abci.RequestFinalizeBlock) (b ledger.Block, err error) {
	b.Height, b.TimeMs = unit.Height(r.Height), r.Time.UnixMilli()
	if b.DoubleSigns, err = a.doubleSigns(r.Misbehavior); err != nil {
		return b, err
	}
	if b.Proposer, _, err = a.addresses.node(r.ProposerAddress); err != nil {
		return b, err
	}
	w, err := a.wants(b.Height)
	if err == nil {
		b.Extensions, b.Last, b.Txs, err = a.carried(w, r)
	}
	return b, err
}

// doubleSigns turns CometBFT's evidence into the ledger's: its addresses into nodes.
// Both kinds prove that a validator signed two blocks at one height: by two votes, or
// by a block shown to a light client only. Addresses that no node ever had say nothing.
func (a *app) doubleSigns(evidence []abci.Misbehavior) (out []ledger.DoubleSign, err error) {
	for _, e := range evidence {
		counts := e.Type == abci.MisbehaviorType_DUPLICATE_VOTE || e.Type == abci.MisbehaviorType_LIGHT_CLIENT_ATTACK
		id, known, err := a.addresses.node(e.Validator.Address)
		if err != nil {
			return nil, err
		}
		if known && counts {
			out = append(out, ledger.DoubleSign{Node: id, Height: unit.Height(e.Height), Power: e.Validator.Power})
		}
	}
	return out, nil
}

// Commit makes the block durable and tells the callers that wait.
func (a *app) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	if err := a.machine.Commit(); err != nil {
		return nil, a.broken(fmt.Errorf("commit: %w", err))
	}
	height := a.machine.Height()
	w, err := a.wants(height + 1)
	if err != nil {
		return nil, a.broken(fmt.Errorf("commit: %w", err))
	}
	if w.Reveal {
		a.extender.prepare(w.Round)
	}
	r := &abci.ResponseCommit{}
	if a.retain != nil {
		if r.RetainHeight, err = a.retain(int64(height)); err != nil {
			return nil, a.broken(fmt.Errorf("commit: %w", err))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.block {
		a.settle(e.hash, ledger.TxReceipt{Height: height, Code: e.result.Code, Log: e.result.Log})
	}
	a.block, a.settled = nil, height
	close(a.changed)
	a.changed = make(chan struct{})
	return r, nil
}

// settle needs mu held. A transaction may be in several blocks: the last time that
// it was done is what its sender asks for.
func (a *app) settle(hash blob.Hash, r ledger.TxReceipt) {
	was, known := a.receipts[hash]
	if known && was.Code == 0 && r.Code != 0 {
		r = was
	}
	a.receipts[hash] = r
	if !known {
		a.order = append(a.order, hash)
		if len(a.order) > receiptsKept {
			delete(a.receipts, a.order[0])
			a.order = a.order[1:]
		}
	}
	for _, c := range a.waiting[hash] {
		c <- r
	}
	delete(a.waiting, hash)
}

// await is a channel that gets the receipt of a transaction when the next block that
// holds it is committed, and what to call when it is no longer waited for.
func (a *app) await(hash blob.Hash) (<-chan ledger.TxReceipt, func()) {
	c := make(chan ledger.TxReceipt, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[hash] = append(a.waiting[hash], c)
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		list := a.waiting[hash]
		for i := range list {
			if list[i] == c {
				a.waiting[hash] = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		if len(a.waiting[hash]) == 0 {
			delete(a.waiting, hash)
		}
	}
}

// receiptAt is the receipt of a transaction, once those of a height are there.
func (a *app) receiptAt(ctx context.Context, height unit.Height, hash blob.Hash) (ledger.TxReceipt, bool, error) {
	for {
		a.mu.Lock()
		r, ok := a.receipts[hash]
		settled, changed := a.settled, a.changed
		a.mu.Unlock()
		if ok || settled >= height {
			return r, ok, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, false, ctx.Err()
		}
	}
}

func (a *app) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

// broken reports that the machine cannot go on. CometBFT panics on what comes back; the
// process is to end with the reason, not with a trace. While it catches up CometBFT does
// so in a goroutine that no caller can guard: that goroutine alone ends here, and
// Chain.Run, which was told, ends the rest.
func (a *app) broken(err error) error {
	a.fail(err)
	if a.catchingUp() {
		runtime.Goexit()
	}
	return err
}
