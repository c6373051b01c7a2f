package emulator

import "time"

// line is one direction of a host's link: packets go out one after the other, and those
// that would wait too long are dropped.
type line struct {
	bits  int64         // a second
	queue time.Duration // longest wait of a packet
	free  time.Duration // time at which the last packet has gone out
}

// take is the time at which a packet that comes at now has gone out; false: it is dropped,
// which a patient one never is.
func (l *line) take(now time.Duration, bytes int, patient bool) (time.Duration, bool) {
	start := max(now, l.free)
	if start-now > l.queue && !patient {
		return 0, false
	}
	l.free = start + time.Duration(int64(bytes)*8*int64(time.Second)/l.bits)
	return l.free, true
}
