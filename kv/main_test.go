package kv

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/internal/leak"
)

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		runChild(child)
		return
	}
	// Badger leaves these behind when it refuses to open damaged files;
	// TestCloseStopsEverything looks at a healthy database.
	leak.Main(m,
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).updateSize"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4/y.(*WaterMark).process"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

func TestCloseStopsEverything(t *testing.T) {
	defer leak.None(t, goleak.IgnoreCurrent())
	for _, p := range []Profile{Small, Large} {
		db, err := Open(Options{Dir: t.TempDir(), Profile: p})
		if err != nil {
			t.Fatal(err)
		}
		set(t, db, "a", "1")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t testing.TB, p Profile) *DB {
	t.Helper()
	return openAt(t, t.TempDir(), p)
}

func openAt(t testing.TB, dir string, p Profile) *DB {
	t.Helper()
	db, err := Open(Options{Dir: dir, Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
