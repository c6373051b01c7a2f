package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// callLimit is how long a node may take to say hello.
const callLimit = 5 * time.Second

type nodeList struct {
	Nodes  []listedNode `json:"nodes"`
	Ledger ledgerState  `json:"ledger"`
}

type listedNode struct {
	Name        string         `json:"name"`
	ID          staking.NodeID `json:"id"`
	Operator    token.Address  `json:"operator"`
	Shards      int            `json:"shards"`
	Keeping     int            `json:"keeping"` // handed over, but the new holder is not ready
	Power       int            `json:"power"`   // in the agreement on blocks: its shards, or 0 where it is expelled
	Stake       token.Amount   `json:"stake"`
	CapacityKiB uint64         `json:"capacity_kib"`
	Addresses   []string       `json:"addresses"`
	Out         bool           `json:"out"` // expelled
	Answers     bool           `json:"answers"`
	Version     string         `json:"version,omitempty"`
	Error       string         `json:"error,omitempty"` // why it does not answer
}

func (a *app) nodesCommand() *cobra.Command {
	var quiet bool
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes, what they hold, and whether they answer",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.listNodes()
			if err != nil {
				return err
			}
			out := nodeList{Nodes: list}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			if !quiet {
				s.callAll(c.Context(), out.Nodes)
			}
			return a.print(out, func(w io.Writer) error { return out.print(w, quiet) })
		},
	}
	c.Flags().BoolVar(&quiet, "no-call", false, "do not call the nodes: show what the ledger says only")
	return c
}

func (s *session) listNodes() ([]listedNode, error) {
	committee, err := s.view.Committee(s.head.Epoch)
	if err != nil {
		return nil, err
	}
	var records []ledger.NodeRecord
	if err := s.view.EachNode(func(n ledger.NodeRecord) error { records = append(records, n); return nil }); err != nil {
		return nil, err
	}
	var keys [][]byte
	for _, n := range records {
		keys = append(keys, ledger.KeyPool(n.ID))
	}
	if err := s.prefetch(keys); err != nil {
		return nil, err
	}
	list := []listedNode{}
	for _, n := range records {
		pool, _, err := s.view.Pool(n.ID)
		if err != nil {
			return nil, err
		}
		power := 0
		if i, ok := committee.Index(n.ID); ok {
			power = committee.Nodes[i].Power
		}
		list = append(list, listedNode{Name: n.Name, ID: n.ID, Operator: n.Operator, Shards: len(committee.Duty(n.ID)), Keeping: len(committee.Keeping(n.ID)),
			Power: power, Stake: pool.Stake(s.head.Epoch + 1), CapacityKiB: n.CapacityKiB, Addresses: n.Addresses, Out: n.Out})
	}
	return list, nil
}

// callAll says hello to all nodes at once.
func (s *session) callAll(ctx context.Context, list []listedNode) {
	var wg sync.WaitGroup
	for i := range list {
		n := &list[i]
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			id, err := p2p.PeerOf(n.ID[:])
			if err == nil {
				if err = s.Host.Connect(ctx, id, n.Addresses); err == nil {
					n.Answers, n.Version = true, s.Host.Peers()[id].Version
					return
				}
			}
			n.Error = err.Error()
		})
	}
	wg.Wait()
}

func (l nodeList) print(w io.Writer, quiet bool) error {
	t := newTable(w)
	t.row("NAME", "ID", "SHARDS", "STAKE", "CAPACITY", "ANSWERS")
	for _, n := range l.Nodes {
		answers := "no"
		switch {
		case n.Out:
			answers = "expelled"
		case quiet:
			answers = "not called"
		case n.Answers:
			answers = "yes"
		}
		shards := fmt.Sprint(n.Shards)
		if n.Keeping > 0 {
			shards += fmt.Sprintf(" (+%d)", n.Keeping)
		}
		t.row(nameText(n.Name), n.ID, shards, n.Stake, bytesText(n.CapacityKiB<<10), answers)
	}
	return t.flush()
}
