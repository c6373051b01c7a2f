package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/walrus-network/walrus/node"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWordsThatMakeNoSenseExitWithTwo(t *testing.T) {
	home(t)
	for _, c := range []struct {
		args  string
		words []string
	}{
		{"bogus", []string{"unknown command", "walrus --help"}},
		{"stor", []string{"did you mean store"}},
		{"testnet up --adversary lazy=0.05", []string{"which node", "lazy=0.05@3"}},
		{"testnet up --adversary thief@3", []string{"thief", "accuser, flooder, forger, grinder, lazy, outsourcer", "withholder"}},
		{"testnet up --adversary lazy=1.5@3", []string{"from 0 to 1", "lazy=0.1"}},
		{"testnet up --adversary lazy=NaN@3", []string{"from 0 to 1"}},
		{"testnet up --adversary lazy=@3", []string{"from 0 to 1"}},
		{"testnet up --adversary withholder=1.5@3", []string{"whole number"}},
		{"testnet up --adversary silent=3@3", []string{"takes no number"}},
		{"testnet up --adversary silent@7", []string{"0 to 6"}},
		{"testnet up --adversary silent@", []string{"0 to 6"}},
		{"testnet up --adversary silent@-1", []string{"0 to 6"}},
		{"testnet up --adversary silent@1,2 --adversary lazy@2", []string{"node 2 is to be silent already"}},
		{"testnet bogus", []string{"unknown command", "walrus testnet --help"}},
		{"--bogus", []string{"unknown flag"}},
		{"store", []string{"requires at least 1 arg"}},
		{"read garbage", []string{"blob ID", "walrus list"}},
		{"read bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u --range 9-3", []string{"A-B"}},
		{"status", []string{"accepts 1 arg"}},
		{"wallet send wal1xyz 1WAL", []string{"address"}},
		{"wallet send wal16c5jdtzgkx3ead5kxtkczyzyl58x2v6jprgrg3 1", []string{"no unit", "1.5WAL"}},
		{"store main.go --renew 0WAL", []string{"renews nothing"}},
		{"store main.go --renew 5", []string{"no unit", "1.5WAL"}},
		{"store main.go --renew-price 5FROST", []string{"--renew how much"}},
		{"renew bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u", []string{"--stop", "5WAL"}},
		{"renew bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u 5WAL --stop", []string{"either"}},
		{"renew bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u 5WAL --highest 0WAL", []string{"renews nothing"}},
		{"wallet export", []string{"--show-the-key"}},
		{"stake delegate nobody 1WAL", []string{"walrus nodes", "last 8 letters"}},
		{"stake delegate 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 1", []string{"no unit", "1.5WAL"}},
		{"stake unbond 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5", []string{"--all"}},
		{"stake unbond 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 5", []string{"no unit", "1.5WAL"}},
		{"stake withdraw", []string{"--all"}},
		{"stake bond", []string{"unknown command"}},
		{"stake rewards --epochs 0", []string{"at least 1"}},
		{"pool bond 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 10", []string{"no unit", "1.5WAL"}},
		{"pool commission 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 101", []string{"0 to 100"}},
		{"pool commission 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 1.234", []string{"2.75"}},
		{"pool keys 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5", []string{"--payout"}},
		{"pool update 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5", []string{"--capacity"}},
		{"pool create", []string{"--request", "--dir"}},
		{"pool create --dir d --bond 5", []string{"no unit", "1.5WAL"}},
		{"pool create --dir d --commission much", []string{"0 to 100"}},
		{"node request", []string{"--operator", "walrus wallet show"}},
		{"pool jail-status nobody", []string{"walrus nodes"}},
		{"explain reward 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5 yesterday", []string{"walrus info"}},
		{"pool vote nobody --clear", []string{"walrus nodes"}},
		{"pool vote 12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5", []string{"--price", "--clear"}},
		{"dispute", []string{"which shard", "--list"}},
		{"dispute 3 --list", []string{"which shard", "--list"}},
		{"dispute twelve", []string{"walrus nodes"}},
		{"dispute 3 --round last", []string{"of this epoch"}},
		{"explain slash", []string{"walrus nodes", "--check"}},
		{"explain slash somebody --check f", []string{"walrus nodes", "--check"}},
		{"explain price yesterday", []string{"walrus info"}},
		{"bench encode --size much", []string{"64MiB"}},
		{"sim economy --nodes 1000000000000", []string{"4 to 500"}},
		{"sim economy --nodes 3", []string{"3 nodes", "4 to 500"}},
		{"sim economy --nodes 12 --drop 0.1@node12", []string{"node0 to node11"}},
		{"sim economy --nodes 12 --drop 0.1@7", []string{"node0 to node11"}},
		{"sim economy --nodes 12 --drop much@node7", []string{"is no number", "0.9@node3"}},
		{"sim economy --nodes 12 --drop 1.1@node7", []string{"drop 1.1 of node7", "keeps nothing"}},
		{"sim economy --uptime 0", []string{"uptime 0", "above 0"}},
		{"sim economy --epochs 1000", []string{"1000 epochs", "longest lease"}},
		{"sim economy --zones 1000", []string{"1000 zones"}},
		{"sim study --nodes 5", []string{"42 to 500"}},
		{"id main.go --shards 3", []string{"4 to 1000"}},
	} {
		refused(t, exitUsage, c.words, strings.Fields(c.args)...)
	}
}

func TestReadWithJSONNeedsAFile(t *testing.T) {
	home(t)
	refused(t, exitUsage, nil, "--json", "read", "bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u")
}

func TestWithoutANetworkACommandSaysHowToGetOne(t *testing.T) {
	home(t)
	refused(t, exitFail, []string{"--network", "WALRUS_NETWORK", "walrus testnet up"}, "info")
	refused(t, exitFail, []string{"walrus testnet up"}, "testnet", "status", "--dir", t.TempDir())
}

func TestABadConfigFileIsNamed(t *testing.T) {
	home(t)
	dir, err := configDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.toml")
	for text, words := range map[string][]string{
		"netwrok = 'x'\n":       {path, "netwrok", "network, wallet"},
		"network = 7\n":         {path, `network = "FILE"`},
		"trust_node = 'yes'\n":  {path, "trust_node = true"},
		"network = 'x\n":        {path},
		"[network]\na = 'b'\n":  {path, "network"},
		"wallet = ['a', 'b']\n": {path, "wallet"},
	} {
		write(t, path, text)
		refused(t, exitFail, words, "info")
	}
	ok(t, "version") // what needs no setting goes on working
}

func TestConfigSaysWhereEachValueComesFrom(t *testing.T) {
	home(t)
	file := write(t, filepath.Join(t.TempDir(), "c.toml"), "network = 'net.toml'\nwallet = 'w'\npassphrase_file = '/p'\n")
	t.Setenv("WALRUS_CONFIG", file)
	t.Setenv("WALRUS_WALLET", "/from/env")
	got := okJSON[struct{ Settings []settingValue }](t, "config", "--passphrase-file", "/from/flag")
	want := []settingValue{
		{setNetwork, filepath.Join(filepath.Dir(file), "net.toml"), "file " + file},
		{setWallet, "/from/env", "environment WALRUS_WALLET"},
		{setPassphrase, "/from/flag", "flag --passphrase-file"},
		{setTrust, "false", "default"},
	}
	for i := range want {
		if got.Settings[i] != want[i] {
			t.Errorf("%+v, want %+v", got.Settings[i], want[i])
		}
	}
	t.Setenv("WALRUS_TRUST_NODE", "perhaps")
	refused(t, exitFail, []string{"WALRUS_TRUST_NODE", "true or false"}, "config")
}

func TestAnIDNeedsNoNetwork(t *testing.T) {
	home(t)
	dir := t.TempDir()
	empty := write(t, filepath.Join(dir, "empty"), "")
	odd := write(t, filepath.Join(dir, "odd\xff\n"), "the same")
	even := write(t, filepath.Join(dir, "even"), "the same")
	if a, b := okJSON[identity](t, "id", odd, "--shards", "7"), okJSON[identity](t, "id", even, "--shards", "7"); a.Blob != b.Blob || a.Bytes != 8 {
		t.Errorf("the same bytes are %s and %s", a.Blob, b.Blob)
	}
	if a, b := okJSON[identity](t, "id", even, "--shards", "7"), okJSON[identity](t, "id", even, "--shards", "10"); a.Blob == b.Blob {
		t.Error("an ID does not depend on the number of shards")
	}
	if out := ok(t, "id", odd, "--shards", "7"); strings.Count(out, "\n") != 1 {
		t.Errorf("a name with a line break in it makes more than a line: %q", out)
	}
	if id := okJSON[identity](t, "id", empty, "--shards", "4"); id.Bytes != 0 {
		t.Errorf("an empty file has %d bytes", id.Bytes)
	}
	refused(t, exitFail, []string{"is a directory"}, "id", dir, "--shards", "7")
	refused(t, exitFail, []string{"no such file"}, "id", filepath.Join(dir, "none"), "--shards", "7")
}

func TestAFileAppearsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "out"), "old")
	left := func(want string) {
		t.Helper()
		b, err := os.ReadFile(path)
		entries, _ := os.ReadDir(dir)
		if err != nil || string(b) != want || len(entries) != 1 {
			t.Errorf("the file has %q, %v, beside it lie %v", b, err, entries)
		}
	}
	full := func(w io.Writer) error { io.WriteString(w, "half"); return syscall.ENOSPC }
	if err := writeWhole(t.Context(), path, 0o666, full); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("on a full disk: %v", err)
	}
	left("old")
	if err := writeWhole(t.Context(), path, 0o666, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Error(err)
	}
	left("new")
	if err := writeWhole(t.Context(), dir, 0o666, full); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("into a directory: %v", err)
	}
	if err := writeWhole(t.Context(), os.DevNull, 0o666, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Error("a device was replaced by a file")
	}
}

func TestAWalletIsNeverReplacedAndItsKeyNeverShown(t *testing.T) {
	home(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "w")
	made := okJSON[walletFile](t, "wallet", "new", "--no-passphrase", "--wallet", path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the wallet's mode is %v, %v", info.Mode(), err)
	}
	refused(t, exitFail, []string{"never replaced"}, "wallet", "new", "--no-passphrase", "--wallet", path)
	key := ok(t, "wallet", "export", "--show-the-key", "--wallet", path)
	secret := strings.Fields(key)[1]
	if out := ok(t, "wallet", "show", "--offline", "--wallet", path); strings.Contains(out, secret) || !strings.Contains(out, made.Address.String()) {
		t.Errorf("wallet show: %q", out)
	}
	got := input(t, strings.NewReader(key), "wallet", "import", "-", "--no-passphrase", "--wallet", filepath.Join(dir, "copy"), "--json")
	if object[walletFile](t, got.out).Address != made.Address {
		t.Errorf("imported: %s%s", got.out, got.err)
	}
	refused(t, exitFail, []string{"not a wallet file"}, "wallet", "show", "--offline", "--wallet", write(t, filepath.Join(dir, "x"), "garbage"))
	refused(t, exitFail, []string{"walrus wallet new"}, "wallet", "show", "--offline", "--wallet", filepath.Join(dir, "none"))
	refused(t, exitFail, []string{"wallet export"}, "wallet", "import", filepath.Join(dir, "x"), "--wallet", filepath.Join(dir, "y"))
}

func TestAPassphraseComesFromAFileAndIsNeeded(t *testing.T) {
	home(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "w")
	refused(t, exitFail, []string{"WALRUS_PASSPHRASE_FILE", "--no-passphrase"}, "wallet", "new", "--wallet", path)
	t.Setenv("WALRUS_PASSPHRASE_FILE", write(t, filepath.Join(dir, "p"), "a long word\nnot this\n"))
	made := okJSON[walletFile](t, "wallet", "new", "--wallet", path)
	if shown := okJSON[walletShown](t, "wallet", "show", "--offline", "--wallet", path); shown.Address != made.Address {
		t.Errorf("made %s, shown %s", made.Address, shown.Address)
	}
	t.Setenv("WALRUS_PASSPHRASE_FILE", write(t, filepath.Join(dir, "q"), "another\n"))
	got := walrus(t, "wallet", "show", "--offline", "--wallet", path)
	if got.code != exitFail || !strings.Contains(got.err, "wrong passphrase") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
}

func TestANodeSaysWhyItDoesNotStart(t *testing.T) {
	home(t)
	net4 := laidNet(t)
	dir := net4.NodeDir(0)
	runs := func(words ...string) {
		t.Helper()
		got := walrus(t, "node", "run", "--dir", dir)
		if got.code != exitFail {
			t.Errorf("exit %d", got.code)
		}
		for _, w := range words {
			if !strings.Contains(got.err, w) {
				t.Errorf("node run says %q, without %q", got.err, w)
			}
		}
	}
	file, err := node.LoadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(strings.ReplaceAll(file.Listen[0], "/tcp/", ":"), "/ip4/"))
	if err != nil {
		t.Fatal(err)
	}
	runs("the port is taken", file.Listen[0])
	l.Close()

	key := filepath.Join(dir, node.KeysDir, "node.key")
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, "garbage")
	runs(key, "not a node's key file")
	write(t, key, string(secret))

	text, err := os.ReadFile(filepath.Join(dir, node.FileName))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, node.FileName), strings.Replace(string(text), "log_level", "log_levle", 1))
	runs("log_levle", "unknown setting")

	dir = t.TempDir()
	runs("walrus node init")
	refused(t, exitFail, []string{"walrus node run"}, "node", "status", "--dir", dir)
	refused(t, exitFail, []string{"a node lies"}, "node", "init", "--dir", net4.NodeDir(1))
}
