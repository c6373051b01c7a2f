package bench

import (
	"context"
	"encoding/json"
	"github.com/walrus-network/walrus/internal/testlevel"
	"strings"
	"testing"
)

func TestMeasurementsFillTheAgreedObject(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	for name, measure := range map[string]func(context.Context, CodecOptions) (CodecResult, error){"encode": Encode, "decode": Decode, "repair": Repair} {
		r, err := measure(context.Background(), CodecOptions{Shards: 10, Size: 300_000, Workers: 2})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Shards != 10 || r.SizeBytes != 300_000 || r.MBPerS <= 0 || r.Limit.HashMBPerS <= 0 || r.Limit.RSMBPerS <= 0 || r.Ratio.Hash <= 0 || r.Ratio.Serial <= 0 || r.PeakRSS <= 0 {
			t.Errorf("%s: something was not measured: %+v", name, r)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{`"shards"`, `"size_bytes"`, `"mb_per_s"`, `"limit":{"hash_mb_per_s"`, `"rs_mb_per_s"`, `"ratio":{"hash"`, `"serial"`, `"peak_rss_bytes"`, `"moved_bytes"`, `"lost_bytes"`} {
			if !strings.Contains(string(b), key) {
				t.Errorf("%s: no %s in %s", name, key, b)
			}
		}
		if name == "repair" && (r.Lost == 0 || r.Moved < r.Lost) {
			t.Errorf("repair moved %d bytes for %d lost", r.Moved, r.Lost)
		}
	}
}

func TestAnImpossibleMeasurementIsRefused(t *testing.T) {
	for _, o := range []CodecOptions{{Shards: 3, Size: 1}, {Shards: 10, Size: -1}, {Shards: 10}} {
		if _, err := Encode(context.Background(), o); err == nil {
			t.Errorf("%+v was measured", o)
		}
	}
}
