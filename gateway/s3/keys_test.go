package s3

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	alice    = Key{"ALICE", "a secret of alice's key", nil, true, "alice"}
	alices   = Key{"ALICES", "a secret of her other key", nil, false, "alice"}
	bob      = Key{"BOB", "a secret of bob's own key", nil, true, "bob"}
	operator = Key{"OPERATOR", "a secret of the operator", []string{"shop-*", "ledger"}, true, ""}
)

// An owner sees and touches the buckets that its keys have created, and those that its line
// names.
func TestOwnersKeepToTheirBuckets(t *testing.T) {
	_, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots, func(o *Options) { o.Keys = []Key{full, alice, alices, bob, operator} })
	as := func(k Key) { w.key = k }
	as(alice)
	w.refused(404, "NoSuchBucket", "GET", "/diary", nil)
	w.must("PUT", "/diary", nil)
	w.must("PUT", "/diary/one", []byte("private"))
	w.refused(409, "BucketAlreadyOwnedByYou", "PUT", "/diary", nil)
	for _, name := range []string{"shop-one", "ledger"} { // which another line names
		w.refused(403, "AccessDenied", "PUT", "/"+name, nil)
	}
	as(alices)
	w.must("GET", "/diary/one", nil)
	w.refused(403, "AccessDenied", "PUT", "/diary/two", nil)
	w.refused(403, "AccessDenied", "PUT", "/another", nil)
	as(bob)
	w.must("PUT", "/music", nil)
	w.refused(409, "BucketAlreadyExists", "PUT", "/diary", nil)
	for _, c := range [][2]string{{"GET", "/diary/one"}, {"HEAD", "/diary"}, {"PUT", "/diary/one"}, {"DELETE", "/diary/one"}, {"DELETE", "/diary"}, {"GET", "/diary"}, {"POST", "/diary/one?uploads"}, {"GET", "/diary?tagging"}} {
		if a := w.do(c[0], c[1], nil); a.status != 403 {
			t.Errorf("%v: %d %s", c, a.status, a.body)
		}
	}
	w.refused(403, "AccessDenied", "PUT", "/music/stolen", nil, "X-Amz-Copy-Source", "/diary/one")
	lists := func(k Key, want string) {
		t.Helper()
		as(k)
		var names []string
		for _, part := range strings.Split(w.must("GET", "/", nil).body, "<Name>")[1:] {
			name, _, _ := strings.Cut(part, "<")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s sees %q, want %q", k.Access, got, want)
		}
	}
	lists(alice, "diary")
	lists(alices, "diary")
	lists(bob, "music")
	lists(operator, "")
	lists(full, "diary music")
	w.must("DELETE", "/diary/one", nil)
	w.must("DELETE", "/diary", nil)
	as(bob) // a name that is free again has its next owner
	w.must("PUT", "/diary", nil)
	as(alice)
	w.refused(403, "AccessDenied", "GET", "/diary", nil)
}

func write(t *testing.T, path string, keys ...Key) {
	t.Helper()
	b, err := json.Marshal(keysFile{keys})
	if err == nil {
		err = writeSecret(path, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A change of the file of keys counts at once; one with a mistake is no change.
func TestTheFileOfKeysIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, full, viewer)
	w := newWorld(t)
	f := KeysFile(path)
	look := func() (mistake error) {
		keys, changed, mistake := f.Look(time.Now())
		if changed {
			w.door.SetKeys(keys)
		}
		return mistake
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	w.must("PUT", "/photos", nil)
	write(t, path, viewer, bob)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	w.refused(403, "InvalidAccessKeyId", "GET", "/photos", nil)
	w.key = bob
	w.must("PUT", "/music", nil)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, breaks := range map[string]func() error{
		"cut off":         func() error { return os.WriteFile(path, good[:len(good)/2], 0o600) },
		"without keys":    func() error { return os.WriteFile(path, []byte(`{"keys":[]}`), 0o600) },
		"read by others":  func() error { return os.Chmod(path, 0o644) },
		"no file anymore": func() error { return os.Remove(path) },
	} {
		write(t, path, viewer, bob)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		if err := breaks(); err != nil {
			t.Fatal(err)
		}
		if err := look(); err == nil {
			t.Errorf("%s: no mistake is told", name)
		}
		w.must("GET", "/music", nil)
	}
}

// An owner has a bounded number of buckets, and leaves names to others.
func TestBucketsOfAnOwnerAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Keys = []Key{full, alice, bob} })
	w.key = alice
	for i := range maxOwned {
		w.must("PUT", fmt.Sprintf("/diary-%d", i), nil)
	}
	w.refused(400, "TooManyBuckets", "PUT", "/diary-more", nil)
	w.key = bob
	w.must("PUT", "/music", nil)
	w.key = alice
	w.must("DELETE", "/diary-7", nil)
	w.must("PUT", "/diary-more", nil)
}
