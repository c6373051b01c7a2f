package doctor

import (
	"strings"
	"testing"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
)

func TestANodeThatNoPeerReachesIsRefused(t *testing.T) {
	good, dead, untried := Reach{"good", 2, 3}, Reach{"dead", 0, 3}, Reach{"untried", 0, 0}
	for name, x := range map[string]struct {
		list []Reach
		says string // of the refusal
	}{
		"all reach it":                  {[]Reach{good}, ""},
		"one address is of another net": {[]Reach{good, untried}, ""},
		"one address is dead":           {[]Reach{good, dead}, "at dead"},
		"its only address is dead":      {[]Reach{dead}, "forward it in the router"},
		"no peer could try":             {[]Reach{untried}, "no peer could try"},
		"no peer was asked":             {nil, "no peer could try"},
	} {
		switch err := EnoughReach(x.list); {
		case (err == nil) != (x.says == ""):
			t.Errorf("%s: %v", name, err)
		case err != nil && !strings.Contains(err.Error(), x.says):
			t.Errorf("%s: %v does not say %q", name, err, x.says)
		}
	}
}

func TestPeersThatReachedANodeAreCounted(t *testing.T) {
	got := reaches(node.Surroundings{Addresses: []string{"a", "b"}, Seen: [][]p2p.AddressReport{
		{{Reach: p2p.Reached}, {Reach: p2p.NotReached}, {Reach: p2p.NotDialable}}, {{Reach: p2p.NotDialable}}}})
	if len(got) != 2 || got[0] != (Reach{"a", 1, 2}) || got[1] != (Reach{"b", 0, 0}) {
		t.Errorf("%+v", got)
	}
}
