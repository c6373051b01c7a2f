package access

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/token"
)

func open(t *testing.T, dir string) *kv.DB {
	t.Helper()
	db, err := kv.Open(kv.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// bearer is a request with a credential.
func bearer(secret string) *http.Request {
	r, _ := http.NewRequest("PUT", "/", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	return r
}

// What a key may spend in a day is counted across a restart, and begins anew with the day.
func TestADaysLimits(t *testing.T) {
	secret, lines, err := NewSecret("app")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys([]byte(lines + "bytes_per_day = 1000\nwal_per_day = \"2WAL\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	now, dir := time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC), t.TempDir()
	db := open(t, dir)
	control := func() *Control { return NewControl(Options{Keys: keys, DB: db, Now: func() time.Time { return now }}) }
	spend := func(c *Control, u Use) error {
		g, err := c.Admit(bearer(secret))
		if err != nil {
			t.Fatal(err)
		}
		return g.Spend(u)
	}
	var over *OverError
	if err := spend(control(), Use{Bytes: 600, Cost: token.WAL}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = open(t, dir)
	if err := spend(control(), Use{Bytes: 600}); !errors.As(err, &over) || over.Until != time.Hour {
		t.Errorf("too many bytes: %v", err)
	}
	if err := spend(control(), Use{Cost: token.WAL + 1}); !errors.As(err, &over) {
		t.Errorf("too much WAL: %v", err)
	}
	g, err := control().Admit(bearer(secret))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Spend(Use{Bytes: 400, Cost: token.WAL}); err != nil {
		t.Fatal(err)
	}
	// Sums that do not fit their types are too much as well.
	for _, u := range []Use{{Bytes: math.MaxInt64}, {Cost: math.MaxUint64}, {Cost: math.MaxUint64 - token.WAL + 1}} {
		if err := spend(control(), u); !errors.As(err, &over) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	now = now.Add(time.Hour)
	if err := g.Return(Use{Bytes: 400, Cost: token.WAL}); err != nil { // of yesterday
		t.Fatal(err)
	}
	if err := spend(control(), Use{Bytes: 1000}); err != nil {
		t.Error(err)
	}
	if err := control().Sweep(); err != nil {
		t.Fatal(err)
	}
	days := 0
	if err := db.EachKey([]byte("day/"), func([]byte) error { days++; return nil }); err != nil || days != 1 {
		t.Errorf("%d days are kept: %v", days, err)
	}
}

// A key gives up only what it stored, and the lease only when no other owner needs it.
func TestABlobOfTwoKeys(t *testing.T) {
	o := NewOwners(open(t, t.TempDir()))
	id := blob.ID{7}
	for _, name := range []string{"a", "b", Local} {
		if err := o.Add(id, name); err != nil {
			t.Fatal(err)
		}
	}
	var denied *DeniedError
	if _, err := o.GiveUp(id, "c"); !errors.As(err, &denied) || denied.Reason != NotOwner {
		t.Errorf("a key that never stored it: %v", err)
	}
	for i, name := range []string{"a", Local, "b"} {
		if !o.Any(id) {
			t.Errorf("before %s gives it up none needs it", name)
		}
		if alone, err := o.GiveUp(id, name); err != nil || alone != (i == 2) {
			t.Errorf("%s: alone %t, %v", name, alone, err)
		}
	}
	if o.Any(id) {
		t.Error("all have given it up, and one needs it")
	}
	if _, err := o.GiveUp(id, "a"); !errors.As(err, &denied) {
		t.Errorf("a key that gave it up: %v", err)
	}
	if alone, err := o.GiveUp(id, Local); err != nil || !alone {
		t.Errorf("a gateway without keys, of what was stored before it noted that: %t, %v", alone, err)
	}
}

func TestAKeysFileSaysWhatIsWrong(t *testing.T) {
	_, lines, err := NewSecret("app")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		lines + lines: "twice", "[[key]]\nname = \"a b\"\n": "a name is", "[[key]]\nname = \"a\"\nsha256 = \"12\"\n": "walrus gateway key", lines + "max = 5\n": "not known",
		lines + "max_bytes = -1\n": "negative", lines + "wal_per_day = \"5\"\n": "wal_per_day", "x": "",
	} {
		if _, err := ParseKeys([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	for _, name := range []string{"", " ", "a b", strings.Repeat("a", 65), "-a"} {
		if _, _, err := NewSecret(name); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

func TestTokenRulesAreRefusedThatAreWeak(t *testing.T) {
	for _, c := range [][2]string{{"short", "HS256"}, {"0xzz", "HS256"}, {"0x1234", "HS512"}, {"0123456789abcdef", "none"}, {"0123456789abcdef", "XX"}, {"0123456789abcdef", "ES256"}, {"x", "EdDSA"}, {"x", "RS256"}, {"", ""}} {
		if _, err := ParseTokenRules([]byte(c[0]), c[1], 0); err == nil {
			t.Errorf("%v is taken", c)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	_, lines, _ := NewSecret("app")
	f.Add([]byte(lines))
	f.Fuzz(func(t *testing.T, b []byte) { ParseKeys(b) })
}

func FuzzToken(f *testing.F) {
	r, err := ParseTokenRules([]byte("0123456789abcdef"), "HS256", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := r.read(text, time.Unix(0, 0)); err == nil {
			t.Error("a token without a signature is taken")
		}
	})
}
