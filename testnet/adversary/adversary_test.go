package adversary

import "testing"

// Each kind has its words, and a conduct that is not an honest node's.
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

// As much is dropped as was said, and what goes first goes always.
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
				t.Errorf("%d is dropped by who drops less than %v, and not then", i, part)
			}
		}
		if want := int(part * names); n < want-want/5 || n > want+want/5 {
			t.Errorf("%v: %d of %d", part, n, names)
		}
	}
}
