package rounds

import (
	"errors"
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// inbox holds the proofs of one round that this node has received and checked. It is the
// node's own memory and no part of the ledger.
type inbox struct {
	chain     token.ChainID
	state     ledger.RoundState
	committee ledger.Committee
	params    ledger.Params
	listened  bool    // open since the draw
	archive   archive // of the messages

	mu         sync.Mutex // guards the fields below
	challenges map[blob.Shard]challenge.Challenge
	entries    map[blob.Shard]entry
	accused    map[staking.NodeID]bool // holders that the ledger is told of, or was
	promise    blob.Hash               // of the proofs that this node sent
	pulls      int                     // how often it asked for missing proofs
	closed     bool                    // the deadline is over: only promised proofs count
	votes      []ledger.RoundVote
}

// entry is a proof that was checked.
type entry struct {
	raw  []byte    // of the message; nil: it is in the archive
	late bool      // it came after the deadline
	in   inclusion // in its holder's promise
}

// Reasons to refuse a message. Some are not the sender's fault.
var (
	errOld      = errors.New("of another round")
	errTwice    = errors.New("received already")
	errLate     = errors.New("too late, and not promised in time")
	errNotAsked = errors.New("of a shard that the round does not ask")
	errFalse    = errors.New("signed by the holder, and false")
	errUnsigned = errors.New("not signed by the holder")
)

func newInbox(chain token.ChainID, r ledger.RoundState, c ledger.Committee, p ledger.Params, listened bool) *inbox {
	return &inbox{chain: chain, state: r, committee: c, params: p, listened: listened,
		challenges: map[blob.Shard]challenge.Challenge{}, entries: map[blob.Shard]entry{}, accused: map[staking.NodeID]bool{}}
}

// ask is the round's challenge to a shard.
func (b *inbox) ask(s blob.Shard) challenge.Challenge {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.challenges[s]
	if !ok {
		c = b.state.Challenge(b.chain, b.params.Challenge, s)
		b.challenges[s] = c
	}
	return c
}

// asked lists the shards that the round asks and that of accepts.
func (b *inbox) asked(of func(blob.Shard) bool) (out []blob.Shard) {
	for s := range b.committee.Holder {
		if b.state.Asked(blob.Shard(s)) && of(blob.Shard(s)) {
			out = append(out, blob.Shard(s))
		}
	}
	return out
}

// judge checks a message and keeps it. Errors: the reasons above. An errFalse proof has its
// holder's signature, and can be shown to the ledger.
func (b *inbox) judge(m challenge.Message, raw []byte) error {
	p := m.Proof
	switch {
	case p.Round != b.state.Round:
		return errOld
	case !b.state.Asked(p.Shard) || int(p.Shard) >= len(b.committee.Holder):
		return errNotAsked
	}
	if late, err := b.expects(m); err != nil {
		return err
	} else if late {
		if err := m.Promised(b.promiseOf(p.Shard)); err != nil {
			return fmt.Errorf("%w: %w", errLate, err)
		}
	}
	holder := b.committee.Holder[p.Shard].PublicKey()
	if holder.Verify(challenge.ProofMessage(b.chain, p), p.Signature) != nil {
		return errUnsigned
	}
	if err := b.ask(p.Shard).Verify(holder, p); err != nil {
		return fmt.Errorf("%w: %w", errFalse, err)
	}
	return b.keep(p.Shard, raw)
}

// keep keeps a checked message.
func (b *inbox) keep(s blob.Shard, raw []byte) error {
	got := entry{raw: raw}
	if m, err := challenge.DecodeMessage(raw); err == nil {
		got.in = inclusionOf(m)
	}
	if b.archive.put(b.state.Ordinal, s, raw) {
		got.raw = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, twice := b.entries[s]
	if twice && !b.spoiled(s, old) {
		return errTwice
	}
	got.late = b.closed && !(twice && !old.late)
	b.entries[s] = got
	return nil
}

// restore takes up the proofs that the archive has from before a restart. They were checked
// then; a crash may have damaged their files, so their names and signatures are checked
// again.
func (b *inbox) restore() {
	for s, holder := range b.committee.Holder {
		s := blob.Shard(s)
		raw, ok := b.archive.get(b.state.Ordinal, s)
		if !ok {
			continue
		}
		m, err := challenge.DecodeMessage(raw)
		if err != nil || m.Proof.Round != b.state.Round || m.Proof.Shard != s || holder.PublicKey().Verify(challenge.ProofMessage(b.chain, m.Proof), m.Proof.Signature) != nil {
			continue
		}
		b.mu.Lock()
		b.entries[s] = entry{in: inclusionOf(m)}
		b.mu.Unlock()
	}
}

// accuse says whether to show the ledger a false proof of a shard. It is true once for a
// holder: the ledger punishes it once for a round, however many false proofs it signs.
func (b *inbox) accuse(s blob.Shard) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	holder := b.committee.Holder[s]
	if b.accused[holder] {
		return false
	}
	b.accused[holder] = true
	return true
}

// release takes back an accusation that did not reach the ledger, so that the next false
// proof is shown.
func (b *inbox) release(s blob.Shard) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.accused, b.committee.Holder[s])
}

// expects returns errTwice for a proof that is not needed, and whether proofs are late now.
func (b *inbox) expects(m challenge.Message) (late bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, twice := b.entries[m.Proof.Shard]; twice && !b.spoiled(m.Proof.Shard, old) {
		return false, errTwice
	}
	return b.closed, nil
}

// inclusion is the proof that a message is one of those that its holder promised. The
// holder's signature does not cover it: a peer that passes the message on can change it.
type inclusion struct {
	sent   challenge.Sent
	at, of int
	path   []blob.Hash
}

func inclusionOf(m challenge.Message) inclusion {
	return inclusion{challenge.Sent{Shard: m.Proof.Shard, Proof: m.Proof.Hash()}, int(m.At), int(m.Of), m.Path}
}

// spoiled says that the kept message of a shard does not lead to the holder's promise on
// the ledger. Then the message with the right path is still missing. mu is held.
func (b *inbox) spoiled(s blob.Shard, kept entry) bool {
	promise := b.promised(s)
	return promise != blob.Hash{} && challenge.Promised(promise, kept.in.sent, kept.in.at, kept.in.of, kept.in.path) != nil
}

// promiseOf is the promise of the shard's holder on the ledger, or zero.
func (b *inbox) promiseOf(s blob.Shard) blob.Hash {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.promised(s)
}

// promised is promiseOf; mu is held.
func (b *inbox) promised(s blob.Shard) blob.Hash {
	i, _ := b.committee.Index(b.committee.Holder[s])
	for _, v := range b.votes {
		if int(v.Node) == i {
			return v.Own
		}
	}
	return blob.Hash{}
}

// follow takes over the ledger's state of the round.
func (b *inbox) follow(r ledger.RoundState, height unit.Height) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.votes = r.Votes
	b.closed = height >= r.T.Plus(b.params.Challenge.Deadline)
}

// sent keeps the node's own proofs, which it has checked.
func (b *inbox) sent(list []challenge.Message, promise blob.Hash) {
	b.mu.Lock()
	b.promise = promise
	b.mu.Unlock()
	for _, m := range list {
		_ = b.keep(m.Proof.Shard, m.Encode()) // errTwice after a restart
	}
}

// pullDue says that it is time to ask for missing proofs: once while they still count,
// and once for promised proofs that are late.
func (b *inbox) pullDue(height unit.Height) bool {
	p := b.params.Challenge
	b.mu.Lock()
	defer b.mu.Unlock()
	at := []unit.Height{b.state.T.Plus(p.Pull), b.state.T.Plus(p.Deadline+p.Attest) + 1}
	if b.pulls == len(at) || height < at[b.pulls] {
		return false
	}
	b.pulls++
	return true
}

// missing lists the shards that the round asks and whose proof this node lacks.
func (b *inbox) missing() []blob.Shard {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked(func(s blob.Shard) bool { got, has := b.entries[s]; return !has || b.spoiled(s, got) })
}

// message is the message with a shard's proof, if it was received.
func (b *inbox) message(s blob.Shard) ([]byte, bool) {
	b.mu.Lock()
	got, ok := b.entries[s]
	b.mu.Unlock()
	if !ok || got.raw != nil {
		return got.raw, ok
	}
	return b.archive.get(b.state.Ordinal, s)
}

// attest says which proofs this node has received so far.
func (b *inbox) attest() (listened bool, own blob.Hash, yes blob.ShardSet) {
	yes = blob.NewSet[blob.Shard](len(b.committee.Holder))
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.entries {
		yes.Add(s)
	}
	return b.listened, b.promise, yes
}
