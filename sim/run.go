package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// A shard that moves is fetched and reported ready between these hours after its new
// epoch began, if its holder is there: about a terabyte over a line that is busy with
// other things.
const (
	readySoonest = 6
	readyLatest  = 24
)

// simulation is a network on its way through its epochs.
type simulation struct {
	o        Options
	p        ledger.Params
	shape    blob.Shape
	chain    token.ChainID
	l        *ledger.Local
	people   *people
	index    map[staking.NodeID]int
	conducts []*conduct
	out      Result

	committee   ledger.Committee // of the present epoch, as it was when it began
	holders     []int            // shard -> node
	moves       map[int]int      // shard -> round of the epoch in which its holder is done
	queued      map[int][][]byte // round of the epoch -> transactions
	uncertified []blob.Manifest
	busy        map[*person]bool // has a transaction in this epoch, and shall have no other
	stored      int              // blobs so far
}

// NodeName is how the node with a number is called, from node0 on.
func NodeName(i int) string { return fmt.Sprintf("node%d", i) }

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
	s := &simulation{o: o, p: o.params(), people: newPeople(o.Nodes), index: map[staking.NodeID]int{},
		conducts: o.conducts(), queued: map[int][][]byte{}, busy: map[*person]bool{}}
	s.out = Result{SupplyOK: true, Epochs: o.Epochs, Seed: o.Seed, Shards: s.p.Shards, Rounds: o.Rounds, StorageCost: o.StorageCost}
	for i, id := range s.people.ids {
		s.index[id] = i
		s.out.Nodes = append(s.out.Nodes, Node{ID: NodeName(i), Uptime: o.Uptime[i], Drop: o.Drop[i], Slashes: []Slash{}})
	}
	var err error
	if s.shape, err = s.p.Shape(); err != nil {
		return nil, err
	}
	if s.l, err = ledger.NewLocal(s.people.genesis(s.p, o.Epochs), state.NewMemory(), func() int64 { return began }); err != nil {
		return nil, err
	}
	s.chain = s.l.ChainID()
	return s, s.convene(0)
}

func (s *simulation) view() (ledger.View, error) { return s.l.View(context.Background()) }

// epoch runs one, and the block that closes it.
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

// block is one round: what it found, and what people sent.
func (s *simulation) block(epoch, round int) error {
	r := staking.Round{Outcomes: make([]staking.Outcome, len(s.holders))}
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
			tx, err := s.people.certify(s.chain, s.committee, s.index, m)
			if err != nil {
				return err
			}
			txs = append(txs, tx)
		}
		s.uncertified = nil
	}
	result, err := s.l.Run(ledger.Block{Rounds: []staking.Round{r}, Txs: append(txs, s.ready(round)...)})
	if err != nil {
		return err
	}
	for _, tx := range result.Txs {
		if tx.Code != 0 {
			return fmt.Errorf("round %d: %s was refused: %s", round, tx.Kind, tx.Log)
		}
	}
	return nil
}

func (s *simulation) queue(round int, tx []byte) { s.queued[round] = append(s.queued[round], tx) }

// ready are the reports of the nodes that have fetched a shard and are there.
func (s *simulation) ready(round int) (out [][]byte) {
	for shard, node := range s.holders {
		at, moving := s.moves[shard]
		if !moving || round < max(at, 1) || s.conducts[node].away {
			continue
		}
		delete(s.moves, shard)
		out = append(out, ledger.Unsigned(ledger.NewShardReady(s.chain, s.people.secrets[node].Key(), s.committee.Epoch, blob.Shard(shard))))
	}
	return out
}

// seats reads the holders of the shards of an epoch that is about to begin: that is fixed
// in the middle of the one before.
func (s *simulation) seats(epoch int) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	if s.committee, err = v.Committee(uint64(epoch)); err != nil {
		return err
	}
	s.holders, s.moves = make([]int, len(s.committee.Holder)), nil
	for shard, id := range s.committee.Holder {
		s.holders[shard] = s.index[id]
	}
	return nil
}

// convene reads what the epoch that has begun moves, and when it will be done. A shard
// that was on the move already is begun again: what was fetched is there.
func (s *simulation) convene(epoch int) error {
	if err := s.seats(epoch); err != nil {
		return err
	}
	s.moves = map[int]int{}
	random := stream(s.o.Seed, streamMoves, epoch)
	for shard, from := range s.committee.From {
		if !from.IsZero() {
			s.moves[shard] = readySoonest + random.IntN(readyLatest-readySoonest)
		}
	}
	clear(s.busy)
	return nil
}
