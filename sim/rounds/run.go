package rounds

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// simulation is a network in the round under way.
type simulation struct {
	o         Options
	p         ledger.Params
	net       *sim.Network
	committee ledger.Committee
	random    *rand.Rand
	clock     int64
	nodes     []*party
	pending   []ledger.VoteExtension // of the votes on the last block
	asked     int                    // rounds with questions that are over
	seen      challenge.RoundID      // the last of them
	out       Result
}

// streamMessages is the purpose of the stream of random numbers for lost messages, pulls
// and crashes.
const streamMessages = 1

// Run simulates a network to its end.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	s := &simulation{o: o, p: o.params(), random: sim.Stream(o.Seed, streamMessages, 0), clock: sim.Began}
	var err error
	// The customer's money lasts two epochs longer than its leases.
	if s.net, err = sim.NewNetwork(o.Nodes, s.p, o.leaseEpochs()+2, func() int64 { return s.clock }); err != nil {
		return Result{}, err
	}
	for i := range o.Nodes {
		s.nodes = append(s.nodes, &party{secret: s.net.Secrets[i]})
	}
	s.watch()
	if err := s.store(); err != nil {
		return Result{}, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	for first := s.epoch(); s.epoch() < first.Plus(uint64(o.Epochs)); {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if err := s.block(); err != nil {
			return Result{}, fmt.Errorf("seed %d, block %d: %w", o.Seed, s.net.Ledger.Height(), err)
		}
	}
	return s.out, nil
}

func (s *simulation) epoch() unit.Epoch { return s.committee.Epoch }

// store certifies the blobs and runs to the end of the epoch, so that each can be drawn in
// the first watched round.
func (s *simulation) store() error {
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
			register = append(register, s.net.Register(m, uint64(s.o.leaseEpochs())))
			tx, err := s.net.Certify(s.committee, m)
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
	s.watch()
	return nil
}

// watch begins the result: it forgets the rounds before.
func (s *simulation) watch() {
	s.out, s.asked = Result{Options: s.o, Slashes: []NodeSlash{}}, 0
	for i := range s.o.Nodes {
		s.out.Credits = append(s.out.Credits, Credit{ID: sim.NodeName(i)})
	}
}

// convene begins an epoch: it reads the committee, and draws the times of crashes.
func (s *simulation) convene() error {
	v, err := s.net.View()
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
			from := h.EpochStart.Plus(uint64(s.random.Int64N(int64(h.EpochEnd.Since(h.EpochStart)))))
			n.downs = append(n.downs, span{from, from + roundBlocks/6})
		}
	}
	return nil
}

// block runs a block, with the extensions of the votes on the last one.
func (s *simulation) block(txs ...[]byte) error {
	height := s.net.Ledger.Height() + 1
	w, err := s.net.Ledger.Machine().Wants(height)
	if err != nil {
		return err
	}
	b := ledger.Block{Txs: txs}
	if w.Carry {
		b.Extensions = s.pending
	}
	if w.Last {
		n := s.proposer(height)
		b.Proposer, b.Last = staking.NodeID(n.secret.Key().Public()), n.secret.BLSKey().Sign(challenge.LastMessage(s.net.Chain, w.Round))
	}
	s.clock += int64(s.p.BlockMs)
	if err := s.net.Run(b); err != nil {
		return err
	}
	if err := s.follow(height); err != nil {
		return err
	}
	s.pending = s.votes(w, height)
	return nil
}

func (s *simulation) proposer(height unit.Height) *party {
	for i := range s.nodes {
		if n := s.nodes[(int(height)+i)%len(s.nodes)]; n.up(height) {
			return n
		}
	}
	return s.nodes[0]
}

// arrives reports whether a message does.
func (s *simulation) arrives() bool { return s.o.Loss == 0 || s.random.Float64() >= s.o.Loss }

// votes are the votes on the block of a height; w is what the ledger wants in them.
func (s *simulation) votes(w ledger.Wants, height unit.Height) (out []ledger.VoteExtension) {
	if !w.Reveal && !w.Attest && w.Closer == (staking.NodeID{}) {
		return nil
	}
	for i, n := range s.nodes {
		if !n.up(height) || !s.arrives() {
			continue
		}
		v := ledger.VoteExtension{Node: s.net.IDs[i], Power: 1}
		switch {
		case w.Closer != (staking.NodeID{}):
			if w.Closer != v.Node {
				continue
			}
			v.Extension = challenge.NewClosing(s.net.Chain, n.secret.BLSKey(), w.Round, w.Turn).Encode()
		case w.Reveal:
			if n.round != w.Round || n.reveal == nil {
				n.round, n.reveal = w.Round, challenge.NewReveal(s.net.Chain, n.secret.BLSKey(), w.Round).Encode()
			}
			v.Extension = n.reveal
		default:
			yes := blob.NewSet[blob.Shard](s.p.Shards)
			for shard := range n.heard {
				yes.Add(shard)
			}
			v.Extension = challenge.NewAttest(w.Round, n.listened, blob.Hash{}, yes).Encode()
		}
		out = append(out, v)
	}
	return out
}
