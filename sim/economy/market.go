package economy

import (
	"fmt"
	"math/rand/v2"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// The trade of an epoch. A few delegations and withdrawals move stake, and with it shards,
// so that the locks of joins and exits act too.
const (
	longLease  = 4 // epochs of the leases of half of all bytes; the others last as long as the simulation
	movers     = 3 // delegations of an epoch; half as many withdrawals of stake
	drawEvery  = 4 // mean epochs between an operator's withdrawals of pay
	movePart   = 20
	someEpochs = 2 // epochs between the holders' withdrawals of unbonded stake
)

// store is a blob that the customer pays for.
type store struct {
	manifest blob.Manifest
	epochs   uint64
}

// blobs are an epoch's new blobs. Half of all bytes have a lease as long as the simulation;
// the others have leases of longLease epochs, a part of which ends with every epoch.
func (s *simulation) blobs(epoch int) (out []store, err error) {
	add := func(part float64, epochs int) {
		var m blob.Manifest
		if err == nil {
			m, err = s.manifest(part)
			out = append(out, store{m, uint64(epochs)})
		}
	}
	if epoch == 0 {
		add(0.5, s.o.Epochs+1)
		for n := 1; n < longLease; n++ {
			add(0.5/longLease, n)
		}
	}
	add(0.5/longLease, longLease)
	return out, err
}

// manifest returns a new blob's. Its price is that part of an epoch's LeasesPerNode of all
// nodes.
func (s *simulation) manifest(part float64) (blob.Manifest, error) {
	s.stored++
	units := part * float64(s.o.Nodes) * float64(sim.LeasesPerNode) / float64(s.p.Registry.Price)
	size := units * 1024 * float64(s.shape.K1*s.shape.K2) / float64(s.shape.N*(s.shape.K1+s.shape.K2))
	layout, err := s.shape.Layout(int64(size))
	if err != nil {
		return blob.Manifest{}, err
	}
	return blob.NewManifest(layout, blob.Leaf(fmt.Appendf(nil, "blob %d", s.stored))), nil
}

// settleIn makes the network's first stake: every holder delegates to one node.
func (s *simulation) settleIn() {
	for i, h := range s.net.Holders {
		s.queue(1, s.net.Sign(h, ledger.Delegate{Node: s.net.IDs[i/sim.HoldersPerNode], Amount: sim.DelegationPerHolder()}))
	}
}

// trade queues an epoch's transactions.
func (s *simulation) trade(epoch int) error {
	stores, err := s.blobs(epoch)
	if err != nil {
		return err
	}
	for _, b := range stores {
		s.queue(1, s.net.Register(b.manifest, b.epochs))
		s.uncertified = append(s.uncertified, b.manifest)
	}
	if epoch == 0 {
		s.settleIn()
		return nil
	}
	random := sim.Stream(s.o.Seed, streamMoney, epoch)
	v, err := s.net.View()
	if err != nil {
		return err
	}
	if err := s.moveStake(v, random); err != nil {
		return err
	}
	return s.draw(v, random, epoch)
}

// moveStake lets some holders delegate more, and some undelegate a part.
func (s *simulation) moveStake(v ledger.View, random *rand.Rand) error {
	for range movers {
		h := random.IntN(len(s.net.Holders))
		a := token.Amount(random.Int64N(int64(sim.DelegationPerHolder()/movePart))) + s.p.Staking.MinDelegation
		round := 2 + random.IntN(s.o.Rounds-4)
		who, node := s.net.Holders[h], s.net.IDs[random.IntN(len(s.net.IDs))]
		acc, err := v.Account(who.Address())
		if err != nil {
			return err
		}
		if acc.Balance > a+sim.PocketMoney/2 && !s.busy[who] {
			s.busy[who] = true
			s.queue(round, s.net.Sign(who, ledger.Delegate{Node: node, Amount: a}))
		}
	}
	for range (movers + 1) / 2 {
		h := random.IntN(len(s.net.Holders))
		round := 2 + random.IntN(s.o.Rounds-4)
		who, node := s.net.Holders[h], s.net.IDs[h/sim.HoldersPerNode]
		d, ok, err := v.Delegation(who.Address(), node)
		if err != nil {
			return err
		}
		if part := d.Shares / movePart; ok && part > 0 && !s.busy[who] {
			s.busy[who] = true
			s.queue(round, s.net.Sign(who, ledger.Undelegate{Node: node, Shares: part}))
		}
	}
	return nil
}

// draw lets operators withdraw pay, and holders unbonded stake.
func (s *simulation) draw(v ledger.View, random *rand.Rand, epoch int) error {
	for i, id := range s.net.IDs {
		if random.IntN(drawEvery) > 0 {
			continue
		}
		p, _, err := v.Pool(id)
		if err != nil {
			return err
		}
		if p.Earned > 0 {
			s.queue(2+random.IntN(s.o.Rounds-4), s.net.Sign(s.net.Operators[i], ledger.Withdraw{Node: id}))
		}
	}
	if epoch%someEpochs > 0 {
		return nil
	}
	for h, who := range s.net.Holders {
		if out, err := s.due(v, who, s.net.IDs[h/sim.HoldersPerNode]); err != nil {
			return err
		} else if out > 0 && !s.busy[who] {
			s.busy[who] = true
			s.queue(2+random.IntN(s.o.Rounds-4), s.net.Sign(who, ledger.Withdraw{Node: s.net.IDs[h/sim.HoldersPerNode]}))
		}
	}
	return nil
}

// due is the amount that a holder could withdraw from a node's pool.
func (s *simulation) due(v ledger.View, who *sim.Person, node staking.NodeID) (token.Amount, error) {
	d, ok, err := v.Delegation(who.Address(), node)
	if err != nil || !ok || len(d.Leaving) == 0 {
		return 0, err
	}
	p, _, err := v.Pool(node)
	if err != nil {
		return 0, err
	}
	settled, err := v.Settle(node, &p, &d)
	return settled.Out, err
}
