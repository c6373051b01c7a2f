package node

import (
	"errors"
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// earlyRounds bounds how far ahead a round may be of which proofs are held until this
// node has drawn it too: one that is a block behind must not lose them.
const earlyRounds = 1

// hearing is one round of challenges as this node hears it: who was to prove what, and
// what came. It is the node's own memory and no part of the ledger.
type hearing struct {
	chain     token.ChainID
	state     ledger.RoundState
	committee ledger.Committee
	params    ledger.Params
	listened  bool   // since the draw
	bodies    bodies // where what was heard is kept

	mu        sync.Mutex // guards the fields below
	questions map[blob.Shard][]challenge.Question
	heard     map[blob.Shard]heard
	accused   map[staking.NodeID]bool // the ledger is told, or was
	promise   blob.Hash               // of what this node sent
	pulls     int                     // how often it asked for what gossip did not bring
	closed    bool                    // the deadline is over: only what was promised counts
	votes     []ledger.RoundVote
}

// heard is a proof that holds.
type heard struct {
	raw   []byte // of the message; nil: it is among the bodies
	late  bool   // it came after the deadline
	among among  // the promised ones
}

// Reasons for which a message is not taken. They are not all the sender's fault.
var (
	errOld      = errors.New("of a round that is over")
	errTwice    = errors.New("heard already")
	errLate     = errors.New("too late, and not promised in time")
	errNobody   = errors.New("of a shard that nobody has to prove")
	errFalse    = errors.New("signed by the holder, and false")
	errUnsigned = errors.New("not signed by the holder")
)

func newHearing(chain token.ChainID, r ledger.RoundState, c ledger.Committee, p ledger.Params, listened bool) *hearing {
	return &hearing{chain: chain, state: r, committee: c, params: p, listened: listened,
		questions: map[blob.Shard][]challenge.Question{}, heard: map[blob.Shard]heard{}, accused: map[staking.NodeID]bool{}}
}

// ask is what a shard is asked in this round.
func (h *hearing) ask(s blob.Shard) []challenge.Question {
	h.mu.Lock()
	defer h.mu.Unlock()
	q, ok := h.questions[s]
	if !ok {
		q = h.state.Questions(h.params, s)
		h.questions[s] = q
	}
	return q
}

// proving are the shards that are to be proven, of those that of takes.
func (h *hearing) proving(of func(blob.Shard) bool) (out []blob.Shard) {
	for s := range h.committee.Holder {
		if h.state.Asked(blob.Shard(s)) && of(blob.Shard(s)) {
			out = append(out, blob.Shard(s))
		}
	}
	return out
}

// judge takes a message: the cheap checks first. What is false although its holder
// signed it is errFalse, and can be shown to the ledger.
func (h *hearing) judge(m challenge.Message, raw []byte) error {
	p := m.Proof
	switch {
	case p.Round != h.state.Round:
		return errOld
	case !h.state.Asked(p.Shard) || int(p.Shard) >= len(h.committee.Holder):
		return errNobody
	}
	if late, err := h.expects(m); err != nil {
		return err
	} else if late {
		if err := m.Promised(h.promiseOf(p.Shard)); err != nil {
			return fmt.Errorf("%w: %w", errLate, err)
		}
	}
	holder := h.committee.Holder[p.Shard].PublicKey()
	if holder.Verify(challenge.ProofMessage(h.chain, p), p.Signature) != nil {
		return errUnsigned
	}
	if err := challenge.Verify(h.chain, holder, h.state.Round, h.state.Beacon, h.ask(p.Shard), h.state.Commitment, p); err != nil {
		return fmt.Errorf("%w: %w", errFalse, err)
	}
	return h.keep(p.Shard, raw)
}

// keep notes a message that holds.
func (h *hearing) keep(s blob.Shard, raw []byte) error {
	got := heard{raw: raw}
	if m, err := challenge.DecodeMessage(raw); err == nil {
		got.among = amongOf(m)
	}
	if h.bodies.put(h.state.Ordinal, s, raw) {
		got.raw = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old, twice := h.heard[s]
	if twice && !h.spoiled(s, old) {
		return errTwice
	}
	got.late = h.closed && !(twice && !old.late)
	h.heard[s] = got
	return nil
}

// restore takes up what was heard before a restart: it was checked then, and is now
// looked at only for what a crash may have done to it.
func (h *hearing) restore() {
	for s, holder := range h.committee.Holder {
		s := blob.Shard(s)
		raw, ok := h.bodies.get(h.state.Ordinal, s)
		if !ok {
			continue
		}
		m, err := challenge.DecodeMessage(raw)
		if err != nil || m.Proof.Round != h.state.Round || m.Proof.Shard != s || holder.PublicKey().Verify(challenge.ProofMessage(h.chain, m.Proof), m.Proof.Signature) != nil {
			continue
		}
		h.mu.Lock()
		h.heard[s] = heard{among: amongOf(m)}
		h.mu.Unlock()
	}
}

// accuse says whether the ledger is to be told that the holder of a shard lied: once,
// as it is punished once for a round, however many false proofs it signs.
func (h *hearing) accuse(s blob.Shard) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	holder := h.committee.Holder[s]
	if h.accused[holder] {
		return false
	}
	h.accused[holder] = true
	return true
}

// release takes an accusation back that did not reach the ledger: the next false proof
// is another chance.
func (h *hearing) release(s blob.Shard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.accused, h.committee.Holder[s])
}

// expects says whether a proof of the shard is still wanted, and whether it is late.
func (h *hearing) expects(m challenge.Message) (late bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, twice := h.heard[m.Proof.Shard]; twice && !h.spoiled(m.Proof.Shard, old) {
		return false, errTwice
	}
	return h.closed, nil
}

// among is where a message stands among those that its sender promised. The holder's
// signature does not cover it: a peer that passes the message on can change it.
type among struct {
	sent   challenge.Sent
	at, of int
	path   []blob.Hash
}

func amongOf(m challenge.Message) among {
	return among{challenge.Sent{Shard: m.Proof.Shard, Proof: m.Proof.Hash()}, int(m.At), int(m.Of), m.Path}
}

// spoiled says that what is kept of a shard does not lead to the holder's promise, now
// that the ledger has one: the message with the right path is as good as missing. mu is held.
func (h *hearing) spoiled(s blob.Shard, kept heard) bool {
	promise := h.promised(s)
	return promise != blob.Hash{} && challenge.Promised(promise, kept.among.sent, kept.among.at, kept.among.of, kept.among.path) != nil
}

// promiseOf is what the shard's holder promised at the deadline, on the ledger.
func (h *hearing) promiseOf(s blob.Shard) blob.Hash {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.promised(s)
}

// promised is promiseOf; mu is held.
func (h *hearing) promised(s blob.Shard) blob.Hash {
	i, _ := h.committee.Index(h.committee.Holder[s])
	for _, v := range h.votes {
		if int(v.Node) == i {
			return v.Own
		}
	}
	return blob.Hash{}
}

// follow takes over what the ledger says of the round by now.
func (h *hearing) follow(r ledger.RoundState, height uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.votes = r.Votes
	h.closed = height >= r.T+h.params.Challenge.Deadline
}

// sent notes the node's own proofs, which it has checked.
func (h *hearing) sent(list []challenge.Message, promise blob.Hash) {
	h.mu.Lock()
	h.promise = promise
	h.mu.Unlock()
	for _, m := range list {
		_ = h.keep(m.Proof.Shard, m.Encode()) // or it was, before a restart
	}
}

// pullDue says that it is time to ask for what is lacking: once while it still counts,
// and once for what was promised and is late.
func (h *hearing) pullDue(height uint64) bool {
	p := h.params.Challenge
	h.mu.Lock()
	defer h.mu.Unlock()
	at := []uint64{h.state.T + p.Pull, h.state.T + p.Deadline + p.Attest + 1}
	if h.pulls == len(at) || height < at[h.pulls] {
		return false
	}
	h.pulls++
	return true
}

// missing are the shards whose proof this node has not heard.
func (h *hearing) missing() []blob.Shard {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proving(func(s blob.Shard) bool { got, has := h.heard[s]; return !has || h.spoiled(s, got) })
}

// body is the message of a shard's proof, if it was heard.
func (h *hearing) body(s blob.Shard) ([]byte, bool) {
	h.mu.Lock()
	got, ok := h.heard[s]
	h.mu.Unlock()
	if !ok || got.raw != nil {
		return got.raw, ok
	}
	return h.bodies.get(h.state.Ordinal, s)
}

// attest is what this node says of the round: all that it has heard so far.
func (h *hearing) attest() (listened bool, own blob.Hash, yes []byte) {
	yes = make([]byte, (len(h.committee.Holder)+7)/8)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.heard {
		yes[s/8] |= 1 << (s % 8)
	}
	return h.listened, h.promise, yes
}
