package fetch

import (
	"errors"
	"testing"
)

func TestWhatAnAuditConcludes(t *testing.T) {
	for held, want := range map[int]error{10: nil, 9: ErrUnproven, 4: ErrUnproven, 3: ErrUnavailable, 0: ErrUnavailable} {
		if err := (Audit{Shards: 10, Needed: 4, Held: held}).Err(); !errors.Is(err, want) {
			t.Errorf("%d shards: %v, want %v", held, err, want)
		}
	}
}
