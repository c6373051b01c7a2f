package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A founder's file comes from a stranger: what is in it moves no terminal, and is refused
// where no network can begin with it.
func TestAFoundersFileFromAStrangerIsText(t *testing.T) {
	home(t)
	_, files, _ := founders(t, "reef", 4)
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	const escape = `\u001b[2J\u0007\u202e`
	bent := func(name, old, new string) string {
		t.Helper()
		text := strings.Replace(string(raw), old, new, 1)
		if text == string(raw) {
			t.Fatalf("%s: nothing to bend", name)
		}
		path := filepath.Join(t.TempDir(), "bent.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	create := func(file string, more ...string) typed {
		return walrus(t, append(append([]string{"network", "create", "reef", file}, files[1:]...), append(more, "--dry-run")...)...)
	}
	const shown = "a name that clears the screen" // a name may have any letters
	for name, c := range map[string]struct{ old, new string }{
		shown:                               {`"n0"`, `"` + escape + `"`},
		"an address that clears the screen": {`"/ip4/127.0.0.1`, `"/ip4/127.0.0.1` + escape},
		"a ledger address that does":        {`"ledger_address": "127.0.0.1`, `"ledger_address": "` + escape},
		"a network that does":               {`"network": "reef"`, `"network": "reef` + escape + `"`},
		"an unknown field that does":        {`"network"`, `"` + escape + `": 1, "network"`},
		"a bond above all money":            {`"bond_frost": "`, `"bond_frost": "99999999999999999999`},
		"a bond that overflows the supply":  {`"bond_frost": "100000WAL"`, `"bond_frost": "18446744073WAL"`},
	} {
		for _, more := range [][]string{nil, {"--bootstrap", "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWDD3CB6DfgBcEsCwiuudfe3GGffUGAxW9TycsAte9WdMY"}} {
			did := create(bent(name, c.old, c.new), more...)
			if (did.code == exitOK) != (name == shown) || did.code == exitUsage {
				t.Errorf("%s %v: exit %d, %q", name, more, did.code, did.err)
			}
			if strings.ContainsAny(did.out+did.err, "\x1b\x07\u202e") {
				t.Errorf("%s %v: exit %d, %q %q", name, more, did.code, did.out, did.err)
			}
		}
	}
}
