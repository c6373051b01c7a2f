package doctor

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

// TestWhatIsFoundIsJudged holds each judgement on both sides of each of its limits.
func TestWhatIsFoundIsJudged(t *testing.T) {
	now := time.UnixMilli(1_000_000_000)
	p := ledger.Default()
	head := func(age time.Duration) ledger.Head {
		return ledger.Head{Height: 100, TimeMs: now.Add(-age).UnixMilli()}
	}
	block := time.Duration(p.BlockMs) * time.Millisecond
	old, planned := ledger.Rules{Version: ledger.Newest + 1}, ledger.Rules{Version: 1, Planned: []ledger.Plan{{Epoch: 9, Version: ledger.Newest + 1}}}
	clocks := func(list ...time.Duration) Check { return judgeClock(list) }
	disk := func(change func(*DiskSpeed)) Check {
		d := DiskSpeed{Sync: time.Millisecond, WorstSync: time.Second, Write: 1 << 30, Read: time.Millisecond}
		change(&d)
		return judgeDisk(d)
	}
	proofs := func(work time.Duration) Check {
		return judgeProofs(ProofTime{Shards: 3, Prove: work / 2, Verify: work / 2, Deadline: 120 * time.Second, Jitter: 20 * time.Second})
	}
	const gib = 1 << 30
	seen := func(list ...p2p.Reach) Check {
		d := dialback{address: "/ip4/203.0.113.7/tcp/1"}
		for _, r := range list {
			d.seen = append(d.seen, p2p.AddressReport{Reach: r, Text: "why\x1b[2J"})
		}
		return judgeDialback([]dialback{d}, "")
	}
	for i, one := range []struct {
		got  Check
		want Health
		says string
	}{
		{judgeSecret("id", "key", 0o600), Healthy, "id"},
		{judgeSecret("id", "key", 0o640), Failing, "chmod 600 key"},
		{judgeSecret("id", "key", 0o601), Failing, "chmod 600 key"},
		{judgeSigned("record", true, true), Healthy, ""},
		{judgeSigned("record", false, false), Healthy, "not run"},
		{judgeSigned("record", true, false), Doubtful, "signs twice"},
		{judgeWallet(nil), Healthy, ""},
		{judgeWallet([]string{"n1/wallet"}), Doubtful, "n1/wallet"},
		{judgePeers("net", 3, 4), Healthy, "3 of 4"},
		{judgePeers("net", 1, 4), Doubtful, "bootstrap"},
		{judgePeers("net", 1, 1), Healthy, ""},
		{judgePeers("net", 0, 4), Failing, "bootstrap"},
		{judgeLedger(head(10*block), p, now, 0, true), Healthy, "block 100"},
		{judgeLedger(head(10*block+6*time.Second), p, now, 0, true), Failing, "stands still"},
		{judgeLedger(head(0), p, now, 11, true), Doubtful, "11 blocks behind"},
		{judgeLedger(head(0), p, now, 10, true), Healthy, ""},
		{judgeLedger(head(-time.Minute), p, now, 0, false), Healthy, "0s old"},
		{judgeVersions(ledger.Rules{Version: 1}, "v1", "v2", "v3"), Healthy, "CometBFT v2, v3"},
		{judgeVersions(planned, "v1", "v2", "v3"), Doubtful, "before then"},
		{judgeVersions(old, "v1", "v2", "v3"), Failing, "install a release"},
		{clocks(), Doubtful, "no peer"},
		{clocks(time.Hour, 0, -time.Hour), Healthy, "3 peers"}, // one liar on each side
		{clocks(clockDoubt, clockDoubt), Healthy, ""},
		{clocks(11*time.Second, 12*time.Second, 13*time.Second), Doubtful, "behind"},
		{clocks(-11*time.Second, -11*time.Second), Doubtful, "ahead"},
		{clocks(-61*time.Second, -61*time.Second, 0), Failing, "NTP"},
		{disk(func(*DiskSpeed) {}), Healthy, "fsync 1ms (worst 1s)"},
		{disk(func(d *DiskSpeed) { d.Sync = 31 * time.Millisecond }), Doubtful, "SSD"},
		{disk(func(d *DiskSpeed) { d.Sync = 501 * time.Millisecond }), Failing, "SSD"},
		{disk(func(d *DiskSpeed) { d.Write = 20<<20 - 1 }), Doubtful, "20 MiB"},
		{disk(func(d *DiskSpeed) { d.Read = 31 * time.Millisecond }), Doubtful, "30ms"},
		{disk(func(d *DiskSpeed) { d.Kind = "NFS" }), Doubtful, "NFS"},
		{proofs(24 * time.Second), Healthy, "margin 4.2x"},
		{proofs(26 * time.Second), Doubtful, "4.0x would be better"},
		{proofs(51 * time.Second), Failing, "margin 2.0x"},
		{proofs(200 * time.Second), Failing, "faster disk"},
		{judgeProofs(ProofTime{Shards: 3}), Healthy, "no proofs"},
		{judgeCapacity(10*gib, 4*gib, 8*gib), Healthy, "10 GiB declared"},
		{judgeCapacity(10*gib, 4*gib, 65*gib/10), Doubtful, "make room"},
		{judgeCapacity(10*gib, 4*gib, 5*gib), Failing, "1.0 GiB more"},
		{judgeCapacity(10*gib, 12*gib, gib), Healthy, ""},
		{judgeCapacity(0, 0, gib), Doubtful, "capacity"},
		{seen(p2p.Reached, p2p.NotReached, p2p.NotDialable), Healthy, "1 of 3"},
		{seen(p2p.NotReached, p2p.NotDialable), Failing, "none of 2"},
		{seen(p2p.NotDialable), Failing, "tried by no node"},
		{judgeDialback(nil, "no peer"), Doubtful, "no peer"},
	} {
		text := one.got.Figure + " " + one.got.Advice
		if one.got.Health != one.want || !strings.Contains(text, one.says) {
			t.Errorf("%d: %+v, want %s and %q", i, one.got, one.want, one.says)
		}
		if (one.got.Health == Healthy) != (one.got.Advice == "") {
			t.Errorf("%d: %+v: what is not ok gets advice, and nothing else", i, one.got)
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("%d: a stranger writes to the terminal: %q", i, text)
		}
	}
}

func TestPeersAttemptsAreToldByAddress(t *testing.T) {
	reached, refused := p2p.AddressReport{Reach: p2p.Reached}, p2p.AddressReport{Reach: p2p.NotReached, Text: "refused"}
	list := dialbacks(node.Surroundings{Addresses: []string{"a", "b", "nobody dialed"}, Seen: [][]p2p.AddressReport{{reached, refused}, {refused}, nil}})
	if len(list) != 2 || list[0].address != "a" || list[1].address != "b" {
		t.Fatalf("%+v", list)
	}
	if c := judgeDialback(list, ""); c.Health != Failing || !strings.Contains(c.Figure, "a answers 1 of 2") || !strings.Contains(c.Figure, "b answers none of 1") {
		t.Errorf("%+v", c)
	}
	if c := judgeDialback(list[:1], ""); c.Health != Healthy {
		t.Errorf("%+v", c)
	}
}

func TestAWalletBesideTheNodesKeysIsFound(t *testing.T) {
	dir := t.TempDir()
	if _, err := node.CreateSecret(dir); err != nil {
		t.Fatal(err)
	}
	if found := walletsIn(dir); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	saveWallet(t, filepath.Join(dir, "plain"), "")
	saveWallet(t, filepath.Join(dir, node.KeysDir, "locked"), "a passphrase")
	if found := walletsIn(dir); len(found) != 2 {
		t.Errorf("found %v", found)
	}
}

func saveWallet(t *testing.T, path, passphrase string) {
	t.Helper()
	if err := wallet.Save(path, token.KeyFromSeed([32]byte{3}), passphrase); err != nil {
		t.Fatal(err)
	}
}
