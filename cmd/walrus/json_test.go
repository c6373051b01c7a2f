package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// The JSON of the commands that only read the ledger is compared byte for byte with
// testdata/*.json. The clock is the bubble's, so that every date is the same in each run.
func TestTheJSONOfCommandsStays(t *testing.T) {
	inUTC(t)
	synctest.Test(t, func(t *testing.T) {
		c := newTribunal(t, 99_999*token.WAL)
		c.goldenJSON("start") // epoch 0, without a delegation or a settled epoch

		holder := holderKey(1)
		c.Do(holder, token.WAL, ledger.Delegate{Node: c.ID(3), Amount: 12_345 * token.WAL})
		c.Do(holder, token.WAL, ledger.Delegate{Node: c.ID(1), Amount: 777 * token.WAL})
		c.Do(holderKey(0), token.WAL, ledger.SetCommission{Node: c.ID(1), Bps: 2050})
		c.Fate[c.ID(1)] = staking.Failed
		c.epoch()
		c.goldenJSON("slashed") // node 1 goes to jail, its delegation is not yet shares

		delete(c.Fate, c.ID(1))
		c.epoch()
		c.Do(holder, token.WAL, ledger.Delegate{Node: c.ID(2), Amount: 50 * token.WAL})
		c.Do(holder, token.WAL, ledger.Undelegate{Node: c.ID(3), Shares: 1000 * staking.Shares(token.WAL)})
		c.Do(holderKey(0), token.WAL, ledger.Unbond{Node: c.ID(4), Amount: 500 * token.WAL})
		for i := range 5 {
			c.Do(holderKey(0), token.WAL, ledger.Vote{Node: c.ID(i), Price: 3000, Version: 0, Changes: []ledger.ParamChange{{Name: ledger.Votables()[0].Name, Value: ledger.Votables()[0].Of(c.Genesis.Params) + 1}}})
		}
		c.goldenJSON("jailed") // node 1 is in jail, money joins and leaves, a vote is cast

		c.epoch(ledger.Fault{Node: c.ID(4), Kind: ledger.Lie, Epoch: 2, Round: 1})
		c.epoch()
		c.epoch(ledger.Fault{Node: c.ID(4), Kind: ledger.Lie, Epoch: 4, Round: 1})
		c.epoch()
		c.epoch(ledger.Fault{Node: c.ID(4), Kind: ledger.Lie, Epoch: 6, Round: 1})
		c.goldenJSON("expelled") // node 4 has told its last lie
	})
}

// The JSON of a blob's status in each of its states, and of the list of an owner's blobs.
func TestTheJSONOfABlobStays(t *testing.T) {
	inUTC(t)
	synctest.Test(t, func(t *testing.T) {
		c := newTribunal(t, 99_999*token.WAL)
		owner, other := holderKey(1), holderKey(2)
		var secrets []token.Secret
		for i := range byte(4) { // node 4 does not sign
			secrets = append(secrets, token.Secret{8, i})
		}
		blobs := map[string]blob.Manifest{}
		for i, name := range []string{"registered", "certified", "renewed", "shared", "deleted", "short"} {
			blobs[name] = c.Manifest(int64(100_000 + i))
			epochs := map[string]uint64{"registered": 3, "certified": 4, "renewed": 2, "shared": 3, "deleted": 3, "short": 1}[name]
			c.Do(owner, token.WAL, ledger.RegisterBlob{Manifest: blobs[name], Epochs: epochs, Owner: owner.Address(), Permanent: name == "shared"})
			if name != "registered" {
				c.Certify(blobs[name].ID(), secrets...)
			}
		}
		price, err := c.session(owner).Params.Registry.PriceOf(1000)
		if err != nil {
			t.Fatal(err)
		}
		c.Do(owner, token.WAL, ledger.SetRenewal{Blob: blobs["renewed"].ID(), Allowance: price, HighestPrice: 2 * c.Genesis.Params.Registry.Price})
		c.Do(owner, token.WAL, ledger.SetRenewal{Blob: blobs["certified"].ID(), Allowance: price / 10, HighestPrice: 1})
		c.Do(other, token.WAL, ledger.RegisterBlob{Manifest: blobs["shared"], Epochs: 9, Owner: other.Address()})
		c.Do(owner, token.WAL, ledger.Delete{Blob: blobs["deleted"].ID()})
		var out strings.Builder
		for range 3 {
			s := c.session(owner)
			for _, name := range []string{"registered", "certified", "renewed", "shared", "deleted", "short", "unknown"} {
				m := blobs[name]
				if name == "unknown" {
					m = c.Manifest(5)
				}
				st, err := s.statusOf(m.ID())
				if err == nil && st.State == report.Certified {
					err = s.keepers(t.Context(), &st, false)
				}
				if err == nil {
					out.WriteString(name + "\n")
					err = encodeJSON(&out, st)
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			for _, k := range []token.Key{owner, other} {
				list, err := s.owned(k.Address())
				if err == nil {
					out.WriteString("list\n")
					err = encodeJSON(&out, list)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			c.epoch()
			c.epoch()
		}
		golden.Check(t, "json-blobs.txt", out.String())
	})
}

// inUTC makes UTC the machine's time zone, in which texts name a time.
func inUTC(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
}

// goldenJSON compares what each command prints with --json now.
func (c *tribunal) goldenJSON(when string) {
	c.Helper()
	var out strings.Builder
	add := func(command string, value any, err error) {
		c.Helper()
		if err != nil {
			c.Fatalf("%s: %s: %v", when, command, err)
		}
		out.WriteString(command + "\n")
		if err := encodeJSON(&out, value); err != nil {
			c.Fatal(err)
		}
	}
	s := c.session(holderKey(1))
	at := s.ledgerState()
	add("ledger", at, nil)
	for _, epochs := range []uint64{0, 1, defaultPast} {
		list, err := s.Nodes(epochs)
		add("nodes", nodeList{Nodes: list, Epochs: epochs, Ledger: at}, err)
	}
	for i := range byte(3) {
		owner := holderKey(i).Address()
		positions, err := s.Positions(owner)
		add("stake list", stakeShown{Positions: positions}, err)
		rewards, err := s.Rewards(owner, defaultPast)
		add("stake rewards", rewardsShown{Rewards: rewards}, err)
	}
	for i := range 5 {
		add("pool jail-status", c.jail(i), nil)
	}
	info, err := s.Overview()
	add("info", networkInfo{Overview: info}, err)
	add("params", paramList{Rules: report.RulesOf(s.Rules)}, nil)
	golden.Check(c, "json-"+when+".txt", out.String())
}
