package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
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
	Nodes  []listedNode `json:"nodes"`  // by stake, the most first
	Epochs uint64       `json:"epochs"` // that were looked back
	Ledger ledgerState  `json:"ledger"`
}

type listedNode struct {
	Name        string         `json:"name"`
	ID          staking.NodeID `json:"id"`
	Operator    token.Address  `json:"operator"`
	URL         string         `json:"url,omitempty"`
	About       string         `json:"about,omitempty"`
	Shards      int            `json:"shards"`
	Keeping     int            `json:"keeping"` // handed over, but the new holder is not ready
	Power       int            `json:"power"`   // in the agreement on blocks: its shards, or 0 where it is expelled
	Bond        token.Amount   `json:"bond"`    // the operator's own
	Stake       token.Amount   `json:"stake"`   // with delegations, in the next committee's choice
	Counted     token.Amount   `json:"counted"` // of the stake: what the bond backs
	Commission  uint64         `json:"commission_bps"`
	Announced   []announced    `json:"commission_announced"`
	Now         passed         `json:"passed_now"`              // of the present epoch's shard-rounds
	Past        passed         `json:"passed_past"`             // of the last epochs'
	Slashes     []slashed      `json:"slashes"`                 // in the last epochs
	Return      *returns       `json:"yearly_return,omitempty"` // of a delegator, estimated
	JailedUntil uint64         `json:"jailed_until_epoch,omitempty"`
	NoNewUntil  uint64         `json:"no_new_shards_before_epoch,omitempty"`
	CapacityKiB uint64         `json:"capacity_kib"`
	Addresses   []string       `json:"addresses"`
	Out         bool           `json:"out"` // expelled
	Answers     bool           `json:"answers"`
	Version     string         `json:"version,omitempty"`
	Error       string         `json:"error,omitempty"` // why it does not answer
	standing    string
}

// announced is a commission that acts later.
type announced struct {
	Bps   uint64 `json:"bps"`
	Epoch uint64 `json:"epoch"`
}

const nodesHelp = `Lists the nodes by their stake: what they hold, what they charge, how they have
passed, and what they have been slashed. The last letters of an ID are enough for other
commands.

COMMISSION 5%>8% @12 is one of 5% that becomes 8% in epoch 12. PASSED is the part of its
shard-rounds that a node passed: in this epoch so far, and in the last ones (--epochs).
RETURN is what a delegator would earn in a year if all epochs
were like the last ones, and between what the single epochs lie: commission is taken
off, slashes are not in it, nothing is put to work again. Of what a new node earns half
is held back for up to eight epochs.

That no node is left out is the word of the node that was asked; what is said of each is
proven.`

func (a *app) nodesCommand() *cobra.Command {
	var quiet, wide bool
	epochs := uint64(defaultPast)
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes: stake, commission, how they pass, what they return, whether they answer",
		Long:  nodesHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.listNodes(epochs)
			if err != nil {
				return err
			}
			out := nodeList{Nodes: list, Epochs: epochs}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			if !quiet {
				s.callAll(c.Context(), out.Nodes)
			}
			return a.print(out, func(w io.Writer) error {
				if wide {
					return out.printWide(w, quiet)
				}
				return out.print(w, quiet)
			})
		},
	}
	c.Flags().BoolVar(&quiet, "no-call", false, "do not call the nodes: show what the ledger says only")
	c.Flags().BoolVar(&wide, "wide", false, "show whole IDs, capacities and single slashes, however wide it gets")
	c.Flags().Uint64Var(&epochs, "epochs", epochs, "how many epochs to look back")
	return c
}

// listNodes reads what the ledger says of all nodes.
func (s *session) listNodes(epochs uint64) ([]listedNode, error) {
	committee, err := s.view.Committee(s.head.Epoch)
	if err != nil {
		return nil, err
	}
	var records []ledger.NodeRecord
	if err := s.view.EachNode(func(n ledger.NodeRecord) error { records = append(records, n); return nil }); err != nil {
		return nil, err
	}
	var keys [][]byte
	var ids []staking.NodeID
	for _, n := range records {
		keys = append(keys, ledger.KeyPool(n.ID), ledger.KeySanctions(n.ID))
		ids = append(ids, n.ID)
	}
	if err := s.prefetch(append(keys, ledger.KeyTally(s.head.Epoch))); err != nil {
		return nil, err
	}
	tally, err := s.view.Tally(s.head.Epoch)
	if err != nil {
		return nil, err
	}
	pasts, err := s.pasts(ids, epochs)
	if err != nil {
		return nil, err
	}
	list := []listedNode{}
	for _, n := range records {
		one, err := s.listed(n, pasts[n.ID])
		if err != nil {
			return nil, err
		}
		one.Shards, one.Keeping = len(committee.Duty(n.ID)), len(committee.Keeping(n.ID))
		if i, ok := committee.Index(n.ID); ok {
			one.Power = committee.Nodes[i].Power
			if i < len(tally.Nodes) {
				one.Now.add(tally.Nodes[i])
			}
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b listedNode) int { return cmp.Compare(b.Stake, a.Stake) })
	return list, nil
}

// listed is what is known of a node by its own records.
func (s *session) listed(n ledger.NodeRecord, p []past) (listedNode, error) {
	pool, _, err := s.view.Pool(n.ID)
	if err != nil {
		return listedNode{}, err
	}
	standing, err := s.view.Sanctions(n.ID)
	next := s.countsFrom(s.head.Height)
	out := listedNode{Name: n.Name, ID: n.ID, Operator: n.Operator, URL: n.URL, About: n.About, Bond: pool.Bond, Stake: pool.Stake(next), Counted: pool.Counted(next, s.params.Staking),
		Commission: pool.CommissionBps, Announced: []announced{}, Slashes: slashes(p), Return: s.yearly(p), CapacityKiB: n.CapacityKiB, Addresses: n.Addresses, Out: n.Out,
		standing: standingText(n, standing, s.head.Epoch)}
	for _, c := range pool.NextCommission {
		out.Announced = append(out.Announced, announced{c.Bps, c.Epoch})
	}
	for _, one := range p {
		out.Past.add(one.Credit)
	}
	if standing.JailUntil > s.head.Epoch {
		out.JailedUntil = standing.JailUntil
	}
	if until := max(standing.NoNewUntil, standing.MoveUntil); until > s.head.Epoch {
		out.NoNewUntil = until
	}
	return out, err
}

// standingText is what a node is punished with in an epoch or after it, in few words;
// empty for nothing.
func standingText(n ledger.NodeRecord, s staking.Sanctions, epoch uint64) string {
	switch {
	case n.Out:
		return "expelled"
	case s.Jailed(epoch):
		return fmt.Sprintf("jail to %d", s.JailUntil)
	case s.JailFrom > epoch:
		return fmt.Sprintf("jail from %d", s.JailFrom)
	case s.Moves(epoch):
		return "loses its shards"
	case s.NoNew(epoch):
		return "no new shards"
	}
	return ""
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

// state says in a word whether it answers, and how it stands.
func (n listedNode) state(quiet bool) string {
	answers := "up"
	switch {
	case quiet:
		answers = ""
	case !n.Answers:
		answers = "down"
	}
	return cmp.Or(strings.Trim(answers+", "+n.standing, ", "), "not called")
}

func (n listedNode) shards() string {
	if n.Keeping > 0 {
		return fmt.Sprintf("%d (+%d)", n.Shards, n.Keeping)
	}
	return fmt.Sprint(n.Shards)
}

func (n listedNode) commission() string {
	text := percentText(n.Commission)
	for _, c := range n.Announced {
		text += fmt.Sprintf(">%s @%d", percentText(c.Bps), c.Epoch)
	}
	return text
}

// String is the part in percent; a dash where nothing was asked.
func (p passed) String() string {
	if p.Assigned == 0 {
		return "-"
	}
	return percentText(p.Passed * 10000 / p.Assigned)
}

func (r *returns) String() string {
	if r == nil {
		return "-"
	}
	const absurd = 1000 // percent, as in a network whose epochs are seconds
	if r.Mean >= absurd {
		return fmt.Sprintf("over %d%%", absurd)
	}
	digits := 1
	if r.High >= 100 {
		digits = 0
	}
	return fmt.Sprintf("%.*f%% (%.*f-%.*f)", digits, r.Mean, digits, r.Low, digits, r.High)
}

// walText is an amount as a table has room for it: whole WAL where it is many.
func walText(a token.Amount) string {
	const many = 1000 * token.WAL
	if a >= many {
		a -= a % token.WAL
	} else {
		a -= a % (token.WAL / 100)
	}
	return a.String()
}

func (l nodeList) print(w io.Writer, quiet bool) error {
	t := newTable(w)
	t.row("NAME", "ID", "SHARDS", "BOND", "STAKE", "COMMISSION", "PASSED", "RETURN A YEAR", "SLASHED", "STATE")
	for _, n := range l.Nodes {
		slashed := "-"
		if len(n.Slashes) > 0 {
			slashed = fmt.Sprintf("%dx", len(n.Slashes))
		}
		t.row(cutText(n.Name), shortID(n.ID), n.shards(), walText(n.Bond), walText(n.Stake), n.commission(), fmt.Sprintf("%s/%s", n.Now, n.Past), n.Return, slashed, n.state(quiet))
	}
	return t.flush()
}

func (l nodeList) printWide(w io.Writer, quiet bool) error {
	t := newTable(w)
	t.row("NAME", "ID", "SHARDS", "BOND", "STAKE", "COUNTED", "COMMISSION", "PASSED NOW", "PAST", "RETURN A YEAR", "CAPACITY", "STATE", "SLASHES")
	for _, n := range l.Nodes {
		var all []string
		for _, s := range n.Slashes {
			all = append(all, fmt.Sprintf("%s in epoch %d (rung %d)", s.Amount, s.Epoch, s.Rung))
		}
		t.row(nameText(n.Name), n.ID, n.shards(), n.Bond, n.Stake, n.Counted, n.commission(), n.Now, n.Past, n.Return, bytesText(n.CapacityKiB<<10), n.state(quiet), cmp.Or(strings.Join(all, ", "), "-"))
	}
	return t.flush()
}
