package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// forceFlag admits a node that may prove too slowly.
const forceFlag = "force"

func forcing(f *pflag.FlagSet, force *bool) {
	f.BoolVar(force, forceFlag, false, "go on although the machine may prove too slowly, or peers do not reach it")
}

const forceHelp = "; walrus node doctor on that machine tells what is slow; --force goes on all the same"

// measureOpening measures the time that one question takes on this machine, for the node in
// dir. It is nil if the network asks for no proofs, or if the measurement fails and force
// is set.
func (a *app) measureOpening(ctx context.Context, dir string, p ledger.Params, force bool) (*doctor.OpeningTime, error) {
	if _, asked := (doctor.OpeningTime{}).InRound(p, 1).Margin(); !asked {
		return nil, nil
	}
	o, err := doctor.MeasureOpening(ctx, dir, p)
	switch {
	case err == nil:
		return &o, nil
	case force && ctx.Err() == nil:
		a.say("walrus: %v", err)
		return nil, nil
	}
	return nil, fmt.Errorf("%w%s", err, forceHelp)
}

// enough judges whether a machine proves in time with the most shards that one of the nodes
// may get, since its stake can grow at any time. It refuses a machine that does not, unless
// force is set. note is for people.
func enough(o *doctor.OpeningTime, p ledger.Params, nodes int, force bool) (note string, err error) {
	shards := doctor.ShardsToExpect(p, nodes, 0)
	if _, asked := (doctor.OpeningTime{}).InRound(p, shards).Margin(); !asked {
		return "", nil
	}
	if o == nil {
		err = errors.New("nothing is known of how fast the node's machine proves: make the request again there, with walrus node request")
	} else {
		t := o.InRound(p, shards)
		note, err = fmt.Sprintf("its machine proves in time: %s", t), t.Enough()
	}
	switch {
	case err == nil:
		return note, nil
	case force:
		return "forced: " + err.Error(), nil
	}
	return "", fmt.Errorf("%w%s", err, forceHelp)
}

// seats is the number of nodes with shards now.
func (s *session) seats() (int, error) {
	c, err := s.View.Committee(s.Head.Epoch)
	return len(c.Nodes), err
}

// bondCheck locates the node whose bond grows, to measure its machine.
type bondCheck struct {
	dir   string
	named bool // the user typed dir
	force bool
}

// check measures the node's machine if it is this one, and refuses a bond for a machine that
// is too slow. note is for people.
func (b bondCheck) check(ctx context.Context, a *app, s *session, n ledger.NodeRecord) (note string, err error) {
	secret, err := a.nodeSecret(b.dir)
	here := err == nil && staking.NodeID(secret.Key().Public()) == n.ID
	switch {
	case !here && !b.named:
		note, reached := s.dialed(ctx, n.ID, n.Addresses)
		if !reached && !b.force {
			return "", fmt.Errorf("%s: start it, or correct its addresses with walrus pool update --address%s", note, forceReachHelp)
		}
		return note + "; this is not the node's machine, so it is not known whether that proves in time: walrus node doctor there tells", nil
	case err != nil:
		return "", errUsage{err}
	case !here:
		return "", errUsage{fmt.Errorf("in %s lies another node than %s", b.dir, n.ID)}
	}
	if _, err := a.reachedByPeers(ctx, b.dir, n.Addresses, b.force); err != nil {
		return "", err
	}
	o, err := a.measureOpening(ctx, b.dir, s.Params, b.force)
	if err != nil {
		return "", err
	}
	nodes, err := s.seats()
	if err != nil {
		return "", err
	}
	return enough(o, s.Params, nodes, b.force)
}
