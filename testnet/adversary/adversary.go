package adversary

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/node"
)

// ErrUnknown is returned for words that name no adversary.
var ErrUnknown = errors.New("no such adversary")

// Adversary is a kind of adversary with its number: all that makes a node one.
type Adversary struct {
	Kind   string  `json:"kind"`
	Number float64 `json:"number"` // in the unit of the kind; 0 for a kind without a number
}

// strategy is one kind in the table of kinds.
type strategy struct {
	what    string        // the end of a sentence about a node of the kind
	number  func() bounds // the number that the kind takes; nil: none
	conduct func(n float64) node.Conduct
}

// bounds limits an adversary's number.
type bounds struct {
	usual, least, most float64 // usual is taken where the words give no number
	whole              bool    // fractions are refused
	of                 string  // the meaning of the number, for people
}

// part is a number from 0 to 1.
func part(usual float64, of string) func() bounds {
	return func() bounds { return bounds{usual: usual, most: 1, of: of} }
}

// count is a whole number.
func count(usual float64, of string) func() bounds {
	return func() bounds { return bounds{usual: usual, most: 100_000, whole: true, of: of} }
}

// strategies is the table of kinds.
func strategies() map[string]strategy {
	return map[string]strategy{
		"lazy":        {"drops a part of its fragments, and neither repairs nor declares them", part(0.1, "the part of its fragments that it drops"), func(n float64) node.Conduct { return Lazy{Drops: n}.Conduct() }},
		"truncator":   {"drops a part of the symbols inside every fragment", part(0.1, "the part of each fragment's symbols that it drops"), func(n float64) node.Conduct { return Truncator{Drops: n}.Conduct() }},
		"outsourcer":  {"keeps nothing, and fetches what it is asked for", nil, func(float64) node.Conduct { return Outsourcer{}.Conduct() }},
		"forger":      {"signs proofs that are false", nil, func(float64) node.Conduct { return Forger{}.Conduct() }},
		"replayer":    {"sends its old proofs again, and others' as its own", nil, func(float64) node.Conduct { return new(Replayer).Conduct() }},
		"silent":      {"proves nothing, but votes", nil, func(float64) node.Conduct { return Silent{}.Conduct() }},
		"withholder":  {"shows its proofs to a few only", count(1, "how many nodes it shows them to"), func(n float64) node.Conduct { return (&Withholder{Shown: int(n)}).Conduct() }},
		"accuser":     {"says that it heard no other node's proof", nil, func(float64) node.Conduct { return Accuser{}.Conduct() }},
		"rubberstamp": {"says that it heard every proof, without a look", nil, func(float64) node.Conduct { return Rubberstamp{}.Conduct() }},
		"grinder":     {"is lazy, and uses its turns to propose so as not to be asked for what it dropped", part(0.1, "the part of its fragments that it drops"), func(n float64) node.Conduct { return Grinder{Lazy{Drops: n}}.Conduct() }},
		"flooder":     {"floods the topic of the proofs with garbage", count(2000, "how many messages it sends in a round"), func(n float64) node.Conduct { return Flooder{Messages: int(n)}.Conduct() }},
	}
}

// Kinds returns the names of all kinds, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(strategies())) }

// Help describes each kind in one line, for people.
func Help() (lines []string) {
	all := strategies()
	for _, k := range Kinds() {
		line := fmt.Sprintf("%-12s %s", k, all[k].what)
		if all[k].number != nil {
			n := all[k].number()
			line += fmt.Sprintf(" (%s=%v: %s)", k, n.usual, n.of)
		}
		lines = append(lines, line)
	}
	return lines
}

// Parse reads `kind` or `kind=number`.
func Parse(words string) (a Adversary, err error) {
	kind, text, given := strings.Cut(words, "=")
	s, ok := strategies()[kind]
	if !ok {
		return a, fmt.Errorf("%q: %w: they are %s", kind, ErrUnknown, strings.Join(Kinds(), ", "))
	}
	a.Kind = kind
	if s.number == nil {
		if given {
			return a, fmt.Errorf("%q: %w: %s takes no number", words, ErrUnknown, kind)
		}
		return a, nil
	}
	n := s.number()
	if a.Number = n.usual; !given {
		return a, nil
	}
	a.Number, err = number.Decimal(text)
	if err != nil || !(a.Number >= n.least && a.Number <= n.most) || n.whole && a.Number != math.Trunc(a.Number) {
		sort := "a number"
		if n.whole {
			sort = "a whole number"
		}
		return a, fmt.Errorf("%q: %w: %s of %s is %s from %v to %v, as %s=%v", words, ErrUnknown, n.of, kind, sort, n.least, n.most, kind, n.usual)
	}
	return a, nil
}

// ParseList reads a list of `kind[=number]@node[,node...]` for a testnet with that number
// of nodes, and returns the adversaries by node.
func ParseList(list []string, nodes int) (map[int]Adversary, error) {
	out := map[int]Adversary{}
	for _, words := range list {
		name, where, ok := strings.Cut(words, "@")
		if !ok {
			return nil, fmt.Errorf("%q: %w: say which node it is, as lazy=0.05@3 or silent@3,5", words, ErrUnknown)
		}
		a, err := Parse(name)
		if err != nil {
			return nil, err
		}
		for _, w := range strings.Split(where, ",") {
			n, err := number.Count(w)
			if err != nil || n >= uint64(nodes) {
				return nil, fmt.Errorf("%q: %w: node %q: they are 0 to %d", words, ErrUnknown, w, nodes-1)
			}
			i := int(n)
			if old, twice := out[i]; twice {
				return nil, fmt.Errorf("%q: %w: node %d is to be %s already: a node is one", words, ErrUnknown, i, old)
			}
			out[i] = a
		}
	}
	return out, nil
}

// String returns the words that Parse reads the adversary from.
func (a Adversary) String() string {
	if s := strategies()[a.Kind]; s.number == nil {
		return a.Kind
	}
	return a.Kind + "=" + strconv.FormatFloat(a.Number, 'f', -1, 64)
}

// What describes the adversary for people: the end of a sentence about its node.
func (a Adversary) What() string { return strategies()[a.Kind].what }

// Conduct returns the conduct of a node that is this adversary.
func (a Adversary) Conduct() node.Conduct { return strategies()[a.Kind].conduct(a.Number) }
