package unit_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"strconv"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// golden is the CBOR of numbers, whatever their type.
var golden = map[uint64]string{
	0: "00", 1: "01", 23: "17", 24: "1818", 255: "18ff", 256: "190100", 65_536: "1a00010000", 1 << 32: "1b0000000100000000", math.MaxUint64: "1bffffffffffffffff",
}

func TestANumberHasTheFormsOfAPlainInteger(t *testing.T) {
	t.Run("Epoch", forms[unit.Epoch])
	t.Run("Height", forms[unit.Height])
	t.Run("Round", forms[unit.Round])
	t.Run("Ordinal", forms[unit.Ordinal])
	t.Run("KiB", forms[unit.KiB])
	t.Run("Bps", forms[unit.Bps])
}

func forms[N ~uint64](t *testing.T) {
	type record struct {
		_    struct{} `cbor:",toarray"`
		N    N
		List []N
	}
	for n, want := range golden {
		if got := hex.EncodeToString(canon.Encode(N(n))); got != want {
			t.Errorf("%d in CBOR: %s, want %s", n, got, want)
		}
		b, err := hex.DecodeString("82" + want + "82" + want + "00")
		var back record
		if err2 := canon.Decode(b, &back); err != nil || err2 != nil || back.N != N(n) || len(back.List) != 2 || back.List[0] != N(n) {
			t.Errorf("%d in a record: %+v, %v", n, back, err2)
		}
		same(t, N(n), n)
		same(t, map[N]string{N(n): "x"}, map[uint64]string{n: "x"})
		same(t, struct {
			N *N `json:",omitempty"`
			M N  `json:",omitempty"`
		}{M: N(n)}, struct {
			N *uint64 `json:",omitempty"`
			M uint64  `json:",omitempty"`
		}{M: n})
		for _, verb := range []string{"%d", "%v", "%06d"} {
			if got, want := fmt.Sprintf(verb, N(n)), fmt.Sprintf(verb, n); got != want {
				t.Errorf("%s of %d: %s", verb, n, got)
			}
		}
	}
	var zero N
	if zero != 0 || fmt.Sprint(zero) != "0" || hex.EncodeToString(canon.Encode(struct {
		_ struct{} `cbor:",toarray"`
		N N
	}{})) != "8100" {
		t.Errorf("the zero value is %v", zero)
	}
	for _, bad := range []string{"20", "fb3ff0000000000000", "1801", "6130", "f6"} { // -1, 1.0, 1 in two bytes, "0", nil
		b, _ := hex.DecodeString(bad)
		var n N
		if err := canon.Decode(b, &n); err == nil {
			t.Errorf("%s was read as %v", bad, n)
		}
	}
}

// same says that two values have one JSON, and that it reads back as the first.
func same[V any](t *testing.T, v V, plain any) {
	t.Helper()
	a, err := json.Marshal(v)
	b, err2 := json.Marshal(plain)
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("JSON %s, want %s: %v %v", a, b, err, err2)
	}
	var back V
	if err := json.Unmarshal(a, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(v) {
		t.Errorf("%s reads back as %v: %v", a, back, err)
	}
}

func TestPartsAreWrittenAsPercent(t *testing.T) {
	for b, want := range map[unit.Bps]string{0: "0%", 1: "0.01%", 10: "0.1%", 100: "1%", 275: "2.75%", 1000: "10%", 1270: "12.7%", unit.Whole: "100%", 20_050: "200.5%"} {
		if got := b.Percent(); got != want {
			t.Errorf("%d bps: %s, want %s", b, got, want)
		}
	}
}

func TestABegunKiBCountsInFull(t *testing.T) {
	for bytes, want := range map[int64]unit.KiB{0: 0, 1: 1, 1023: 1, 1024: 1, 1025: 2, 1 << 20: 1024, 1<<20 + 1: 1025, math.MaxInt64 - 1023: 1<<53 - 1} {
		if got := unit.KiBOf(bytes); got != want {
			t.Errorf("%d bytes are %d KiB, want %d", bytes, got, want)
		}
	}
	if got := unit.KiB(1025).Bytes(); got != 1025*1024 {
		t.Errorf("1025 KiB are %d bytes", got)
	}
}

// Shares hold the whole together, and one less each would not.
func TestSharesHoldTheWhole(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 1000 {
		k, n := unit.KiB(r.Intn(1<<r.Intn(40)+1)), 1+r.Intn(1000)
		if each := k.Share(n); each*unit.KiB(n) < k || each > 0 && (each-1)*unit.KiB(n) >= k {
			t.Fatalf("%d KiB in %d shares: %d each", k, n, each)
		}
	}
}

// point is a point in time.
type point[P any] interface {
	~uint64
	Plus(uint64) P
	Minus(uint64) P
}

func TestTimeEndsWhereNumbersEnd(t *testing.T) {
	t.Run("Epoch", arithmetic[unit.Epoch])
	t.Run("Height", arithmetic[unit.Height])
	t.Run("Ordinal", arithmetic[unit.Ordinal])
}

// arithmetic holds a type against integers without an end.
func arithmetic[P point[P]](t *testing.T) {
	most := new(big.Int).SetUint64(math.MaxUint64)
	clamp := func(n *big.Int) string {
		switch {
		case n.Sign() < 0:
			return "0"
		case n.Cmp(most) > 0:
			return most.String()
		}
		return n.String()
	}
	r := rand.New(rand.NewSource(1))
	number := func() uint64 {
		switch r.Intn(3) {
		case 0:
			return uint64(r.Intn(4))
		case 1:
			return math.MaxUint64 - uint64(r.Intn(4))
		}
		return r.Uint64()
	}
	for range 10_000 {
		a, n := number(), number()
		x, y := new(big.Int).SetUint64(a), new(big.Int).SetUint64(n)
		sum, difference := clamp(new(big.Int).Add(x, y)), clamp(new(big.Int).Sub(x, y))
		if got := fmt.Sprint(P(a).Plus(n)); got != sum {
			t.Fatalf("%d + %d: %s, want %s", a, n, got, sum)
		}
		if got := fmt.Sprint(P(a).Minus(n)); got != difference {
			t.Fatalf("%d - %d: %s, want %s", a, n, got, difference)
		}
		if p, ok := any(P(a)).(interface{ Since(P) uint64 }); ok && strconv.FormatUint(p.Since(P(n)), 10) != difference {
			t.Fatalf("%d since %d: %d, want %s", a, n, p.Since(P(n)), difference)
		}
	}
}
