package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/bench/emulator"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/testnet"
)

// A short run over real TCP and QUIC, in namespaces. Round trips are counts, so that they
// hold on a busy machine; times are not looked at.
func TestDistanceIsMeasuredInRoundTrips(t *testing.T) {
	testlevel.Whole(t, "runs seven processes in namespaces for a minute")
	if e, err := emulator.New(emulator.Options{Bits: []int64{1e9}}); err != nil {
		t.Skipf("no namespaces here: %v", err)
	} else {
		e.Close()
	}
	measureDistance(t, false)
}

// The same where a machine allows no namespaces: the same figures, in the same JSON.
func TestDistanceIsMeasuredWithoutNamespaces(t *testing.T) {
	testlevel.Whole(t, "runs seven processes behind relays for a minute")
	measureDistance(t, true)
}

func measureDistance(t *testing.T, relays bool) {
	program := filepath.Join(t.TempDir(), "walrus")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/walrus").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	before := left(t)
	var log bytes.Buffer
	r, err := Wan(ctx, WanOptions{RTT: 100 * time.Millisecond, Bits: 100_000_000, Slow: -1, Stopped: -1, Size: 4 << 20, Runs: 1, Relays: relays,
		Program: testnet.Command{Program: program}, Log: &log})
	t.Logf("%s", &log)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"rtt_s":0.1`, `"block_seconds"`, `"round_trips":{"store_cold"`, `"store_warm"`, `"read_cold"`, `"read_cached"`, `"read_warm"`,
		`"status"`, `"info"`, `"on_the_line":{"store_cold"`, `"store":{"seconds"`, `"ratio_copy"`, `"read":{"seconds"`, `"first_byte_round_trips"`, `"received_ratio"`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("no %s in %s", key, b)
		}
	}
	if r.Read.Received < 1 || r.Read.Received > 2 || r.Store.RatioCopy <= 0 || r.Read.RatioCopy <= 0 || r.BlockSeconds <= 0 {
		t.Errorf("something was not measured: %s", b)
	}
	trips, line, most := r.RoundTrips.all(), r.OnLine.all(), mostOnLine.all()
	for name, got := range trips {
		if *got <= 0 || *got > *most[name] {
			t.Errorf("%s takes %.1f round trips, at most %.1f", name, *got, *most[name])
		}
		if *line[name] <= 0 || *line[name] > *most[name] {
			t.Errorf("%s takes %.2f round trips on the line, at most %.1f", name, *line[name], *most[name])
		}
	}
	if after := left(t); after != before {
		t.Errorf("%d directories of measurements are left, %d before", after, before)
	}
}

// mostOnLine is what operations take at most, in round trips.
var mostOnLine = WanOperations{StoreCold: 8, StoreCached: 7, StoreWarm: 6, ReadCold: 4.5, ReadCached: 3.5, ReadWarm: 3, Status: 4.5, Info: 4.5, List: 4.5, Nodes: 4.5}

func left(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(os.TempDir(), "walrus-bench-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
