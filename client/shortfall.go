package client

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/walrus-network/walrus/p2p"
)

// possible says why the blob cannot be certified any more, or nil.
func (u *upload) possible() error {
	if u.weight(nil) >= u.d.Shape.Quorum() {
		return nil
	}
	return u.shortfall(u.weight(nil))
}

// shortfall is the error of an upload that members with weight shards have confirmed, or may.
func (u *upload) shortfall(weight int) error {
	err := fmt.Errorf("%d of %d shards, %d are needed: %w: %s", weight, u.d.Shape.N, u.d.Shape.Quorum(), ErrQuorum, u.reasons())
	for _, l := range u.lanes {
		if l.failed() && p2p.IsRefusal(l.err, p2p.CodeNotDuty) {
			return shortfall{err, l.err} // another look at the committee may help
		}
	}
	for _, l := range u.lanes {
		if l.failed() && p2p.IsRefusal(l.err, p2p.CodeBusy) {
			return shortfall{err, errBusy} // another try may
		}
	}
	return err
}

// maxReasons bounds the reasons that an error names: a committee may have a thousand members.
const maxReasons = 6

// reasons is why members do not confirm: each reason once, with one of its members, those with
// the most shards first.
func (u *upload) reasons() string {
	type reason struct {
		text            string
		peer            string // the first
		members, shards int
	}
	of := map[string]*reason{}
	for _, l := range u.lanes {
		if !l.failed() {
			continue
		}
		peer := u.d.Members[l.member].Peer.String()
		text := strings.ReplaceAll(l.why().Error(), peer, "it")
		r := of[text]
		if r == nil {
			r = &reason{text: text, peer: peer}
			of[text] = r
		}
		r.peer = min(r.peer, peer)
		r.members++
		r.shards += len(l.places)
	}
	list := slices.SortedFunc(maps.Values(of), func(a, b *reason) int {
		return cmp.Or(cmp.Compare(b.shards, a.shards), cmp.Compare(a.peer, b.peer))
	})
	var out []string
	others, shards := 0, 0
	for i, r := range list {
		switch {
		case i >= maxReasons:
			others, shards = others+r.members, shards+r.shards
		case r.members == 1:
			out = append(out, fmt.Sprintf("%s (%d shards): %s", r.peer, r.shards, r.text))
		default:
			out = append(out, fmt.Sprintf("%s and %d more nodes (%d shards): %s", r.peer, r.members-1, r.shards, r.text))
		}
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("%d more nodes (%d shards) for other reasons", others, shards))
	}
	return strings.Join(out, "; ")
}

// shortfall reads as one error and is two: too few, and why.
type shortfall struct {
	error
	because error
}

func (s shortfall) Unwrap() []error { return []error{s.error, s.because} }
