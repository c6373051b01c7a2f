package kv

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		runChild(child)
		return
	}
	goleak.VerifyTestMain(m)
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
