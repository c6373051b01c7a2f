package rounds

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// lookAgain is the longest time between two looks at the ledger.
const lookAgain = 15 * time.Second

// Ledger gives the records of the ledger and takes transactions.
type Ledger interface {
	View(ctx context.Context) (ledger.View, error)
	// Submit returns when a block holds the transaction.
	Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error)
	// Changed is closed when a block after this call was applied.
	Changed() <-chan struct{}
	// AtTip says whether the ledger is as new as the network's, as far as it can know.
	AtTip() bool
}

// Config is a node as its rounds need it.
type Config struct {
	Chain     token.ChainID
	Key       token.Key // of the node: it signs its proofs
	Host      *p2p.Host
	Ledger    Ledger
	Fragments challenge.Source // of the node's possession
	Freeze    *Freeze          // follows the ledger; the node asks it before it answers
	ProofsDir string           // of the proofs of the last rounds; empty: they are in memory
	Log       *slog.Logger
}

// Participant is a node's part in all rounds.
type Participant struct {
	Config
	id      staking.NodeID
	conduct Conduct // fixed once Run began
	gossip  *p2p.Gossip
	topic   string
	archive archive
	members members // the peers whose questions about proofs go first

	mu    sync.Mutex // guards the fields below
	now   *inbox     // of the last round that was drawn
	past  []*inbox   // of the rounds before, latest first: peers may still ask for their proofs
	early map[earlyKey][]byte

	tasks    sync.WaitGroup // what messages and blocks begin
	defences defences
}

// New prepares a node's part in the rounds of its chain. The parts of the config stay
// the caller's, and are needed until Run has returned.
func New(c Config) *Participant {
	p := &Participant{Config: c, id: staking.NodeID(c.Key.Public()), topic: p2p.ProofTopic(string(c.Chain)), archive: archive{c.ProofsDir}, early: map[earlyKey][]byte{}}
	p.defences = defences{p: p, open: map[disputeID]*defence{}}
	gossip, err := p2p.NewGossip(c.Host, p.topic)
	if err != nil {
		panic(fmt.Sprintf("rounds: %v", err)) // one topic, with a name
	}
	p.gossip = gossip
	return p
}

// Behave gives the node another conduct than an honest one. It is called before Run.
func (p *Participant) Behave(c Conduct) { p.conduct = c }

// Run follows the ledger from round to round until ctx ends. It returns when nothing of
// it runs any more, and runs once. Errors: those of the gossip.
func (p *Participant) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.Host.SetStanding(p.members.standing)
	p.Host.ServeProofs(p.serveProof, p.members.has)
	p.gossip.Handle(p.topic, p.handler(ctx))
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- p.gossip.Run(ctx)
	}()
	live := false
	for ctx.Err() == nil {
		changed := p.Ledger.Changed()
		if err := p.look(ctx, live); err != nil && ctx.Err() == nil {
			p.Log.Warn("look at the round under way", "err", err)
		}
		if err := p.defences.look(ctx); err != nil && ctx.Err() == nil {
			p.Log.Warn("look at the disputes", "err", err)
		}
		live = true
		again := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
		case <-again.C:
		case <-changed:
		}
		again.Stop()
	}
	err := <-ended // before the tasks: the gossip's messages begin some
	p.tasks.Wait()
	return err
}

// Attest is the node's attestation of a round, see comet.Attester. It returns at once.
func (p *Participant) Attest(round challenge.RoundID) (listened bool, own blob.Hash, yes blob.ShardSet) {
	b := p.inbox(round)
	if b == nil {
		return false, blob.Hash{}, nil
	}
	listened, own, yes = b.attest()
	a := p.conduct.attest(Attestation{listened, own, yes, len(b.committee.Holder)})
	return a.Listened, a.Own, a.Yes
}

// Urgent lists the transactions that go first into a block that this node proposes:
// its answers to open disputes.
func (p *Participant) Urgent() [][]byte { return p.defences.urgent() }

// task runs work that messages and blocks begin. A panic in it ends that work alone.
func (p *Participant) task(work func()) {
	p.tasks.Go(func() {
		_ = p2p.Guard(p.Log, "follow a round", func() error {
			work()
			return nil
		})
	})
}

// inbox is the inbox of a round, or nil.
func (p *Participant) inbox(round challenge.RoundID) *inbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.state.Round == round {
		return p.now
	}
	for _, b := range p.past {
		if b.state.Round == round {
			return b
		}
	}
	return nil
}

// look does the work of the ledger's last block. live says that the node saw the block
// before it: otherwise it may have missed proofs that were sent since the draw.
func (p *Participant) look(ctx context.Context, live bool) error {
	v, err := p.Ledger.View(ctx)
	if err != nil {
		return err
	}
	head, err := v.Head()
	if err != nil {
		return err
	}
	if err := p.members.follow(v, head.Epoch); err != nil {
		return err
	}
	state, known, err := v.Round()
	if err != nil || !known {
		return err
	}
	params, err := v.Params()
	if err != nil {
		return err
	}
	p.Freeze.Follow(head, state, params, time.Now())
	if !state.Drawn {
		return nil
	}
	if b := p.inbox(state.Round); b != nil {
		b.follow(state, head.Height)
		p.pullIfDue(ctx, b, head.Height)
		return nil
	}
	if state.Over {
		return nil
	}
	b, err := p.open(v, state, live && head.Height <= state.T+1 && p.Ledger.AtTip())
	if err != nil {
		return err
	}
	b.follow(state, head.Height)
	p.takeEarly(ctx, b)
	p.task(func() { p.prove(ctx, b) })
	return nil
}

// open opens the inbox of a round. listened says that it is open since the draw.
func (p *Participant) open(v ledger.View, state ledger.RoundState, listened bool) (*inbox, error) {
	c, err := v.Committee(state.Round.Epoch)
	if err != nil {
		return nil, err
	}
	params, err := v.Params()
	if err != nil {
		return nil, err
	}
	b := newInbox(p.Chain, state, c, params, listened)
	b.archive = p.archive
	b.restore()
	if keep := params.Challenge.KeepRounds; state.Ordinal >= unit.Ordinal(keep) {
		if err := p.archive.forget((state.Ordinal + 1).Minus(keep)); err != nil {
			p.Log.Warn("remove the proofs of old rounds", "err", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.past = slices.Insert(p.past, 0, p.now)
	}
	p.past = p.past[:min(len(p.past), int(params.Challenge.KeepRounds)-1)] // as long as the ledger keeps the round
	p.now = b
	return b, nil
}
