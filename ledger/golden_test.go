package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// TestGoldenFormats pins the bytes of keys, records, transactions and messages.
func TestGoldenFormats(t *testing.T) {
	var out strings.Builder
	line := func(name string, b []byte) { fmt.Fprintf(&out, "%-24s %x\n", name, b) }
	w := newWorld(t, small(), 4)
	alice, node := userKey(1), nodeSecret(0)
	addr, id := alice.Address(), staking.NodeID(node.Key().Public())
	m := w.manifest(1, 1000)
	const chain = token.ChainID("test-00000000")

	fmt.Fprintln(&out, "# keys")
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"head", KeyHead()}, {"rules", KeyRules()}, {"supply", KeySupply()}, {"usage", KeyUsage()}, {"account", KeyAccount(addr)},
		{"blob", KeyBlob(m.ID())}, {"tombstone", KeyTombstone(m.ID())}, {"owned", KeyOwned(addr, m.ID())}, {"committee 258", KeyCommittee(258)},
		{"node", KeyNode(id)}, {"pool", KeyPool(id)}, {"delegation", KeyDelegation(addr, id)}, {"joined 3", KeyJoined(id, 3)}, {"left 3", KeyLeft(id, 3)}, {"standing", KeySanctions(id)}, {"tally 3", KeyTally(3)},
		{"statement 3", KeyStatement(3, id)}, {"books 3", KeyBooks(3)}, {"terms 3", KeyTerms(3)}, {"fault", KeyFault(Fault{Node: id, Kind: Lie, Epoch: 3, Round: 4})}, {"bucket 3", KeyBucket(3)},
		{"double sign", KeyDoubleSign(id)}, {"due 7", keyDue(7, m.ID())}, {"bls", keyBLS(node.BLSKey().Public())},
		{"round", KeyRound()}, {"past round 3", KeyPastRound(3)}, {"beacon", KeyBeacon()}, {"missed", KeyMissed(id)}, {"declared", KeyDeclared(id)},
		{"dispute", KeyDispute(3, 4)}, {"answer by 5", keyAnswerBy(5, 3, 4)}, {"open disputes", KeyOpenDisputes()}, {"open disputes of", KeyOpenDisputesOf(addr)},
		{"bundle 5", KeyBundle(5, Fault{Kind: Lie, Epoch: 3, Round: 4, Shard: 6})},
		{"slot 3", keySlot(3)}, {"free 3", keyFree(3)}, {"freeing 3", keyFreeing(3)}, {"eligible 3", keyEligible(3, m.ID())}, {"certificate", KeyCertificate(m.ID())}, {"certifiers 3", KeyCertifiers(3)}, {"vouched 3", keyVouched(3)}, {"last draw", KeyLastDraw(m.ID())}, {"ballot", KeyBallot(id)}, {"price record 3", KeyPriceRecord(3)}, {"rule record 3", KeyRuleRecord(3)},
	} {
		line(k.name, k.key)
	}
	fmt.Fprintln(&out, "# messages")
	line("possession", BLSProofMessage("test", id, node.BLSKey().Public()))
	line("node", nodeMessage(chain, id, addr, node.BLSKey().Public()))
	line("ready", readyMessage(chain, 3, 4))
	line("confirm", registry.ConfirmMessage(chain, 3, m.ID()))
	fmt.Fprintln(&out, "# records")
	line("head", canon.Encode(Head{Height: 1, TimeMs: 2, Epoch: 3, EpochStart: 4, EpochEnd: 5, RuleVersion: 1}))
	line("account", canon.Encode(Account{Balance: 1, Nonce: 2, Used: 3}))
	line("supply", canon.Encode(Supply{Total: 1, Burned: 2, Carry: 3, Escrow: 4, Allowances: 5, Subsidy: 6, Insurance: 7, Repair: 8}))
	line("usage", canon.Encode(Usage{ReservedKiB: 1, ShardKiB: 2, Swept: 3, Slots: 4, Drawable: 5, DrawableKiB: 6}))
	line("entry", canon.Encode(registry.Entry{Manifest: m, Units: 1, RegisteredEpoch: 2, RegisteredHeight: 3, CertifiedEpoch: 4, CertifiedHeight: 5,
		Leases: []registry.Lease{{Owner: addr, Payer: addr, Start: 6, End: 7, Price: 8, Write: 9, Permanent: true, Renewal: registry.Renewal{Payer: addr, Left: 10, Highest: 11}}}}))
	line("tombstone", canon.Encode(registry.Tombstone{Reason: registry.Deleted, Ended: 1, Free: 2, Units: 3, Reserved: true}))
	line("pool", canon.Encode(staking.Pool{Bond: 1, BondLeaving: []staking.Deposit{{Amount: 2, Epoch: 3}}, Balance: 4, Shares: 5, Joining: []staking.Deposit{{Amount: 6, Epoch: 7}},
		Leaving: []staking.ShareExit{{Shares: 7, Epoch: 8}}, Owed: 9, Earned: 10, Held: staking.HeldPay{First: []token.Amount{11}, Late: []token.Amount{12}}, CommissionBps: 13, NextCommission: []staking.Commission{{Bps: 14, Epoch: 15}}}))
	line("delegation", canon.Encode(staking.Delegation{Shares: 1, Joining: []staking.Deposit{{Amount: 2, Epoch: 3}}, Leaving: []staking.ShareExit{{Shares: 4, Epoch: 5}}}))
	line("rate", canon.Encode(OpenRate{Rate: staking.Rate{Balance: 1, Shares: 2, Returned: true}, Open: 3}))
	line("node", canon.Encode(NodeRecord{ID: id, Operator: addr, Governance: addr, Payout: addr, BLS: node.BLSKey().Public(), Addresses: []string{"a", "b"}, Comet: "c", CapacityKiB: 1, Name: "n", URL: "u", About: "w", RegisteredEpoch: 2}))
	line("double sign", canon.Encode(DoubleSignRecord{Height: 1, Found: 2, Epoch: 3, Power: 4, TakenBps: 5}))
	changes := []ParamChange{{Name: "fees.base", Value: 2}}
	line("rules", canon.Encode(Rules{Version: 1, Params: Testnet(), Planned: []Plan{{Epoch: 3, Version: 2, Changes: changes}}}))
	line("ballot", canon.Encode(Ballot{Price: 1, WritePrice: 2, Version: 3, Changes: changes, Height: 4}))
	line("price record", canon.Encode(PriceRecord{Epoch: 1, Shards: 2, BoundBps: 3, Nodes: []staking.NodeID{id}, Held: []uint16{4},
		Prices: []token.Amount{5}, Writes: []token.Amount{6}, Before: 7, After: 8, WriteBefore: 9, WriteAfter: 10}))
	line("round", canon.Encode(RoundState{Round: challenge.RoundID{Epoch: 1, Round: 2}, Ordinal: 3, T: 4, Nominal: 5, Drawn: true, Void: true, TimeMs: 6, Drawings: []DrawnStripe{{Manifest: m, Stripe: 7}}, Ready: []byte{11},
		Reveals: []RoundReveal{{Node: 8}}, Votes: []RoundVote{{Node: 9, Listened: true, Yes: []byte{10}}}, Passed: []byte{12}}))
	record := DisputeRecord{Opener: addr, Bond: 1, Opened: 2, AnswerBy: 3, State: DisputeOpen, Closed: 4}
	line("dispute", canon.Encode(record))
	line("bundle", Bundle{Chain: chain, Kind: FalseVote, Round: challenge.RoundID{Epoch: 1, Round: 2}, Ordinal: 3, T: 4, Shard: 5, Holder: id, Drawings: []DrawnStripe{{Manifest: m, Stripe: 6}},
		Params: challenge.Default(), Height: 7, Falsehood: []byte{8}, Dispute: record, Voters: []staking.NodeID{id}}.Encode())
	line("last draw", canon.Encode(LastDraw{Round: challenge.RoundID{Epoch: 1, Round: 2}, Ordinal: 3, Height: 4, TimeMs: 5, Stripes: 6, Void: true, Passed: []byte{7}, Failed: 8, Away: 9, Unclear: 10, Unready: 11}))
	line("certificate", canon.Encode(registry.Certificate{Epoch: 1, Bitmap: []byte{2}}))
	line("certifiers", canon.Encode(Certifiers{Epoch: 1, Members: []Certifier{{BLS: node.BLSKey().Public(), Shards: 2}}}))
	line("slot", canon.Encode(challenge.Slot{Blob: m.ID(), Units: 1}))
	line("rule record", canon.Encode(RuleRecord{Epoch: 1, Version: 2, Changes: changes, Dropped: true}))
	line("params of a real network", canon.Encode(Default()))
	c := w.committee()
	c.From[3] = c.Holder[0]
	line("committee", c.encode())
	fmt.Fprintln(&out, "# transactions")
	goldenTransactions(line, w, alice, chain, m, id)
	golden.Check(t, "formats.txt", out.String())
}

func goldenTransactions(line func(string, []byte), w *world, alice token.Key, chain token.ChainID, m blob.Manifest, id staking.NodeID) {
	node, addr := nodeSecret(0), alice.Address()
	for _, b := range []Body{
		Transfer{To: addr, Amount: token.WAL},
		RegisterNode{Addresses: []string{"/ip4/1.2.3.4/tcp/5"}, Comet: "1.2.3.4:6", CapacityKiB: 7, Name: "n", Bond: token.WAL, CommissionBps: 8}.Prove(chain, worldName, addr, node.Key(), node.BLSKey()),
		UpdateNode{Node: id, Addresses: []string{"a"}, Comet: "c", CapacityKiB: 1, Name: "n"},
		SetCommission{Node: id, Bps: 1}, SetNodeKeys{Node: id, Operator: addr, Governance: addr, Payout: addr}, Bond{Node: id, Amount: 1}, Unbond{Node: id, Amount: 1}, Withdraw{Node: id}, Delegate{Node: id, Amount: 1, Least: 2}, Undelegate{Node: id, Shares: 1},
		RegisterBlob{Manifest: m, Epochs: 2, Owner: addr, Permanent: true, Allowance: 3, HighestPrice: 4}, Extend{Blob: m.ID(), Epochs: 1}, Delete{Blob: m.ID()}, Vote{Node: id, Price: 1, WritePrice: 2, Version: 3, Changes: []ParamChange{{Name: "fees.base", Value: 4}}}, SetRenewal{Blob: m.ID(), Allowance: 1, HighestPrice: 2},
		Dispute{Ordinal: 3, Shard: 4},
	} {
		line(b.kind().String(), Sign(alice, chain, 1, fee, b))
	}
	line("certify", Unsigned(Certify{Blob: m.ID(), Certificate: w.certificate(m.ID(), 0, all)}))
	line("shard-ready", Unsigned(NewShardReady(chain, node.Key(), 3, 4)))
	line("declare", Unsigned(NewDeclare(chain, node.Key(), 3)))
	line("accuse", Unsigned(Accuse{Ordinal: 3, Evidence: []byte{1, 2}, Finder: addr}))
	line("answer", Unsigned(Answer{Ordinal: 3, Shard: 4, Proof: []byte{1, 2}, To: addr}))
	line("invalidate", Unsigned(Invalidate{Blob: m.ID(), Proof: []byte{1, 2, 3}, Finder: addr}))
}

// TestTheStoryOfABlobAndANode is told in testdata/story.txt.
func TestTheStoryOfABlobAndANode(t *testing.T) {
	w := newWorld(t, small(), 4)
	var out strings.Builder
	names := map[token.Address]string{}
	for i, n := range []string{"operator", "alice", "bob", "carol"} {
		names[w.users[i].Address()] = n
	}
	state := func() {
		h, a := w.head(), w.balanced()
		fmt.Fprintf(&out, "    height %d, epoch %d, app hash %s\n", h.Height, h.Epoch, w.l.AppHash())
		fmt.Fprintf(&out, "    accounts %s, pools %s, buckets %s, escrow %s, carry %s\n", a.Accounts, a.Pools, a.Buckets, a.Escrow, a.Carry)
		for _, u := range w.users[1:] {
			fmt.Fprintf(&out, "    %-8s %s\n", names[u.Address()], w.account(u).Balance)
		}
	}
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	outcome := func(err error) string {
		if err == nil {
			return "done"
		}
		return "refused: " + err.Error()
	}
	say("genesis %s, chain %s, hash %s", w.g.Name, w.l.ChainID(), w.g.Hash())
	state()
	alice, bob, carol := w.users[1], w.users[2], w.users[3]
	m := w.manifest(1, 1_000_000)
	say("alice registers a blob of 1,000,000 bytes for 3 epochs: %s", outcome(w.try(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()})))
	state()
	two := w.certificate(m.ID(), 0, func(i int, _ staking.NodeID) bool { return i < 2 })
	say("a certificate of two nodes of four: %s", outcome(w.send(Certify{Blob: m.ID(), Certificate: two})))
	say("a certificate of all nodes: %s", outcome(w.send(Certify{Blob: m.ID(), Certificate: w.certificate(m.ID(), 0, all)})))
	state()
	say("bob takes a lease on the same blob for 4 epochs: %s", outcome(w.try(bob, RegisterBlob{Manifest: m, Epochs: 4, Owner: bob.Address()})))
	id, body := w.newcomer(carol, 7, 200*token.WAL)
	say("carol registers the node %s with a bond of 200WAL: %s", id, outcome(w.try(carol, body)))
	say("bob delegates 50WAL to it: %s", outcome(w.try(bob, Delegate{Node: id, Amount: 50 * token.WAL})))
	state()
	w.toEpoch(1)
	c := w.committee()
	say("epoch 1: the new node has the duty for shards %v, %d on the move", c.Duty(id), c.NotReady())
	state()
	for _, s := range c.Duty(id) {
		say("it reports shard %d ready: %s", s, outcome(w.send(NewShardReady(w.l.ChainID(), nodeSecret(7).Key(), 1, s))))
	}
	say("alice deletes her lease: %s", outcome(w.try(alice, Delete{Blob: m.ID()})))
	say("alice deletes it again: %s", outcome(w.try(alice, Delete{Blob: m.ID()})))
	state()
	w.toEpoch(3)
	say("epoch 3: bob's lease lasts")
	state()
	say("carol draws what her node has earned: %s", outcome(w.try(carol, Withdraw{Node: id})))
	w.toEpoch(4)
	grave, _, err := w.view().Tombstone(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	say("epoch 4: the blob has %s; its bytes may go from epoch %d on", grave.Reason, grave.Free)
	state()
	golden.Check(t, "story.txt", out.String())
}
