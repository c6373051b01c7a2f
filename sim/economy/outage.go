package economy

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Outages is the law of a node's outages. Times between outages are
// exponential (nothing ages), with the mean that makes the uptime what it is to be;
// lengths are log-normal, as times to repair were found to be in large installations
// (Schroeder and Gibson, "A large-scale study of failures in high-performance computing
// systems", DSN 2006, section 6).
type Outages struct {
	Median float64 `json:"median_hours"` // hours: half of all outages are shorter
	Tail   float64 `json:"tail"`         // standard deviation of the logarithm of the length: larger is heavier
}

// defaultOutages have a median of an hour and a tail of 1.5: an outage takes 3.1 hours
// in the mean, one of a hundred more than 33 hours, one of a thousand more than four
// days, one of six thousand more than nine days. With an uptime of 99 % there are
// 28 outages a year.
func defaultOutages() Outages { return Outages{Median: 1, Tail: 1.5} }

// Mean is the mean length, in hours.
func (o Outages) Mean() float64 { return o.Median * math.Exp(o.Tail*o.Tail/2) }

func (o Outages) validate() error {
	if !(o.Median > 0 && o.Median <= 1000) || !(o.Tail >= 0 && o.Tail <= 4) {
		return fmt.Errorf("outages with a median of %v hours and a tail of %v: the median is above 0, up to 1000, the tail 0 to 4", o.Median, o.Tail)
	}
	return nil
}

// outages is the history of one node's outages, or one zone's. Time is in hours.
type outages struct {
	law    Outages
	up     float64 // mean time between outages; infinite where there are none
	random *rand.Rand
	from   float64 // of the present outage, or of the next
	until  float64
}

func newOutages(law Outages, uptime float64, random *rand.Rand) *outages {
	o := &outages{law: law, up: law.Mean() * uptime / (1 - uptime), random: random}
	o.next()
	return o
}

func (o *outages) next() {
	o.from = o.until + o.random.ExpFloat64()*o.up
	o.until = o.from + o.law.Median*math.Exp(o.law.Tail*o.random.NormFloat64())
}

// down reports whether the node is away at t, and else whether an outage begins before end.
// Calls go forward in time.
func (o *outages) down(t, end float64) (away, crashes bool) {
	for o.until <= t {
		o.next()
	}
	return o.from <= t, o.from > t && o.from < end
}
