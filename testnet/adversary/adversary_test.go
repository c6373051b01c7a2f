package adversary

import "testing"

// Each kind is read from its words, and its conduct differs from an honest node's.
func TestEveryKindOfAdversaryIsOne(t *testing.T) {
	for kind, s := range strategies() {
		a, err := Parse(kind)
		if err != nil || a.Kind != kind || a.What() != s.what || s.what == "" {
			t.Errorf("%s: %+v, %v", kind, a, err)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%s: %q is read as %+v, %v", kind, a, again, err)
		}
		c := a.Conduct()
		if c.Keeps == nil && c.Rounds.Prove == nil && c.Rounds.Send == nil && c.Rounds.Shows == nil && c.Rounds.Attest == nil && c.Choose == nil {
			t.Errorf("%s does nothing", kind)
		}
	}
}

// The dropped part has the size that was asked for, and contains every smaller part.
func TestAsMuchIsDroppedAsWasSaid(t *testing.T) {
	const names = 10_000
	before := map[int]bool{}
	for _, part := range []float64{0, 0.05, 0.5, 1} {
		n := 0
		for i := range names {
			name := []byte{byte(i), byte(i >> 8)}
			if dropped(part, name) {
				n++
				before[i] = true
			} else if before[i] {
				t.Errorf("%d is in a part smaller than %v, and not in it", i, part)
			}
		}
		if want := int(part * names); n < want-want/5 || n > want+want/5 {
			t.Errorf("%v: %d of %d", part, n, names)
		}
	}
}
