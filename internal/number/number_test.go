package number

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// never are texts that mean no number anywhere.
var never = []string{
	"", " ", "-", "-1", "+1", "1,5", "1.500,00", "1 000", " 1", "1 ", "1\n", "1_000", "1e3", "1E3", "0x10", "0b1", "010", "00", "1..5", ".5", "5.", "1.2.3",
	"١٢", "１２", "٣", "²", "½", "∞", "inf", "Inf", "NaN", "nan", "1\x00", "18446744073709551616000", "one",
}

func TestATextMeansOneNumberOrNone(t *testing.T) {
	for _, text := range never {
		if n, err := Count(text); !errors.Is(err, ErrForm) {
			t.Errorf("count %q is %d, %v", text, n, err)
		}
		if n, err := Scaled(text, 2); !errors.Is(err, ErrForm) {
			t.Errorf("scaled %q is %d, %v", text, n, err)
		}
		if n, err := Decimal(text); !errors.Is(err, ErrForm) && len(text) < 20 {
			t.Errorf("decimal %q is %v, %v", text, n, err)
		}
		if n, err := Duration(text); !errors.Is(err, ErrForm) {
			t.Errorf("duration %q is %v, %v", text, n, err)
		}
		for _, unit := range []string{"", "B", "TB", "MiB", " GB"} {
			if n, err := Size(text + unit); !errors.Is(err, ErrForm) {
				t.Errorf("size %q is %d, %v", text+unit, n, err)
			}
			if n, err := Bytes(text + unit); !errors.Is(err, ErrForm) {
				t.Errorf("bytes %q is %d, %v", text+unit, n, err)
			}
		}
	}
}

func TestSizesNeedTheirUnitAndAreExact(t *testing.T) {
	for text, want := range map[string]int64{
		"1B": 1, "500GB": 500e9, "2TiB": 2 << 40, "1.5TB": 15e11, "1.5KiB": 1536, "0.001kB": 1, "64mib": 64 << 20, "1KB": 1000, "4EiB": 1 << 62, "1.50MB": 1500000,
		"0.0009765625KiB": 1, "1.000000000000000000EB": 1e18,
	} {
		if n, err := Size(text); err != nil || n != want {
			t.Errorf("%q is %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"1.5", "500", "0", "0GB", "0.0TB", "1.5B", "0.0001KB", "1.00001KiB", "5Mb", "5G", "5Gi", "5 GB", "GB", "5EiB", "99999999999EB", "1.0000000000000000001EB", "1GB1", "1GB ", "-1GB", "1,5TB", "1e3GB"} {
		if n, err := Size(text); !errors.Is(err, ErrForm) || !strings.Contains(err.Error(), "500GB") {
			t.Errorf("%q is %d, %v", text, n, err)
		}
	}
	if n, err := Bytes("0"); n != 0 || err != nil {
		t.Errorf("byte 0 is %d, %v", n, err)
	}
	if n, err := Bytes("1.9"); err == nil {
		t.Errorf("1.9 bytes are %d", n)
	}
}

func TestOtherNumbers(t *testing.T) {
	if n, err := Count("18446744073709551615"); n != math.MaxUint64 || err != nil {
		t.Error(n, err)
	}
	if n, err := Scaled("2.7", 2); n != 270 || err != nil {
		t.Error(n, err)
	}
	if v, err := Decimal("0.05"); v != 0.05 || err != nil {
		t.Error(v, err)
	}
	if d, err := Duration("1h30m"); d != 90*time.Minute || err != nil {
		t.Error(d, err)
	}
	if d, err := Duration("1.5s"); d != 1500*time.Millisecond || err != nil {
		t.Error(d, err)
	}
}

// What is taken for a count is what the digits say, in any way of writing.
func FuzzCount(f *testing.F) {
	for _, text := range append(never, "7", "26") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := Count(text); err == nil && strconv.FormatUint(n, 10) != text {
			t.Errorf("%q is %d", text, n)
		}
		if n, err := Bytes(text); err == nil && n < 0 {
			t.Errorf("%q is %d", text, n)
		}
	})
}
