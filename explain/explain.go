package explain

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/walrus-network/walrus/unit"
)

// ErrNoRecord is returned where the ledger has no record: there never was one, or it is
// older than Params.HistoryEpochs.
var ErrNoRecord = errors.New("the ledger has no record of it")

// Explanation is the sum that leads to a number of the ledger, worked out again from its
// records.
type Explanation struct {
	Title    string    `json:"title"`
	Steps    []Step    `json:"steps"`
	Holds    bool      `json:"holds"`              // every result is that of the ledger
	Exhibits []Exhibit `json:"evidence,omitempty"` // can be checked without the ledger
}

// Step is one step of the sum.
type Step struct {
	Text string `json:"text"`
	Sum  string `json:"sum"` // the figures
}

func (e *Explanation) step(sum, format string, args ...any) {
	e.Steps = append(e.Steps, Step{Text: fmt.Sprintf(format, args...), Sum: sum})
}

// same adds a comparison with the ledger.
func (e *Explanation) same(what string, holds bool) {
	if !holds {
		what = "NOT SO: " + what
	}
	e.step("", "%s", what)
	e.Holds = e.Holds && holds
}

// got adds a step whose result the ledger has on record too.
func (e *Explanation) got(sum string, result, recorded any, format string, args ...any) {
	text := fmt.Sprint(result)
	if sum != "" {
		text = sum + " = " + text
	}
	e.step(text, format, args...)
	if result != recorded {
		e.same(fmt.Sprintf("the ledger has %v", recorded), false)
	}
}

// partOf writes n of m as percent, rounded down.
func partOf(n, m uint64) string {
	if m == 0 {
		return "none were asked for"
	}
	return fmt.Sprintf("%d of %d = %s", n, m, unit.Bps(n*unit.Whole/m).Percent())
}

func times(n uint64, what string) string {
	if n == 1 {
		return "one " + what
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}
