package canon

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

type sample struct {
	_     struct{} `cbor:",toarray"`
	A     uint64
	B     []byte
	C     [4]byte
	D     []uint16
	E     bool
	F     string
	Inner []pair
}

type pair struct {
	_    struct{} `cbor:",toarray"`
	X, Y int64
}

func TestGoldenBytes(t *testing.T) {
	v := sample{A: 500, B: []byte{1, 2}, C: [4]byte{9, 8, 7, 6}, D: []uint16{23, 24}, E: true, F: "wal", Inner: []pair{{X: -1, Y: 1}}}
	got := hex.EncodeToString(Encode(v))
	const want = "871901f4420102440908070682171818f56377616c81822001"
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	var back sample
	if err := Decode(Encode(v), &back); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Encode(back), Encode(v)) {
		t.Fatal("round trip changed the value")
	}
}

func TestEmptyListsAreWrittenOneWay(t *testing.T) {
	if a, b := Encode(sample{}), Encode(sample{B: []byte{}, D: []uint16{}, Inner: []pair{}}); !bytes.Equal(a, b) {
		t.Fatalf("nil and empty differ: %x %x", a, b)
	}
}

func TestOtherSpellingsAreRefused(t *testing.T) {
	for name, s := range map[string]string{
		"long integer":      "82180101",               // 1 in two bytes
		"indefinite array":  "9f0101ff",               //
		"tag":               "82c10101",               //
		"trailing byte":     "82010100",               //
		"short array":       "8101",                   //
		"long array":        "83010101",               //
		"map":               "a2615801615901",         //
		"nil element":       "82f601",                 //
		"float":             "82f93c0001",             //
		"nothing":           "",                       //
		"truncated":         "8201",                   //
		"overflow":          "821bffffffffffffffff01", //
		"length of a world": "9affffffff",             //
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		var v pair
		if err := Decode(b, &v); err == nil {
			t.Errorf("%s accepted as %+v", name, v)
		}
	}
	var v pair
	if err := Decode([]byte{0x82, 0x18, 0x01, 0x01}, &v); !errors.Is(err, ErrNotCanonical) {
		t.Errorf("want ErrNotCanonical, got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(sample{A: 1, Inner: []pair{{X: 1}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v sample
		if Decode(b, &v) == nil && !bytes.Equal(Encode(v), b) {
			t.Fatalf("accepted %x, which encodes as %x", b, Encode(v))
		}
	})
}

// What is wrong with somebody's bytes is said in the words of CBOR, without the names of
// this program's types.
func TestErrorsNameNoTypesOfThisProgram(t *testing.T) {
	good := Encode(sample{C: [4]byte{1}})
	short := bytes.Replace(bytes.Clone(good), []byte{0x44, 1, 0, 0, 0}, []byte{0x43, 1, 0, 0}, 1)
	for name, raw := range map[string][]byte{"a byte string that is short": short, "text": {0x61, 'x'}, "nothing": {}, "a map": {0xa0}, "cut off": good[:len(good)-1], "a number": {5},
		"text in a field": bytes.Replace(bytes.Clone(good), []byte{0x44, 1, 0, 0, 0}, []byte{0x64, 'a', 'b', 'c', 'd'}, 1)} {
		var v sample
		err := Decode(raw, &v)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		for _, word := range []string{"canon.", "sample", "Go ", "struct", "uint64", "[4]uint8"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q says %q", name, err, word)
			}
		}
	}
}

func TestAnArrayIsReadOneValueAtATime(t *testing.T) {
	read := func(hexes string, most, size int) (got []pair, err error) {
		b, err := hex.DecodeString(hexes)
		if err != nil {
			t.Fatal(err)
		}
		err = DecodeEach(b, most, size, func(p pair) error { got = append(got, p); return nil })
		return got, err
	}
	for _, n := range []int{0, 1, 23, 24, 255, 256, 70000} {
		all := make([]pair, n)
		for i := range all {
			all[i] = pair{X: int64(i), Y: -1}
		}
		if got, err := read(hex.EncodeToString(Encode(all)), n, 16); err != nil || len(got) != n || n > 0 && got[n-1] != all[n-1] {
			t.Errorf("%d values: %d, %v", n, len(got), err)
		}
	}
	for name, s := range map[string]string{
		"nothing": "", "no array": "01", "indefinite": "9f820101ff", "long head": "9801820101", "longer head": "990001820101", "huge head": "9bffffffffffffffff",
		"cut head": "98", "reserved head": "9c", "missing value": "82820101", "trailing byte": "8182010100", "more than most": "83820101820101820101",
		"long number": "818218010101", "nil": "81f6", "cut value": "818201", "larger than size": "81821b7fffffffffffffff1b7fffffffffffffff",
	} {
		if got, err := read(s, 2, 12); err == nil {
			t.Errorf("%s (%s) was taken: %v", name, s, got)
		}
	}
	stop := errors.New("stop")
	if err := DecodeEach(Encode([]pair{{}, {}}), 2, 16, func(pair) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}
