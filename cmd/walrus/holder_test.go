package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// tribunal is a session on a ledger of one, whose rounds are judged by hand: what people
// are told of punishment can be seen without a network that punishes.
type tribunal struct {
	*testing.T
	l     *ledger.Local
	g     ledger.Genesis
	fate  map[staking.NodeID]staking.Outcome
	nonce map[token.Address]uint64
}

func holderKey(i byte) token.Key { return token.KeyFromSeed([32]byte{9, i}) }

func newTribunal(t *testing.T, bond token.Amount) *tribunal {
	t.Helper()
	p := ledger.Testnet()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets, p.Challenged = 10, 10, 4, 1<<6, true
	p.Challenge = challenge.Params{} // rounds are entered by hand
	p.Staking.MinBond = 10 * token.WAL
	g := ledger.Genesis{Name: "court", Time: 1_800_000_000_000, Params: p}
	for i := range byte(3) {
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: holderKey(i).Address(), Amount: 1_000_000 * token.WAL})
	}
	for i := range byte(5) {
		s := token.Secret{8, i}
		n := ledger.GenesisNode{Operator: holderKey(0).Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: fmt.Sprintf("a node of a long name %d", i), CapacityKiB: 1 << 30, Bond: bond, CommissionBps: 1275}
		g.Nodes = append(g.Nodes, n.Prove(g.Name, s.Key(), s.BLSKey()))
	}
	l, err := ledger.NewLocal(g, state.NewMemory(), func() int64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	return &tribunal{t, l, g, map[staking.NodeID]staking.Outcome{}, map[token.Address]uint64{}}
}

func (c *tribunal) id(i int) staking.NodeID { return c.g.Nodes[i].ID }

// session is what a command has, for a wallet.
func (c *tribunal) session(k token.Key) *session {
	c.Helper()
	v, err := c.l.View(context.Background())
	if err != nil {
		c.Fatal(err)
	}
	n, err := report.Look(v, time.Now())
	if err != nil {
		c.Fatal(err)
	}
	return &session{Connection: &client.Connection{Network: client.Network{Genesis: c.g}}, key: k, Now: n}
}

// do signs and submits, with a fee that makes the epoch worth something.
func (c *tribunal) do(k token.Key, fee token.Amount, body ledger.Body) {
	c.Helper()
	r, err := c.l.Submit(context.Background(), ledger.Sign(k, c.l.ChainID(), c.nonce[k.Address()], fee, body))
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		c.Fatal(err)
	}
	c.nonce[k.Address()]++
}

// epoch pays for one and runs it, and its rounds as fate has it.
func (c *tribunal) epoch(faults ...ledger.Fault) {
	c.Helper()
	c.do(holderKey(2), 1000*token.WAL, ledger.Transfer{To: holderKey(2).Address(), Amount: 1})
	for at := c.session(token.Key{}).Head; ; {
		h := c.session(token.Key{}).Head
		if h.Epoch != at.Epoch {
			return
		}
		b := ledger.Block{Faults: faults}
		if (h.Height+2-h.EpochStart)%c.g.Params.RoundBlocks == 0 && h.Height < h.EpochEnd {
			committee, err := c.session(token.Key{}).View.Committee(h.Epoch)
			if err != nil {
				c.Fatal(err)
			}
			r := staking.RoundResult{}
			for _, id := range committee.Holder {
				o, known := c.fate[id]
				if !known {
					o = staking.Passed
				}
				r.Outcomes = append(r.Outcomes, o)
			}
			b.Rounds = []staking.RoundResult{r}
		}
		if _, err := c.l.Run(b); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *tribunal) jail(i int) jailShown {
	c.Helper()
	s := c.session(holderKey(0))
	n, err := s.find(nodeRef{id: c.id(i)})
	if err != nil {
		c.Fatal(err)
	}
	j, err := s.jailStatus(n)
	if err != nil {
		c.Fatal(err)
	}
	return j
}

func printed(t *testing.T, print func(*bytes.Buffer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := print(&out); err != nil || strings.Contains(out.String(), "%!") {
		t.Fatal(err, out.String())
	}
	return out.String()
}

func TestAPunishedNodeIsToldOf(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	c.fate[c.id(1)] = staking.Failed
	c.epoch()
	j := c.jail(1)
	if j.Jailed || j.JailFrom != 2 || j.JailUntil != 3 || j.MoveUntil != 2 || len(j.Results) != 1 || j.Results[0].Rung != 4 || j.Results[0].Slashed == 0 {
		t.Fatalf("%+v", j)
	}
	text := printed(t, func(b *bytes.Buffer) error { return j.print(b, c.session(token.Key{}).Now) })
	for _, words := range []string{"goes to jail in epoch 2", "ends by itself when epoch 3 begins", "failed proofs in epoch 0", "explain slash " + shortID(c.id(1)) + " 0", "pay deferred", "shards move away"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), words) {
			t.Errorf("no word of %q:\n%s", words, text)
		}
	}
	if j := c.jail(2); len(j.Advice) != 1 || !strings.Contains(j.Advice[0], "good standing") {
		t.Errorf("%+v", j)
	}
	delete(c.fate, c.id(1))
	c.epoch()
	c.epoch() // now in epoch 3
	if j := c.jail(1); j.JailUntil != 0 || len(j.Results) != 3 {
		t.Fatalf("%+v", j)
	}
	s := c.session(holderKey(0))
	if epoch, err := s.lastSlash(c.id(1)); err != nil || epoch != 0 {
		t.Errorf("the last slash was in %d, %v", epoch, err)
	}
	if epoch, err := s.lastSlash(c.id(2)); err != nil || epoch != 2 {
		t.Errorf("without a slash the last epoch is explained: %d, %v", epoch, err)
	}
	if j := c.jail(2); len(j.Unready) != 1 || len(j.Advice) != 1 || !strings.Contains(j.Advice[0], "is not complete there") {
		t.Errorf("%+v", j)
	}
}

func TestTheTableOfNodesFitsATerminal(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	c.do(holderKey(1), token.WAL, ledger.Delegate{Node: c.id(3), Amount: 12_345 * token.WAL})
	c.do(holderKey(0), token.WAL, ledger.SetCommission{Node: c.id(1), Bps: 2050})
	c.fate[c.id(1)] = staking.Failed
	c.epoch()
	list, err := c.session(holderKey(0)).Nodes(defaultPast)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(list, func(a, b report.Node) int { return int(int64(b.Stake) - int64(a.Stake)) }) || list[0].ID != c.id(3) {
		t.Error("not by stake")
	}
	for _, n := range list {
		bad := n.ID == c.id(1)
		if bad != (len(n.Slashes) == 1) || bad != (n.JailedUntil == 3) || bad != (n.Past.Passed == 0) || n.Past.Assigned != 8 || n.Return == nil || bad != (n.Return.Mean == 0) || len(n.Announced) != map[bool]int{true: 1}[bad] {
			t.Errorf("%+v", n)
		}
	}
	const terminal = 120
	text := printed(t, func(b *bytes.Buffer) error { return nodeList{Nodes: list}.print(b, false) })
	for _, line := range strings.Split(text, "\n") {
		if utf8.RuneCountInString(line) > terminal {
			t.Errorf("%d letters: %s", utf8.RuneCountInString(line), line)
		}
	}
	for _, words := range []string{"12.75%>20.5% @3", "jail from 2", "1x", shortID(c.id(3))} {
		if !strings.Contains(text, words) {
			t.Errorf("no word of %q:\n%s", words, text)
		}
	}
	wide := printed(t, func(b *bytes.Buffer) error { return nodeList{Nodes: list}.printWide(b, true) })
	if !strings.Contains(wide, c.id(3).String()) || !strings.Contains(wide, "in epoch 0 (rung 4)") {
		t.Error(wide)
	}
}

// What a delegator is told he earned must be what his shares became worth.
func TestRewardsAddUpToWhatSharesAreWorth(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	holder := holderKey(1)
	c.do(holder, token.WAL, ledger.Delegate{Node: c.id(3), Amount: 1000 * token.WAL})
	for range 4 {
		c.epoch()
	}
	s := c.session(holder)
	r, err := s.Rewards(holder.Address(), 8)
	if err != nil {
		t.Fatal(err)
	}
	var earned token.Amount
	for _, d := range r.Delegated {
		earned += d.Earned
		if d.Epoch == 0 {
			t.Errorf("it joined with epoch 1: %+v", d)
		}
	}
	l, err := s.Positions(holder.Address())
	if err != nil || len(l.Delegations) != 1 {
		t.Fatal(err, l)
	}
	gain := l.Delegations[0].Worth - 1000*token.WAL
	if earned == 0 || gain < earned || gain-earned > 8 { // rounding, once an epoch
		t.Errorf("earned %s, worth %s more", earned, gain)
	}
	own, err := s.Rewards(holderKey(0).Address(), 2)
	if err != nil || len(own.Operated) != 10 {
		t.Fatalf("%v, %d rows", err, len(own.Operated))
	}
	var held token.Amount
	for _, h := range own.Held {
		if h.Node == c.id(3) {
			held += h.End.Amount
		}
	}
	pool, _, err := s.View.Pool(c.id(3))
	if err != nil || held != pool.Held.Total() || own.Held[0].End.Epoch != s.Head.Epoch {
		t.Errorf("%v: a schedule of %s, held is %s", err, held, pool.Held.Total())
	}
	for _, r := range []report.Rewards{r, own} {
		printed(t, func(b *bytes.Buffer) error { return rewardsShown{Rewards: r}.print(b) })
	}
}

// TestWhatASlashTookIsToldOf lets a bond be too small to carry a slash alone.
func TestWhatASlashTookIsToldOf(t *testing.T) {
	c := newTribunal(t, 1000*token.WAL)
	holder := holderKey(1)
	c.do(holder, token.WAL, ledger.Delegate{Node: c.id(3), Amount: 900_000 * token.WAL})
	c.epoch()
	before, err := c.session(holder).Positions(holder.Address())
	if err != nil {
		t.Fatal(err)
	}
	c.epoch(ledger.Fault{Node: c.id(3), Kind: ledger.Lie, Epoch: 1, Round: 1})
	r, err := c.session(holder).Rewards(holder.Address(), 1)
	if err != nil || len(r.Delegated) != 1 || r.Delegated[0].Lost < 7_000*token.WAL {
		t.Fatalf("%v: %+v", err, r.Delegated)
	}
	after, err := c.session(holder).Positions(holder.Address())
	if err != nil {
		t.Fatal(err)
	}
	is, told := before.Delegations[0].Worth-after.Delegations[0].Worth, r.Delegated[0].Lost-r.Delegated[0].Earned
	if max(is, told)-min(is, told) > 2 { // rounding
		t.Errorf("told %s, the shares are worth %s less", told, is)
	}
}

func TestAPlannedMoveIsWhatTheLedgerDoes(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	holder := holderKey(1)
	c.do(holder, token.WAL, ledger.Delegate{Node: c.id(3), Amount: 1000 * token.WAL})
	c.epoch()
	s := c.session(holder)
	n, err := s.find(nodeRef{ending: c.id(3).String()[40:]})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.unbond(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := s.preview(s.View, m)
	if err != nil || plan.Cost != 0 || plan.Gain != 0 || *plan.Acts != 3 {
		t.Fatalf("%v: %+v", err, plan)
	}
	c.do(holder, plan.Fee, m.body)
	if _, err := c.session(holder).withdraw(n); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.epoch()
	}
	s = c.session(holder)
	if m, err = s.withdraw(n); err != nil {
		t.Fatal(err)
	}
	if plan, _, err = s.preview(s.View, m); err != nil || plan.Gain < 999*token.WAL || plan.Gain != *m.amount {
		t.Fatalf("%v: %+v", err, plan)
	}
	c.do(holder, plan.Fee, m.body)
	if a, err := c.session(holder).View.Account(holder.Address()); err != nil || a.Balance != plan.After {
		t.Errorf("%v: it has %s, planned were %s", err, a.Balance, plan.After)
	}
}

func TestAPercentIsReadExactly(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "5": 500, "5%": 500, "2.75": 275, "12.5%": 1250, "100": 10000, "0.01": 1} {
		got, err := parsePercent(text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
		if back, err := parsePercent(percentText(want)); err != nil || back != want {
			t.Errorf("%s is read back as %d, %v", percentText(want), back, err)
		}
	}
	for _, text := range []string{"", "%", "-1", "100.01", "1.234", "1.", ".5", "1e2", "1000", "five", "5WAL", " 5", "5 %", "1,5", "005", "٥"} {
		if got, err := parsePercent(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func sampleRequest() nodeRequest {
	s := token.Secret{1, 2}
	operator := holderKey(1).Address()
	b := ledger.RegisterNode{Addresses: []string{"/ip4/1.2.3.4/tcp/5"}, Comet: "1.2.3.4:6", CapacityKiB: 7, Name: "n"}.Prove("walrus-00000000", "walrus", operator, s.Key(), s.BLSKey())
	r := newRequest("walrus-00000000", operator, b)
	r.Opening = &doctor.OpeningTime{Prove: time.Microsecond, Verify: 100}
	return r
}

func TestARequestIsReadAsItWasWritten(t *testing.T) {
	r := sampleRequest()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeRequest(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.body()
	b, err2 := back.body()
	if err != nil || err2 != nil || fmt.Sprint(a) != fmt.Sprint(b) || back.Operator != r.Operator || back.Chain != r.Chain || *back.Opening != *r.Opening {
		t.Errorf("%+v became %+v", r, back)
	}
	for _, bad := range []string{"", "{}", "[]", string(text) + "{}", strings.Replace(string(text), `"chain"`, `"chains"`, 1), strings.Replace(string(text), `"walrus_node_request":2`, `"walrus_node_request":1`, 1),
		strings.Replace(string(text), `"prove_ns":1000`, `"prove_ns":0`, 1), strings.Replace(string(text), `"prove_ns":1000`, `"prove_ns":-1000`, 1), strings.Replace(string(text), `"verify_ns":100`, `"verify_ns":3600000000001`, 1),
		strings.Replace(string(text), r.BLS, r.BLS[2:], 1), string(text) + strings.Repeat(" ", requestBytes)} {
		if _, err := decodeRequest(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q… is taken for a request", bad)
		}
	}
}

func FuzzRequest(f *testing.F) {
	text, err := json.Marshal(sampleRequest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"walrus_node_request":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decodeRequest(bytes.NewReader(text))
		if err != nil {
			return
		}
		body, err := r.body()
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(newRequest(r.Chain, r.Operator, body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRequest(bytes.NewReader(again)); err != nil && len(again) <= requestBytes {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
