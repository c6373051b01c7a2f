package economy

import (
	"context"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// The new holder of a shard, if it is online, reports ready between these hours after the
// epoch's start: it fetches about a terabyte over a line that it also uses otherwise.
const (
	readySoonest = 6
	readyLatest  = 24
)

// simulation is a network in the epoch under way.
type simulation struct {
	o        Options
	p        ledger.Params
	shape    blob.Shape
	net      *sim.Network
	conducts []*conduct
	out      Result

	committee   ledger.Committee // of the present epoch, as it was when it began
	holders     []int            // shard -> node
	moves       map[int]int      // shard -> round of the epoch in which its holder has fetched it
	queued      map[int][][]byte // round of the epoch -> transactions
	uncertified []blob.Manifest
	busy        map[*sim.Person]bool // has a transaction in this epoch, and gets no other
	stored      int                  // blobs so far
}

// Run simulates a network to its end.
func Run(ctx context.Context, o Options) (Result, error) {
	s, err := begin(o)
	if err != nil {
		return Result{}, err
	}
	for epoch := range o.Epochs {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if err := s.epoch(epoch); err != nil {
			return Result{}, fmt.Errorf("seed %d, epoch %d: %w", o.Seed, epoch, err)
		}
	}
	return s.result(), nil
}

func begin(o Options) (*simulation, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &simulation{o: o, p: o.params(), conducts: o.conducts(), queued: map[int][][]byte{}, busy: map[*sim.Person]bool{}}
	s.out = Result{SupplyOK: true, Epochs: o.Epochs, Seed: o.Seed, Shards: s.p.Shards, Rounds: o.Rounds, StorageCost: o.StorageCost}
	for i := range o.Nodes {
		s.out.Nodes = append(s.out.Nodes, Node{ID: sim.NodeName(i), Uptime: o.Uptime[i], Drop: o.Drop[i], Slashes: []sim.Slash{}})
	}
	var err error
	if s.shape, err = s.p.Shape(); err != nil {
		return nil, err
	}
	if s.net, err = sim.NewNetwork(o.Nodes, s.p, o.Epochs+longLease, func() int64 { return sim.Began }); err != nil {
		return nil, err
	}
	return s, s.convene(0)
}

// epoch runs an epoch, and the block that closes it.
func (s *simulation) epoch(epoch int) error {
	if err := s.trade(epoch); err != nil {
		return err
	}
	first := 0
	if epoch > 0 {
		first = 1 // the block that closed the last epoch was the first round of this
	}
	for round := first; round < s.o.Rounds; round++ {
		if err := s.block(epoch, round); err != nil {
			return err
		}
	}
	next := epoch + 1
	if err := s.seats(next); err != nil {
		return err
	}
	if err := s.block(next, 0); err != nil {
		return err
	}
	if err := s.account(epoch); err != nil {
		return err
	}
	return s.convene(next)
}

// block runs one round: its outcomes, and the queued transactions.
func (s *simulation) block(epoch, round int) error {
	r := staking.RoundResult{Outcomes: make([]staking.Outcome, len(s.holders))}
	for _, c := range s.conducts {
		c.begin(epoch*s.o.Rounds + round)
	}
	for shard, node := range s.holders {
		r.Outcomes[shard] = s.conducts[node].shard()
	}
	txs := slices.Clone(s.queued[round])
	delete(s.queued, round)
	if round == 2 {
		for _, m := range s.uncertified {
			tx, err := s.net.Certify(s.committee, m)
			if err != nil {
				return err
			}
			txs = append(txs, tx)
		}
		s.uncertified = nil
	}
	if err := s.net.Run(ledger.Block{Rounds: []staking.RoundResult{r}, Txs: append(txs, s.ready(round)...)}); err != nil {
		return fmt.Errorf("round %d: %w", round, err)
	}
	return nil
}

func (s *simulation) queue(round int, tx []byte) { s.queued[round] = append(s.queued[round], tx) }

// ready are the reports of the nodes that have fetched a shard and are online.
func (s *simulation) ready(round int) (out [][]byte) {
	for shard, node := range s.holders {
		at, moving := s.moves[shard]
		if !moving || round < max(at, 1) || s.conducts[node].away {
			continue
		}
		delete(s.moves, shard)
		out = append(out, ledger.Unsigned(ledger.NewShardReady(s.net.Chain, s.net.Secrets[node].Key(), s.committee.Epoch, blob.Shard(shard))))
	}
	return out
}

// seats reads the committee of an epoch, which is fixed in the middle of the epoch before.
func (s *simulation) seats(epoch int) error {
	v, err := s.net.View()
	if err != nil {
		return err
	}
	if s.committee, err = v.Committee(unit.Epoch(epoch)); err != nil {
		return err
	}
	s.holders, s.moves = make([]int, len(s.committee.Holder)), nil
	for shard, id := range s.committee.Holder {
		s.holders[shard] = s.net.Index[id]
	}
	return nil
}

// convene reads the moves of the epoch that has begun, and settles when each is done. A
// shard that was moving already gets a new time.
func (s *simulation) convene(epoch int) error {
	if err := s.seats(epoch); err != nil {
		return err
	}
	s.moves = map[int]int{}
	random := sim.Stream(s.o.Seed, streamMoves, epoch)
	for shard, from := range s.committee.From {
		if !from.IsZero() {
			s.moves[shard] = readySoonest + random.IntN(readyLatest-readySoonest)
		}
	}
	clear(s.busy)
	return nil
}
