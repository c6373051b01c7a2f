package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// Rounds is a network whose ledger runs its challenges itself, block by block: reveals,
// draws, questions, votes, tallies and the ladder are the real ones. What is modelled is
// what each node holds, which nodes are up, and which messages arrive.
type Rounds struct {
	Nodes   int     `json:"nodes"`
	Shards  int     `json:"shards"`
	Blobs   int     `json:"blobs"`
	Rounds  int     `json:"rounds"` // in an epoch
	Epochs  int     `json:"epochs"`
	Drop    float64 `json:"drop"`    // part of its fragments that node0 has dropped and not declared
	Loss    float64 `json:"loss"`    // part of messages that never arrive: proofs, requests for them, votes
	Crashes int     `json:"crashes"` // of each node in an epoch, each as long as a sixth of a round
	Seed    uint64  `json:"seed"`
}

// RoundsResult is what became of it.
type RoundsResult struct {
	Rounds
	Caught  int             `json:"caught"` // the round, from 1, in which node0 failed first; 0: it never did
	Void    uint64          `json:"void_rounds"`
	Credits []RoundsCredit  `json:"nodes"`
	Slashes []RoundsSlashed `json:"slashes"`
}

// RoundsCredit is one node's shard-rounds in all epochs.
type RoundsCredit struct {
	ID       string `json:"id"`
	Assigned uint64 `json:"assigned"`
	Passed   uint64 `json:"passed"`
	Failed   uint64 `json:"failed"`
	Away     uint64 `json:"away"`
}

// RoundsSlashed is one slash.
type RoundsSlashed struct {
	ID string `json:"id"`
	Slash
}

// roundBlocks is the shortest round that challenges fit into: time that only passes is
// not simulated.
const roundBlocks = 70

// Validate refuses what makes no network, and says what to do.
func (o Rounds) Validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf(format+": %w", append(args, ErrOptions)...)
	}
	switch {
	case o.Nodes < minNodes || o.Nodes > maxNodes:
		return fail("%d nodes: %d to %d", o.Nodes, minNodes, maxNodes)
	case o.Shards < o.Nodes || o.Shards > blob.MaxShards:
		return fail("%d shards for %d nodes: at least one for each, at most %d", o.Shards, o.Nodes, blob.MaxShards)
	case o.Blobs < 1 || o.Blobs > 100_000:
		return fail("%d blobs: 1 to 100000", o.Blobs)
	case o.Rounds < 1 || o.Rounds > 1000 || o.Epochs < 1 || o.Epochs > 100:
		return fail("%d rounds in each of %d epochs: 1 to 1000 in 1 to 100", o.Rounds, o.Epochs)
	case !(o.Drop >= 0 && o.Drop <= 1):
		return fail("drop %v: 0 (keeps all) to 1 (keeps nothing)", o.Drop)
	case !(o.Loss >= 0 && o.Loss < 1):
		return fail("loss %v: from 0 to below 1", o.Loss)
	case o.Crashes < 0 || o.Crashes > o.Rounds:
		return fail("%d crashes in an epoch of %d rounds: at most one a round", o.Crashes, o.Rounds)
	}
	return nil
}

// params are a real network's, but for the length of rounds and epochs.
func (o Rounds) params() ledger.Params {
	p := ledger.Default()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch = o.Shards, roundBlocks, uint64(o.Rounds)
	p.Challenge, _ = challenge.Fitting(roundBlocks)
	p.Buckets = 1 << 12
	p.Subsidy = subsidyPerNode * amount(o.Nodes)
	return p
}

// rounds is such a network on its way.
type rounds struct {
	o         Rounds
	p         ledger.Params
	l         *ledger.Local
	chain     token.ChainID
	people    *people
	index     map[staking.NodeID]int
	committee ledger.Committee
	random    *rand.Rand
	clock     int64
	nodes     []*party
	pending   []ledger.VoteExtension // of the votes on the last block
	asked     int                    // rounds with questions that are over
	seen      challenge.Round        // the last of them
	out       RoundsResult
}

// party is one node in the round under way.
type party struct {
	secret   token.Secret
	downs    []span // of the present epoch
	round    challenge.Round
	reveal   []byte
	sends    uint64              // height at which its proofs go out
	sent     bool                // by now
	listened bool                // since the draw
	heard    map[blob.Shard]bool // whose proofs it has
	proves   map[blob.Shard]bool // its own, by what it holds
	pulled   bool
}

type span struct{ from, to uint64 }

func (p *party) up(height uint64) bool {
	for _, d := range p.downs {
		if height >= d.from && height < d.to {
			return false
		}
	}
	return true
}

// Run simulates it to its end.
func (o Rounds) Run(ctx context.Context) (RoundsResult, error) {
	if err := o.Validate(); err != nil {
		return RoundsResult{}, err
	}
	s := &rounds{o: o, p: o.params(), people: newPeople(o.Nodes), index: map[staking.NodeID]int{}, random: stream(o.Seed, streamDraws, 0), clock: began}
	s.out = RoundsResult{Rounds: o, Slashes: []RoundsSlashed{}}
	for i, id := range s.people.ids {
		s.index[id] = i
		s.nodes = append(s.nodes, &party{secret: s.people.secrets[i]})
		s.out.Credits = append(s.out.Credits, RoundsCredit{ID: NodeName(i)})
	}
	var err error
	if s.l, err = ledger.NewLocal(s.people.genesis(s.p, o.Epochs+1), state.NewMemory(), func() int64 { return s.clock }); err != nil {
		return RoundsResult{}, err
	}
	s.chain = s.l.ChainID()
	if err := s.store(); err != nil {
		return RoundsResult{}, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	for first := s.epoch(); s.epoch() < first+uint64(o.Epochs); {
		if err := ctx.Err(); err != nil {
			return RoundsResult{}, err
		}
		if err := s.block(); err != nil {
			return RoundsResult{}, fmt.Errorf("seed %d, block %d: %w", o.Seed, s.l.Height(), err)
		}
	}
	return s.out, nil
}

func (s *rounds) epoch() uint64 { return s.committee.Epoch }

// store brings the blobs in and lets an epoch go by, so that all of them can be drawn
// from the first round that is watched.
func (s *rounds) store() error {
	shape, err := s.p.Shape()
	if err != nil {
		return err
	}
	layout, err := shape.Layout(1 << 20)
	if err != nil {
		return err
	}
	if err := s.convene(); err != nil {
		return err
	}
	const atOnce = 32 // of one key's, in a block
	for at := 0; at < s.o.Blobs; at += atOnce {
		var register, certify [][]byte
		for i := at; i < min(at+atOnce, s.o.Blobs); i++ {
			m := blob.NewManifest(layout, blob.Leaf(fmt.Appendf(nil, "blob %d of %d", i, s.o.Seed)))
			register = append(register, s.people.customer.sign(s.chain, ledger.RegisterBlob{Manifest: m, Epochs: uint64(s.o.Epochs) + 3, Owner: s.people.customer.address(), Permanent: true}))
			tx, err := s.people.certify(s.chain, s.committee, s.index, m)
			if err != nil {
				return err
			}
			certify = append(certify, tx)
		}
		for _, txs := range [][][]byte{register, certify} {
			if err := s.block(txs...); err != nil {
				return err
			}
		}
	}
	for first := s.epoch(); s.epoch() == first; {
		if err := s.block(); err != nil {
			return err
		}
	}
	for i := range s.out.Credits { // what was before is not watched
		s.out.Credits[i] = RoundsCredit{ID: NodeName(i)}
	}
	s.out.Void, s.out.Slashes, s.out.Caught, s.asked = 0, []RoundsSlashed{}, 0, 0
	return nil
}

// convene begins an epoch: what each node holds, and which nodes will crash when.
func (s *rounds) convene() error {
	v, err := s.l.View(context.Background())
	if err != nil {
		return err
	}
	h, err := v.Head()
	if err != nil {
		return err
	}
	if s.committee, err = v.Committee(h.Epoch); err != nil {
		return err
	}
	for _, n := range s.nodes {
		n.downs = nil
		for range s.o.Crashes {
			from := h.EpochStart + uint64(s.random.Int64N(int64(h.EpochEnd-h.EpochStart)))
			n.downs = append(n.downs, span{from, from + roundBlocks/6})
		}
	}
	return nil
}

// block runs one, with what the votes on the last one carried.
func (s *rounds) block(txs ...[]byte) error {
	height := s.l.Height() + 1
	w, err := s.l.Machine().Wants(height)
	if err != nil {
		return err
	}
	b := ledger.Block{Txs: txs}
	if w.Carry {
		b.Extensions = s.pending
	}
	if w.Last {
		n := s.proposer(height)
		b.Proposer, b.Last = staking.NodeID(n.secret.Key().Public()), n.secret.BLSKey().Sign(challenge.LastMessage(s.chain, w.Round))
	}
	s.clock += int64(s.p.BlockMs)
	r, err := s.l.Run(b)
	if err != nil {
		return err
	}
	for _, tx := range r.Txs {
		if tx.Code != 0 {
			return fmt.Errorf("%s was refused: %s", tx.Kind, tx.Log)
		}
	}
	if err := s.follow(height); err != nil {
		return err
	}
	s.pending = s.votes(w, height)
	return nil
}

func (s *rounds) proposer(height uint64) *party {
	for i := range s.nodes {
		if n := s.nodes[(int(height)+i)%len(s.nodes)]; n.up(height) {
			return n
		}
	}
	return s.nodes[0]
}

// arrives says whether a message does.
func (s *rounds) arrives() bool { return s.o.Loss == 0 || s.random.Float64() >= s.o.Loss }

// votes are those on the block of a height, which w is about.
func (s *rounds) votes(w ledger.Wants, height uint64) (out []ledger.VoteExtension) {
	if !w.Reveal && !w.Attest && w.Closer == (staking.NodeID{}) {
		return nil
	}
	for i, n := range s.nodes {
		if !n.up(height) || !s.arrives() {
			continue
		}
		v := ledger.VoteExtension{Node: s.people.ids[i], Power: 1}
		switch {
		case w.Closer != (staking.NodeID{}):
			if w.Closer != v.Node {
				continue
			}
			v.Extension = challenge.NewClosing(s.chain, n.secret.BLSKey(), w.Round, w.Turn).Encode()
		case w.Reveal:
			if n.round != w.Round || n.reveal == nil {
				n.round, n.reveal = w.Round, challenge.NewReveal(s.chain, n.secret.BLSKey(), w.Round).Encode()
			}
			v.Extension = n.reveal
		default:
			yes := make([]byte, (s.p.Shards+7)/8)
			for shard := range n.heard {
				yes[shard/8] |= 1 << (shard % 8)
			}
			v.Extension = challenge.NewAttest(w.Round, n.listened, blob.Hash{}, yes).Encode()
		}
		out = append(out, v)
	}
	return out
}

// follow lets the nodes do what a block asks of them, and enters what it ended.
func (s *rounds) follow(height uint64) error {
	v, err := s.l.View(context.Background())
	if err != nil {
		return err
	}
	h, err := v.Head()
	if err != nil {
		return err
	}
	if h.Epoch != s.epoch() {
		if err := s.account(v); err != nil {
			return err
		}
		if err := s.convene(); err != nil {
			return err
		}
	}
	r, known, err := v.Round()
	if err != nil || !known || !r.Drawn {
		return err
	}
	if r.Over {
		return s.enter(v, r)
	}
	if height == r.T {
		s.ask(r)
	}
	s.carry(r, height)
	return nil
}

// ask settles what each node can prove: what it holds.
func (s *rounds) ask(r ledger.RoundState) {
	for _, n := range s.nodes {
		n.heard, n.proves, n.sent, n.pulled = map[blob.Shard]bool{}, map[blob.Shard]bool{}, false, false
		n.listened = n.up(r.T)
		n.sends = r.T + 1 // within a sixth of the time until the deadline
	}
	for shard, id := range s.committee.Holder {
		if i := s.index[id]; r.Asked(blob.Shard(shard)) {
			s.nodes[i].proves[blob.Shard(shard)] = i > 0 || s.holds(r, blob.Shard(shard))
		}
	}
}

// holds says whether node0 has all that a shard is asked for.
func (s *rounds) holds(r ledger.RoundState, shard blob.Shard) bool {
	if s.o.Drop == 0 {
		return true
	}
	for _, q := range r.Challenge(s.chain, s.p.Challenge, shard).Questions {
		name := binary.BigEndian.AppendUint64(q.Blob[:], uint64(q.Stripe)<<32|uint64(q.Place)<<1|uint64(q.Axis)&1)
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(name, s.o.Seed))
		if float64(binary.BigEndian.Uint64(sum[:])>>11)/(1<<53) < s.o.Drop {
			return false
		}
	}
	return true
}

// carry moves proofs: gossip tells every node once; what did not arrive is asked for.
func (s *rounds) carry(r ledger.RoundState, height uint64) {
	due := r.T + s.p.Challenge.Deadline
	for _, n := range s.nodes {
		if !n.up(height) { // a process that ends forgets
			n.listened, n.heard = false, map[blob.Shard]bool{}
			continue
		}
		if height < n.sends || n.sent || height >= due {
			continue
		}
		n.sent = true
		for shard := range blob.Shard(s.p.Shards) { // in order: one seed gives one history
			for _, to := range s.nodes {
				if n.proves[shard] && to.up(height) && (to == n || s.arrives()) {
					to.heard[shard] = true
				}
			}
		}
	}
	if height < r.T+s.p.Challenge.Pull || height >= due {
		return
	}
	for _, n := range s.nodes {
		if n.up(height) && !n.pulled {
			n.pulled = true
			s.pull(n, height)
		}
	}
}

// pull asks the owner of what a node lacks, then two peers.
func (s *rounds) pull(n *party, height uint64) {
	for shard, id := range s.committee.Holder {
		of := []*party{s.nodes[s.index[id]], s.nodes[s.random.IntN(len(s.nodes))], s.nodes[s.random.IntN(len(s.nodes))]}
		for _, from := range of {
			if !n.heard[blob.Shard(shard)] && from.up(height) && from.heard[blob.Shard(shard)] && s.arrives() && s.arrives() {
				n.heard[blob.Shard(shard)] = true
			}
		}
	}
}

// enter notes when node0 has failed first.
func (s *rounds) enter(v ledger.View, r ledger.RoundState) error {
	if s.seen == r.Round || len(r.Drawings) == 0 {
		return nil
	}
	s.seen = r.Round
	s.asked++
	if s.out.Caught > 0 {
		return nil
	}
	t, err := v.Tally(r.Round.Epoch)
	if err != nil {
		return err
	}
	k, in := s.committee.Index(s.people.ids[0])
	if in && t.Nodes[k].Failed > 0 {
		s.out.Caught = s.asked
	}
	return nil
}

// account enters the end of the epoch that is over.
func (s *rounds) account(v ledger.View) error {
	books, known, err := v.Books(s.epoch())
	if err != nil || !known {
		return fmt.Errorf("no books of epoch %d: %w", s.epoch(), err)
	}
	s.out.Void += books.Tallied - books.Judged
	for i, id := range s.people.ids {
		o, known, err := v.Statement(s.epoch(), id)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		c := &s.out.Credits[i]
		c.Assigned += o.Credit.Assigned
		c.Passed += o.Credit.Passed
		c.Failed += o.Credit.Failed
		c.Away += o.Credit.Away
		if o.Verdict.Bps > 0 {
			s.out.Slashes = append(s.out.Slashes, RoundsSlashed{NodeName(i), Slash{s.epoch(), o.Verdict.Rung, o.Verdict.Bps}})
		}
	}
	return nil
}
