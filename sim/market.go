package sim

import (
	"fmt"
	"math/rand/v2"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// What people do, besides running nodes. Each epoch a handful of them move stake, so
// that shards move and joins, exits and their locks are part of what is simulated.
const (
	longLease  = 4 // epochs of a lease of those that come and go; half of all bytes
	movers     = 3 // delegations of an epoch, and half as many withdrawals of stake
	drawEvery  = 4 // epochs: operators draw what they earned about so often
	movePart   = 20
	someEpochs = 2 // after which undelegated stake is drawn, when it is due
)

// store is a blob that the customer pays for.
type store struct {
	manifest blob.Manifest
	epochs   uint64
}

// blobs are those that an epoch begins to store. Half of all bytes lie for as long as
// the simulation runs; the rest is in leases of longLease epochs, of which some end
// with every epoch.
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

// manifest is that of a blob which costs a part of all that is paid for leases.
func (s *simulation) manifest(part float64) (blob.Manifest, error) {
	s.stored++
	units := part * float64(s.o.Nodes) * float64(leasesPerNode) / float64(s.p.Registry.Price)
	size := units * 1024 * float64(s.shape.K1*s.shape.K2) / float64(s.shape.N*(s.shape.K1+s.shape.K2))
	layout, err := s.shape.Layout(int64(size))
	if err != nil {
		return blob.Manifest{}, err
	}
	return blob.NewManifest(layout, blob.Leaf(fmt.Appendf(nil, "blob %d", s.stored))), nil
}

// settleIn is how the network's stake comes about: every holder delegates to his node.
func (s *simulation) settleIn() {
	for i, h := range s.people.holders {
		s.queue(1, h.sign(s.chain, ledger.Delegate{Node: s.people.ids[i/holdersPerNode], Amount: delegationPerHolder()}))
	}
}

// trade is what people do in an epoch.
func (s *simulation) trade(epoch int) error {
	stores, err := s.blobs(epoch)
	if err != nil {
		return err
	}
	for _, b := range stores {
		s.queue(1, s.people.customer.sign(s.chain, ledger.RegisterBlob{Manifest: b.manifest, Epochs: b.epochs, Owner: s.people.customer.address(), Permanent: true}))
		s.uncertified = append(s.uncertified, b.manifest)
	}
	if epoch == 0 {
		s.settleIn()
		return nil
	}
	random := stream(s.o.Seed, streamMoney, epoch)
	v, err := s.view()
	if err != nil {
		return err
	}
	if err := s.moveStake(v, random); err != nil {
		return err
	}
	return s.draw(v, random, epoch)
}

// moveStake lets some holders add to what they have with a node, and some take a part
// of it out.
func (s *simulation) moveStake(v ledger.View, random *rand.Rand) error {
	for range movers {
		h := random.IntN(len(s.people.holders))
		a := token.Amount(random.Int64N(int64(delegationPerHolder()/movePart))) + s.p.Staking.MinDelegation
		round := 2 + random.IntN(s.o.Rounds-4)
		who, node := s.people.holders[h], s.people.ids[random.IntN(len(s.people.ids))]
		acc, err := v.Account(who.address())
		if err != nil {
			return err
		}
		if acc.Balance > a+pocketMoney/2 && !s.busy[who] {
			s.busy[who] = true
			s.queue(round, who.sign(s.chain, ledger.Delegate{Node: node, Amount: a}))
		}
	}
	for range (movers + 1) / 2 {
		h := random.IntN(len(s.people.holders))
		round := 2 + random.IntN(s.o.Rounds-4)
		who, node := s.people.holders[h], s.people.ids[h/holdersPerNode]
		d, ok, err := v.Delegation(who.address(), node)
		if err != nil {
			return err
		}
		if part := d.Shares / movePart; ok && part > 0 && !s.busy[who] {
			s.busy[who] = true
			s.queue(round, who.sign(s.chain, ledger.Undelegate{Node: node, Shares: part}))
		}
	}
	return nil
}

// draw lets operators and holders have what is theirs.
func (s *simulation) draw(v ledger.View, random *rand.Rand, epoch int) error {
	for i, id := range s.people.ids {
		if random.IntN(drawEvery) > 0 {
			continue
		}
		p, _, err := v.Pool(id)
		if err != nil {
			return err
		}
		if p.Earned > 0 {
			s.queue(2+random.IntN(s.o.Rounds-4), s.people.operators[i].sign(s.chain, ledger.Withdraw{Node: id}))
		}
	}
	if epoch%someEpochs > 0 {
		return nil
	}
	for h, who := range s.people.holders {
		if out, err := s.due(v, who, s.people.ids[h/holdersPerNode]); err != nil {
			return err
		} else if out > 0 && !s.busy[who] {
			s.busy[who] = true
			s.queue(2+random.IntN(s.o.Rounds-4), who.sign(s.chain, ledger.Withdraw{Node: s.people.ids[h/holdersPerNode]}))
		}
	}
	return nil
}

// due is what a holder could draw of a node's pool.
func (s *simulation) due(v ledger.View, who *person, node staking.NodeID) (token.Amount, error) {
	d, ok, err := v.Delegation(who.address(), node)
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
