package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

// developer is a user with a testnet of four nodes and seven shards.
type developer struct {
	*testing.T
	dir string // of files
	net string // of the testnet
}

// startTestnet does what the README says: testnet up, and the line it prints.
func startTestnet(t *testing.T) *developer {
	return launch(t, "--nodes", "4", "--shards", "7", "--block-time", "200ms")
}

// launch starts a testnet of some shape.
func launch(t *testing.T, shape ...string) *developer {
	t.Helper()
	testlevel.Middle(t, "starts a network of nodes")
	home(t)
	d := &developer{t, t.TempDir(), filepath.Join(t.TempDir(), "net")}
	t.Cleanup(func() { // also when up failed half way
		if got := walrus(t, "testnet", "down", "--wipe", "--dir", d.net); got.code != exitOK {
			t.Errorf("testnet down: %s", got.err)
		}
	})
	d.use(ok(t, append([]string{"testnet", "up", "--dir", d.net}, shape...)...))
	return d
}

// use does what a shell does with the line.
func (d *developer) use(line string) {
	d.Helper()
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != "export" {
		d.Fatalf("not a line for a shell: %q", line)
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		d.Setenv(name, value)
	}
}

// file makes a file of random bytes.
func (d *developer) file(name string, size int, seed byte) (path string, content []byte) {
	d.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(content)
	return write(d.T, filepath.Join(d.dir, name), string(content)), content
}

func (d *developer) store(args ...string) client.StoreResult {
	d.Helper()
	r := okJSON[storeResult](d.T, append([]string{"store"}, args...)...)
	if len(r.Blobs) != 1 || r.Blobs[0].StoreResult == nil {
		d.Fatalf("stored: %+v", r)
	}
	return *r.Blobs[0].StoreResult
}

func (d *developer) certified(id fmt.Stringer) report.Blob {
	d.Helper()
	st := okJSON[report.Blob](d.T, "status", id.String())
	if st.State != report.Certified || !st.Ledger.Verified {
		d.Fatalf("%s is %s, proven %v", id, st.State, st.Ledger.Verified)
	}
	return st
}

func (d *developer) reads(id fmt.Stringer, want []byte) {
	d.Helper()
	if got := ok(d.T, "read", id.String()); got != string(want) {
		d.Errorf("%s: %d bytes came back, %d were stored", id, len(got), len(want))
	}
}

// TestADeveloperOnATestnet is one story, told in order: starting a network costs more
// than all its steps.
func TestADeveloperOnATestnet(t *testing.T) {
	d := startTestnet(t)
	for _, step := range []struct {
		name string
		run  func(*developer)
	}{
		{"it can be looked at", (*developer).look},
		{"what is stored can be read", (*developer).storeAndRead},
		{"many files are one blob", (*developer).quilts},
		{"many files are stored side by side", (*developer).sideBySide},
		{"what is encrypted only its keys read", (*developer).secrets},
		{"files and streams in people's hands", (*developer).hands},
		{"leases", (*developer).leases},
		{"a blob that renews itself", (*developer).renewals},
		{"a blob deleted and stored again in one epoch is certified again", (*developer).again},
		{"two stores at once from one wallet", (*developer).together},
		{"money", (*developer).money},
		{"votes", (*developer).votes},
		{"another network is refused", (*developer).stranger},
		{"trust in the chain goes on", (*developer).trust},
		{"a node that lost its disk heals", (*developer).lostDisk},
		{"while the ledger stands still blobs can be read and not stored", (*developer).halted},
		{"down and up again", (*developer).downAndUp},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(&developer{t, d.dir, d.net}) })
		if t.Failed() {
			return
		}
	}
}

// TestWhatStakeEarnsCanBeExplained is a token holder's story, over a few short epochs.
func TestWhatStakeEarnsCanBeExplained(t *testing.T) {
	d := launch(t, "--nodes", "4", "--shards", "7", "--block-time", "200ms", "--epoch", "4s")
	path, _ := d.file("paid for", 200_000, 20)
	d.store(path)
	node := okJSON[nodeList](t, "nodes", "--no-call").Nodes[0].ID.String()
	ok(t, "stake", "delegate", node, "1000WAL")
	var earned report.ShareReward
	d.until("the delegation has earned", func() bool {
		for _, one := range okJSON[rewardsShown](t, "stake", "rewards").Delegated {
			if one.Earned > 0 {
				earned = one
			}
		}
		return earned.Earned > 0
	})
	epoch := fmt.Sprint(earned.Epoch)
	for _, args := range [][]string{{"explain", "reward", node, epoch}, {"explain", "reward", shortID(earned.Node)}, {"explain", "slash", node, epoch}, {"explain", "slash", node}} {
		if e := okJSON[explanationShown](t, args...); !e.Holds || len(e.Steps) < 8 || !e.Ledger.Verified {
			t.Errorf("walrus %s: %+v", strings.Join(args, " "), e)
		}
		if out := ok(t, args...); !strings.Contains(out, "it is what the ledger did") {
			t.Errorf("walrus %s: %s", strings.Join(args, " "), out)
		}
	}
	for _, n := range okJSON[nodeList](t, "nodes").Nodes {
		if n.Return == nil || n.Return.Epochs == 0 || n.Past.Passed == 0 || !n.Answers {
			t.Errorf("node %+v", n)
		}
	}
	if m := okJSON[moveResult](t, "stake", "unbond", node, "--all"); *m.Amount < 1000*token.WAL || m.Acts == nil || *m.Acts <= earned.Epoch {
		t.Errorf("unbond: %+v", m)
	}
	d.until("it can be drawn", func() bool {
		l := okJSON[stakeShown](t, "stake", "list").Delegations
		return len(l) == 1 && l[0].Withdrawable >= 1000*token.WAL
	})
	before := *okJSON[walletShown](t, "wallet", "show").Balance
	plan, done := okJSON[moveResults](t, "stake", "withdraw", "--all", "--dry-run"), okJSON[moveResults](t, "stake", "withdraw", "--all")
	if len(plan.Moves) != 4 || len(done.Moves) != 4 { // it operates all four nodes
		t.Errorf("planned %+v, done %+v", plan, done)
	}
	if after := *okJSON[walletShown](t, "wallet", "show").Balance; after < before+1000*token.WAL {
		t.Errorf("the balance went from %s to %s", before, after)
	}
	if l := okJSON[stakeShown](t, "stake", "list"); len(l.Delegations) != 0 {
		t.Errorf("what was drawn is listed: %+v", l)
	}
}

func (d *developer) look() {
	refused(d.T, exitFail, []string{"runs in", "testnet status"}, "testnet", "up", "--dir", d.net)
	i := okJSON[networkInfo](d.T, "info")
	if i.Nodes != 4 || i.Shards != 7 || i.Faults != 2 || i.Balance == nil || *i.Balance == 0 || !i.Ledger.Verified {
		d.Errorf("info: %+v", i)
	}
	for _, n := range okJSON[nodeList](d.T, "nodes").Nodes {
		if !n.Answers || n.Shards == 0 {
			d.Errorf("node %+v", n)
		}
	}
	for _, n := range okJSON[testnetStatus](d.T, "testnet", "status", "--dir", d.net).Nodes {
		if !n.Running || n.Status == nil {
			d.Errorf("node %+v", n)
		}
	}
	for _, args := range [][]string{{"info"}, {"nodes"}, {"testnet", "status", "--dir", d.net}, {"wallet", "show"}, {"stake", "list"}, {"stake", "rewards"}, {"nodes", "--wide", "--no-call"}, {"node", "status", "--dir", filepath.Join(d.net, "nodes", "0")}} {
		if out := ok(d.T, args...); strings.Contains(out, "%!") || out == "" {
			d.Errorf("walrus %s: %q", strings.Join(args, " "), out)
		}
	}
}

func (d *developer) storeAndRead() {
	path, content := d.file("first", 300_000, 1)
	plan := okJSON[storeResult](d.T, "store", "--dry-run", path).Blobs[0].DryRun
	before := *okJSON[walletShown](d.T, "wallet", "show").Balance
	one := d.store(path)
	if plan.Blob != one.ID || plan.Price != one.Price || plan.Write != one.Write || one.Write == 0 || plan.Already || one.Already {
		d.Errorf("planned %+v, done %+v", plan, one)
	}
	if after := *okJSON[walletShown](d.T, "wallet", "show").Balance; before-after < one.Price+one.Write || before-after > one.Price+one.Write+plan.MostFee {
		d.Errorf("the price is %s, the balance went from %s to %s", one.Price, before, after)
	}
	if id := okJSON[identity](d.T, "id", path, "--shards", "7"); id.Blob != one.ID {
		d.Errorf("offline the ID is %s", id.Blob)
	}
	if st := d.certified(one.ID); st.EndEpoch != one.EndEpoch || st.Bytes != one.Size || st.Nodes != 4 || st.Needed != 3 {
		d.Errorf("status: %+v", st)
	}
	d.reads(one.ID, content)
	for span, want := range map[string][]byte{"0-0": nil, "0-1": content[:1], "1000-290000": content[1000:290000], "299999-": content[299999:]} {
		if got := ok(d.T, "read", one.ID.String(), "--range", span); got != string(want) {
			d.Errorf("range %s: %d bytes", span, len(got))
		}
	}
	refused(d.T, exitFail, []string{"range outside the blob"}, "read", one.ID.String(), "--range", "0-300001", "-o", filepath.Join(d.dir, "out"))
	got := okJSON[readResult](d.T, "read", one.ID.String(), "-o", filepath.Join(d.dir, "out"))
	if b, err := os.ReadFile(filepath.Join(d.dir, "out")); err != nil || !bytes.Equal(b, content) || got.Bytes != int64(len(content)) {
		d.Errorf("read -o: %+v, %v", got, err)
	}
	if again := d.store(path); !again.Already || again.Price != 0 || again.SentBytes != 0 {
		d.Errorf("stored twice: %+v", again)
	}

	empty, _ := d.file("empty", 0, 0)
	odd, oddly := d.file("odd\xff", 10, 2)
	result := walrus(d.T, "store", empty, d.dir, odd, "--json")
	list := object[storeResult](d.T, result.out)
	if result.code != exitFail || len(list.Blobs) != 3 || list.Blobs[0].StoreResult == nil || list.Blobs[1].StoreResult != nil || !strings.Contains(list.Error, "is a directory") {
		d.Fatalf("exit %d: %s", result.code, result.out)
	}
	d.reads(list.Blobs[0].ID, nil)
	d.reads(list.Blobs[2].ID, oddly)

	piped := input(d.T, bytes.NewReader(content[:1000]), "store", "-", "--epochs", "1")
	id, name, _ := strings.Cut(strings.TrimSpace(piped.out), "  ")
	if piped.code != exitOK || name != "-" {
		d.Fatalf("store -: exit %d: %s%s", piped.code, piped.out, piped.err)
	}
	if got := ok(d.T, "read", id); got != string(content[:1000]) {
		d.Errorf("store -: %d bytes came back", len(got))
	}
	if n := len(okJSON[ownBlobs](d.T, "list").Blobs); n != 4 {
		d.Errorf("%d blobs are listed, 4 were stored", n)
	}
	refused(d.T, exitMissing, []string{"knows no such blob"}, "read", "bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u", "-o", filepath.Join(d.dir, "none"))
	refused(d.T, exitMissing, []string{"knows no such blob"}, "status", "bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u")
	fresh, _ := d.file("fresh", 10, 11)
	refused(d.T, exitFail, []string{"105 epochs", "104"}, "store", fresh, "--epochs", "105")
}

// sideBySide stores more files at once than a node has places for.
func (d *developer) sideBySide() {
	const files = 40
	args, contents := []string{"store"}, make([][]byte, files)
	for i := range files {
		var path string
		path, contents[i] = d.file(fmt.Sprintf("side-%d", i), 5000+i, byte(100+i))
		args = append(args, path)
	}
	before := *okJSON[walletShown](d.T, "wallet", "show").Balance
	stored := okJSON[storeResult](d.T, args...)
	var paid token.Amount
	for i, one := range stored.Blobs {
		if one.StoreResult == nil || one.File != args[i+1] || one.Already {
			d.Fatalf("file %d: %+v", i, one)
		}
		paid += one.Price + one.Write
	}
	if after := *okJSON[walletShown](d.T, "wallet", "show").Balance; len(stored.Blobs) != files || before-after < paid || before-after > paid+files*token.WAL/1000 {
		d.Errorf("%d files, paid %s, the balance went from %s to %s", len(stored.Blobs), paid, before, after)
	}
	for _, i := range []int{0, 17, files - 1} {
		d.reads(stored.Blobs[i].ID, contents[i])
	}
	if out := ok(d.T, "wallet", "pending"); strings.Contains(out, "register") {
		d.Errorf("pending: %s", out)
	}
}

func (d *developer) together() {
	var wg sync.WaitGroup
	var out [2]typed
	for i := range out {
		path, _ := d.file(fmt.Sprint("together", i), 20_000, byte(6+i))
		wg.Go(func() { out[i] = walrus(d.T, "store", path, "--json") })
	}
	wg.Wait()
	for _, got := range out {
		if got.code != exitOK {
			d.Errorf("exit %d: %s", got.code, got.err)
			continue
		}
		d.certified(object[storeResult](d.T, got.out).Blobs[0].ID)
	}
}

func (d *developer) money() {
	second := filepath.Join(d.dir, "second")
	address := okJSON[walletFile](d.T, "wallet", "new", "--no-passphrase", "--wallet", second).Address.String()
	path, _ := d.file("poor", 100, 8)
	refused(d.T, exitFail, []string{"not enough money", "wallet show"}, "store", path, "--wallet", second)
	ok(d.T, "testnet", "faucet", address, "--dir", d.net)
	ok(d.T, "wallet", "send", address, "0.5WAL")
	if has := *okJSON[walletShown](d.T, "wallet", "show", "--wallet", second).Balance; has != 1000*token.WAL+token.WAL/2 {
		d.Errorf("the second wallet has %s", has)
	}
	one := d.store(path, "--wallet", second)
	refused(d.T, exitFail, []string{"has no lease"}, "delete", one.ID.String())
	node := okJSON[nodeList](d.T, "nodes", "--no-call").Nodes[0].ID.String()
	d.stakes(node, second)
}

// stakes runs the commands of a token holder and of an operator in the first epoch. Their
// results at the end of the epoch are in TestWhatStakeEarnsCanBeExplained.
func (d *developer) stakes(node, second string) {
	holder := func(args ...string) []string { return append(args, "--wallet", second) }
	before := *okJSON[walletShown](d.T, holder("wallet", "show")...).Balance
	plan := okJSON[moveResult](d.T, holder("stake", "delegate", node, "5WAL", "--dry-run")...)
	if plan.Cost != 5*token.WAL || plan.Before != before || plan.After != before-5*token.WAL-plan.Fee || plan.Acts == nil || !plan.DryRun || plan.Height != 0 {
		d.Errorf("a dry run of delegate: %+v", plan)
	}
	if has := *okJSON[walletShown](d.T, holder("wallet", "show")...).Balance; has != before {
		d.Errorf("a dry run cost %s", before-has)
	}
	short := node[len(node)-endingLetters:]
	got := walrus(d.T, holder("stake", "delegate", "…"+short, "5WAL", "--least-shares", "5")...)
	for _, word := range []string{"costs", "balance", "acts", "about", "shares at the present rate"} {
		if !strings.Contains(got.err, word) {
			d.Errorf("before it is signed there is no word of %q: %s", word, got.err)
		}
	}
	if !strings.Contains(got.out, "done in block") || !strings.Contains(got.out, node) {
		d.Errorf("delegate: %s", got.out)
	}
	if has := *okJSON[walletShown](d.T, holder("wallet", "show")...).Balance; has < plan.After || has > plan.After+plan.Fee {
		d.Errorf("%s is left, planned was at least %s", has, plan.After)
	}
	if l := okJSON[stakeShown](d.T, holder("stake", "list")...); len(l.Delegations) != 1 || len(l.Delegations[0].Joining) != 1 || l.Delegations[0].Joining[0].Amount != 5*token.WAL || l.Delegations[0].Joining[0].Epoch != *plan.Acts {
		d.Errorf("stake list: %+v", l)
	}
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{"becomes shares when"}, holder("stake", "unbond", node, "--all")},
		{[]string{"at least 1WAL"}, holder("stake", "delegate", node, "0.5WAL", "--dry-run")},
		{[]string{"shares at the present rate", "at least"}, holder("stake", "delegate", node, "1WAL", "--least-shares", "2000000000", "--dry-run")},
		{[]string{"not enough money", "nothing was sent"}, holder("stake", "delegate", node, "100000WAL", "--dry-run")},
		{[]string{"nothing to draw", "stake list"}, holder("stake", "withdraw", node, "--dry-run")},
		{[]string{"nothing to draw", "stake list"}, holder("stake", "withdraw", "--all")},
		{[]string{"operator", "--wallet"}, holder("pool", "bond", node, "1WAL", "--dry-run")},
		{[]string{"pays out to", "--wallet"}, holder("pool", "withdraw", node)},
		{[]string{"no such node"}, holder("stake", "delegate", "zzzzzzzz", "1WAL")},
		{[]string{"more than there is"}, []string{"pool", "unbond", node, "9000000WAL", "--dry-run"}},
		{[]string{"no epoch has ended yet"}, []string{"explain", "reward", node}},
		{[]string{"now is epoch 0"}, []string{"explain", "slash", node, "0"}},
	} {
		refused(d.T, exitFail, c.words, c.args...)
	}
	ok(d.T, "pool", "bond", node, "1WAL")
	if m := okJSON[moveResult](d.T, "pool", "unbond", node, "1WAL"); m.Acts == nil || *m.Acts < 2 || m.Height == 0 {
		d.Errorf("pool unbond: %+v", m)
	}
	if l := okJSON[stakeShown](d.T, "stake", "list"); len(l.Operated) != 4 {
		d.Errorf("the operator's list: %+v", l)
	}
	if m := okJSON[moveResult](d.T, "pool", "commission", node, "5.5"); m.Acts == nil || *m.Acts == 0 {
		d.Errorf("pool commission: %+v", m)
	}
	ok(d.T, "pool", "update", node, "--name", "renamed", "--about", "for a test")
	for _, n := range okJSON[nodeList](d.T, "nodes", "--no-call").Nodes {
		if n.ID.String() == node && (n.Name != "renamed" || n.About != "for a test" || len(n.Announced) != 1 || n.Announced[0].Bps != 550 || n.CapacityKiB == 0 || len(n.Addresses) == 0) {
			d.Errorf("the node is %+v", n)
		}
	}
	ok(d.T, "pool", "keys", node, "--payout", okJSON[walletShown](d.T, holder("wallet", "show")...).Address.String())
	if l := okJSON[stakeShown](d.T, holder("stake", "list")...); len(l.Operated) != 1 {
		d.Errorf("the payout address' list: %+v", l)
	}
	if j := okJSON[jailShown](d.T, "pool", "jail-status", node); j.Out || j.Jailed || len(j.Advice) != 1 {
		d.Errorf("jail-status: %+v", j)
	}
}

// votes casts ballots as an operator does. Their effect at the end of an epoch is tested
// in package ledger.
func (d *developer) votes() {
	id := okJSON[nodeList](d.T, "nodes", "--no-call").Nodes[0].ID.String()
	l := okJSON[paramList](d.T, "params")
	if l.Price == 0 || l.WritePrice == 0 || len(l.Parameters) != len(ledger.Votables()) || l.Version != 1 || l.Known != ledger.Newest || l.Ledger.Notice != "" {
		d.Errorf("params: %+v", l)
	}
	ballotOf := func(args ...string) voteResult {
		return okJSON[voteResult](d.T, append([]string{"pool", "vote", id}, args...)...)
	}
	if v := ballotOf("--price", "1100FROST", "--dry-run"); v.Sent || v.Ballot.Price != 1100 || v.Fee == 0 {
		d.Errorf("dry run: %+v", v)
	}
	if v := ballotOf("--write-price", "400FROST", "--set", "fees.base=0.0002WAL", "--set", "registry.max_epochs=60"); !v.Sent || v.Ballot.Price != 0 || v.Ballot.Write != 400 || len(v.Ballot.Changes) != 2 || v.Shards == 0 || v.Of != 7 {
		d.Errorf("voted: %+v", v)
	}
	// What is not named stays.
	if v := ballotOf("--version", "2", "--set", "fees.base="); v.Ballot.Write != 400 || v.Ballot.Version != 2 || len(v.Ballot.Changes) != 1 || v.Ballot.Changes["registry.max_epochs"] != 60 {
		d.Errorf("voted: %+v", v)
	}
	if v := ballotOf("--clear", "--price", "5FROST"); v.Ballot.Write != 0 || v.Ballot.Price != 5 || v.Ballot.Version != 0 || len(v.Ballot.Changes) != 0 {
		d.Errorf("voted: %+v", v)
	}
	refused(d.T, exitFail, []string{"cannot be voted", "DefaultEpochs"}, "pool", "vote", id, "--set", "registry.default_epochs=0")
	refused(d.T, exitFail, []string{"follows rules 1"}, "pool", "vote", id, "--version", "1")
	refused(d.T, exitFail, []string{"is voted for with the key of", "--wallet"}, "pool", "vote", id, "--price", "5FROST", "--wallet", filepath.Join(d.dir, "second"))
	refused(d.T, exitFail, []string{"no record", "genesis"}, "explain", "price")
	for _, args := range [][]string{{"params"}, {"pool", "vote", id, "--clear"}, {"pool", "vote", id, "--set", "fees.base=1WAL", "--version", "3", "--dry-run"}} {
		if out := ok(d.T, args...); strings.Contains(out, "%!") || out == "" {
			d.Errorf("walrus %s: %q", strings.Join(args, " "), out)
		}
	}
}

func (d *developer) stranger() {
	n, err := client.LoadNetwork(os.Getenv("WALRUS_NETWORK"))
	if err != nil {
		d.Fatal(err)
	}
	address, hash := n.Bootstrap[0], n.Genesis.Hash().String()
	n.Genesis.Time++
	other := filepath.Join(d.dir, "other.toml")
	if err := n.Save(other); err != nil {
		d.Fatal(err)
	}
	refused(d.T, exitFail, []string{"peer of the network", string(n.Genesis.ChainID())}, "info", "--network", other)
	dir := filepath.Join(d.dir, "node")
	refused(d.T, exitFail, []string{hash, "--genesis"}, "node", "init", "--dir", dir, "--network", address)
	refused(d.T, exitFail, []string{hash, "you expect"}, "node", "init", "--dir", dir, "--network", address, "--genesis", n.Genesis.Hash().String())
	made := okJSON[initResult](d.T, "node", "init", "--dir", dir, "--network", address, "--genesis", hash, "--listen", "/ip4/127.0.0.1/tcp/4001", "--ledger-listen", "127.0.0.1:4002", "--capacity", "1GB")
	d.elsewhere(dir)
	if got := okJSON[registeredNode](d.T, "node", "register", "--dir", dir, "--name", "new"); *got.Node != made.Node || got.Addresses[0] != "/ip4/127.0.0.1/tcp/4001/p2p/"+made.Node.String() {
		d.Errorf("registered: %+v", got)
	}
	refused(d.T, exitFail, []string{"registered already"}, "node", "register", "--dir", dir)
}

// elsewhere enters a node whose operator's wallet is on another machine, up to the last step.
func (d *developer) elsewhere(dir string) {
	me := okJSON[walletShown](d.T, "wallet", "show", "--offline").Address.String()
	file := filepath.Join(d.dir, "request.json")
	ok(d.T, "node", "request", "--dir", dir, "--operator", me, "--name", "far", "-o", file)
	text, err := os.ReadFile(file)
	if err != nil {
		d.Fatal(err)
	}
	plan := okJSON[registeredNode](d.T, "pool", "create", "--request", file, "--bond", "2000WAL", "--commission", "2.75", "--dry-run")
	if !plan.DryRun || plan.Cost != 2000*token.WAL || plan.Bond != 2000*token.WAL || plan.Operator.String() != me || plan.Epoch == 0 {
		d.Errorf("planned: %+v", plan)
	}
	forged := write(d.T, filepath.Join(d.dir, "forged.json"), strings.Replace(string(text), `"bls_key": "`, `"bls_key": "00`, 1))
	refused(d.T, exitFail, []string{"bls_key", "48 bytes"}, "pool", "create", "--request", forged, "--dry-run")
	r, err := decodeRequest(bytes.NewReader(text))
	if err != nil {
		d.Fatal(err)
	}
	r.Signature = strings.Repeat("00", 64)
	again, err := json.Marshal(r)
	if err != nil {
		d.Fatal(err)
	}
	refused(d.T, exitFail, []string{"signature"}, "pool", "create", "--request", write(d.T, forged, string(again)), "--dry-run")
	refused(d.T, exitFail, []string{"the node asks for the operator", "--wallet"}, "pool", "create", "--request", file, "--wallet", filepath.Join(d.dir, "second"))
	refused(d.T, exitFail, []string{"at least"}, "pool", "create", "--request", file, "--bond", "1WAL", "--dry-run")
	refused(d.T, exitUsage, []string{"node request"}, "pool", "create", "--request", file, "--name", "other")
}

func (d *developer) lostDisk() {
	refused(d.T, exitFail, []string{"node 3 runs", "testnet kill 3"}, "testnet", "wipe", "3", "--dir", d.net)
	refused(d.T, exitUsage, []string{"0 to 3"}, "testnet", "kill", "4", "--dir", d.net)
	held := func() int64 {
		n := okJSON[testnetStatus](d.T, "testnet", "status", "--dir", d.net).Nodes[3]
		if n.Status == nil || n.Status.Recovery.BacklogBytes > 0 {
			return 0
		}
		return n.Status.Possession.Bytes
	}
	before := held()
	ok(d.T, "testnet", "kill", "3", "--dir", d.net)
	path, content := d.file("degraded", 40_000, 9) // more than what was deleted, which no node heals
	d.reads(d.store(path).ID, content)
	ok(d.T, "testnet", "wipe", "3", "--dir", d.net)
	ok(d.T, "testnet", "start", "3", "--dir", d.net)
	d.until("node 3 holds what it held", func() bool { return held() >= before && before > 0 })
}

// until asks again and again, with an end.
func (d *developer) until(what string, true func() bool) {
	d.Helper()
	for end := time.Now().Add(commandLimit); !true(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("it does not come true that %s", what)
		}
	}
}

func (d *developer) halted() {
	path, content := d.file("first", 300_000, 1)
	id := okJSON[identity](d.T, "id", path).Blob
	ok(d.T, "testnet", "kill", "1", "3", "--dir", d.net)
	d.certified(id)
	d.reads(id, content)
	other, _ := d.file("late", 100, 10)
	refused(d.T, exitLater, []string{"shards"}, "store", other)
	ok(d.T, "testnet", "start", "1", "3", "--dir", d.net)
	d.until("a blob can be stored again", func() bool { return walrus(d.T, "store", other).code == exitOK })
}

func (d *developer) downAndUp() {
	path, content := d.file("first", 300_000, 1)
	id := okJSON[identity](d.T, "id", path).Blob
	ok(d.T, "testnet", "down", "--dir", d.net)
	refused(d.T, exitLater, []string{"no node of the network answers"}, "info")
	refused(d.T, exitUsage, []string{"its form is fixed"}, "testnet", "up", "--dir", d.net, "--nodes", "5")
	d.use(ok(d.T, "testnet", "up", "--dir", d.net))
	d.reads(id, content)
}
