package main

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
)

const forceReachHelp = "; walrus node doctor on the node's machine tells more; --force goes on all the same"

// reachedByPeers has peers dial the node in dir, and refuses one that they do not reach,
// unless force is set: such a node earns nothing, and its shards are in nobody's reach.
func (a *app) reachedByPeers(ctx context.Context, dir string, addresses []string, force bool) ([]doctor.Reach, error) {
	list, err := doctor.DialBack(ctx, doctor.Options{Dir: dir, Addresses: addresses, Version: version(), Log: a.log()})
	if err == nil {
		err = doctor.EnoughReach(list)
	}
	switch {
	case err == nil:
		return list, nil
	case force && ctx.Err() == nil:
		a.say("walrus: forced: %v", err)
		return list, nil
	}
	return nil, fmt.Errorf("%w%s", err, forceReachHelp)
}

// reachEnough judges what a request says of how peers reached the node. note is for people.
func reachEnough(list []doctor.Reach, force bool) (note string, err error) {
	if len(list) == 0 {
		err = fmt.Errorf("no peer has dialed the node back: make the request again on its machine, with walrus node request: %w", doctor.ErrNotReached)
	} else {
		err = doctor.EnoughReach(list)
	}
	switch {
	case err == nil:
		return fmt.Sprintf("%d of %d peers reached it", list[0].Peers, list[0].Asked), nil
	case force:
		return "forced: " + err.Error(), nil
	}
	return "", fmt.Errorf("%w%s", err, forceReachHelp)
}

// dialed tells whether this machine reaches a node at its addresses, for people: a payer
// of a bond should know before it pays.
func (s *session) dialed(ctx context.Context, node staking.NodeID, addresses []string) (note string, reached bool) {
	p, err := p2p.PeerOf(node[:])
	if err != nil {
		return err.Error(), false
	}
	why := "it has no address"
	for _, seen := range s.Host.Dial(ctx, p, addresses) {
		if seen.Reach == p2p.Reached {
			return "it answers this machine now", true
		}
		why = seen.Text
	}
	return fmt.Sprintf("it does not answer this machine now (%.200s): it must run, and be reached, to earn", why), false
}
