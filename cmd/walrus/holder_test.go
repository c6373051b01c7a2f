package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/doctor"
	"github.com/walrus-network/walrus/internal/court"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// tribunal is a session on a ledger of a court: what people are told of punishment can be
// seen without a network that punishes.
type tribunal struct {
	*court.Court
}

func holderKey(i byte) token.Key { return token.KeyFromSeed([32]byte{9, i}) }

func newTribunal(t *testing.T, bond token.Amount) *tribunal {
	t.Helper()
	g := ledger.Genesis{Name: "court", Time: 1_800_000_000_000, Params: court.Params()}
	for i := range byte(3) {
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: holderKey(i).Address(), Amount: 1_000_000 * token.WAL})
	}
	for i := range byte(5) {
		s := token.Secret{8, i}
		n := ledger.GenesisNode{Operator: holderKey(0).Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: fmt.Sprintf("a node of a long name %d", i), CapacityKiB: 1 << 30, Bond: bond, CommissionBps: 1275}
		g.Nodes = append(g.Nodes, n.Prove(g.Name, s.Key(), s.BLSKey()))
	}
	return &tribunal{court.New(t, g)}
}

// session is a command's session, for a wallet.
func (c *tribunal) session(k token.Key) *session {
	c.Helper()
	n, err := report.Look(c.View(), time.Now())
	if err != nil {
		c.Fatal(err)
	}
	return &session{Connection: &client.Connection{Network: client.Network{Genesis: c.Genesis}}, key: k, verified: true, Now: n}
}

// epoch pays for an epoch and runs it.
func (c *tribunal) epoch(faults ...ledger.Fault) {
	c.Helper()
	c.Do(holderKey(2), 1000*token.WAL, ledger.Transfer{To: holderKey(2).Address(), Amount: 1})
	c.Epoch(faults...)
}

func (c *tribunal) jail(i int) jailShown {
	c.Helper()
	s := c.session(holderKey(0))
	n, err := s.find(nodeRef{id: c.ID(i)})
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
	c.Fate[c.ID(1)] = staking.Failed
	c.epoch()
	j := c.jail(1)
	if j.Jailed || j.JailFrom != 2 || j.JailUntil != 3 || j.MoveUntil != 2 || len(j.Results) != 1 || j.Results[0].Rung != 4 || j.Results[0].Slashed == 0 {
		t.Fatalf("%+v", j)
	}
	text := printed(t, func(b *bytes.Buffer) error { return j.print(b, c.session(token.Key{}).Now) })
	for _, words := range []string{"goes to jail in epoch 2", "ends by itself when epoch 3 begins", "failed proofs in epoch 0", "explain slash " + shortID(c.ID(1)) + " 0", "pay deferred", "shards move away"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), words) {
			t.Errorf("no word of %q:\n%s", words, text)
		}
	}
	if j := c.jail(2); len(j.Advice) != 1 || !strings.Contains(j.Advice[0], "good standing") {
		t.Errorf("%+v", j)
	}
	delete(c.Fate, c.ID(1))
	c.epoch()
	c.epoch() // now in epoch 3
	if j := c.jail(1); j.JailUntil != 0 || len(j.Results) != 3 {
		t.Fatalf("%+v", j)
	}
	s := c.session(holderKey(0))
	if epoch, err := s.lastSlash(c.ID(1)); err != nil || epoch != 0 {
		t.Errorf("the last slash was in %d, %v", epoch, err)
	}
	if epoch, err := s.lastSlash(c.ID(2)); err != nil || epoch != 2 {
		t.Errorf("without a slash the last epoch is explained: %d, %v", epoch, err)
	}
	if j := c.jail(2); len(j.Unready) != 1 || len(j.Advice) != 1 || !strings.Contains(j.Advice[0], "is not complete there") {
		t.Errorf("%+v", j)
	}
}

func TestTheTableOfNodesFitsATerminal(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	c.Do(holderKey(1), token.WAL, ledger.Delegate{Node: c.ID(3), Amount: 12_345 * token.WAL})
	c.Do(holderKey(0), token.WAL, ledger.SetCommission{Node: c.ID(1), Bps: 2050})
	c.Fate[c.ID(1)] = staking.Failed
	c.epoch()
	list, err := c.session(holderKey(0)).Nodes(defaultPast)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(list, func(a, b report.Node) int { return int(int64(b.Stake) - int64(a.Stake)) }) || list[0].ID != c.ID(3) {
		t.Error("not by stake")
	}
	for _, n := range list {
		bad := n.ID == c.ID(1)
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
	for _, words := range []string{"12.75%>20.5% @3", "jail from 2", "1x", shortID(c.ID(3))} {
		if !strings.Contains(text, words) {
			t.Errorf("no word of %q:\n%s", words, text)
		}
	}
	s := c.session(holderKey(0))
	for i := range byte(2) {
		r, err := s.Rewards(holderKey(i).Address(), defaultPast)
		if err != nil {
			t.Fatal(err)
		}
		printed(t, func(b *bytes.Buffer) error { return rewardsShown{Rewards: r}.print(b) })
	}
	wide := printed(t, func(b *bytes.Buffer) error { return nodeList{Nodes: list}.printWide(b, true) })
	if !strings.Contains(wide, c.ID(3).String()) || !strings.Contains(wide, "in epoch 0 (rung 4)") {
		t.Error(wide)
	}
}

func TestAPlannedMoveIsWhatTheLedgerDoes(t *testing.T) {
	c := newTribunal(t, 99_999*token.WAL)
	holder := holderKey(1)
	c.Do(holder, token.WAL, ledger.Delegate{Node: c.ID(3), Amount: 1000 * token.WAL})
	c.epoch()
	s := c.session(holder)
	n, err := s.find(nodeRef{ending: c.ID(3).String()[40:]})
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
	c.Do(holder, plan.Fee, m.body)
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
	c.Do(holder, plan.Fee, m.body)
	if a, err := c.session(holder).View.Account(holder.Address()); err != nil || a.Balance != plan.After {
		t.Errorf("%v: it has %s, planned were %s", err, a.Balance, plan.After)
	}
}

func TestAPercentIsReadExactly(t *testing.T) {
	for text, want := range map[string]unit.Bps{"0": 0, "5": 500, "5%": 500, "2.75": 275, "12.5%": 1250, "100": 10000, "0.01": 1} {
		got, err := parsePercent(text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
		if back, err := parsePercent(want.Percent()); err != nil || back != want {
			t.Errorf("%s is read back as %d, %v", want.Percent(), back, err)
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
	r.Reached = []doctor.Reach{{Address: "/ip4/1.2.3.4/tcp/5", Peers: 2, Asked: 3}}
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
	if err != nil || err2 != nil || fmt.Sprint(a) != fmt.Sprint(b) || back.Operator != r.Operator || back.Chain != r.Chain || *back.Opening != *r.Opening || !slices.Equal(back.Reached, r.Reached) {
		t.Errorf("%+v became %+v", r, back)
	}
	for _, bad := range []string{"", "{}", "[]", string(text) + "{}", strings.Replace(string(text), `"chain"`, `"chains"`, 1), strings.Replace(string(text), `"walrus_node_request":3`, `"walrus_node_request":2`, 1), strings.Replace(string(text), `"asked":3`, `"asked":1`, 1), strings.Replace(string(text), `"asked":3`, `"asked":3000`, 1),
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
