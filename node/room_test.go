package node

import (
	"errors"
	"math"
	"testing"
	"time"
)

// However fast other programs fill the disk, the room is looked at before it has gone.
func TestTheRoomIsLookedAtBeforeItHasGone(t *testing.T) {
	for _, free := range []int64{0, stopRoom, stopRoom + 1, 1 << 30, 2 << 30, 5 << 30, 9 << 30, 1 << 40, math.MaxInt64} {
		again := roomAgainIn(free, nil)
		if again < roomEvery || again > roomCalm {
			t.Errorf("%d bytes free: looked at again after %v", free, again)
		}
		if gone := again.Seconds() * fillRate; again > roomEvery && gone > float64(free-stopRoom)*1.01 {
			t.Errorf("%d bytes free: looked at again after %v, in which %.0f may be written", free, again, gone)
		}
	}
	if again := roomAgainIn(1<<40, errors.New("cannot tell")); again != roomEvery {
		t.Errorf("an unknown room is looked at again after %v", again)
	}
	if roomAgainIn(1<<40, nil) != 2*time.Second {
		t.Error("a disk with room is looked at as often as a full one")
	}
}
