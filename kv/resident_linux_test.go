package kv

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// mappedResident is the resident bytes of this process that belong to files.
func mappedResident(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssFile:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Skip("the kernel does not tell")
	return 0
}

func TestWrittenValuesDoNotStayResident(t *testing.T) {
	db := open(t, Large)
	before := mappedResident(t)
	const n, size = 5000, 64 << 10
	fillValues(t, db, n, size)
	grown := mappedResident(t) - before
	t.Logf("%d MB written, %d MB more resident", n*size>>20, grown>>20)
	if grown > n*size/2 {
		t.Errorf("%d of %d bytes stay resident", grown, n*size)
	}
	for i := range 100 {
		if v, ok, err := db.Get(itemKey(i)); err != nil || !ok || string(v) != string(randomValue(uint64(i), size)) {
			t.Fatalf("key %d: %v, %v", i, ok, err)
		}
	}
}
