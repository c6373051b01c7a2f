package ledger

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/unit"
)

// FirstRules is the version of the rules that every chain begins with. A rule that a
// later version changes is selected by the RuleVersion of the Head.
const FirstRules = 1

// ErrRules is returned when the ledger's state follows, or is about to follow, rules
// that this program does not know. The error is an UnknownRules.
var ErrRules = errors.New("the network follows newer rules: install a newer release")

// UnknownRules says which release is needed to go on.
type UnknownRules struct {
	Epoch   unit.Epoch // that begins with them
	Version uint64
}

// Error says what to install.
func (e UnknownRules) Error() string {
	return fmt.Sprintf("epoch %d begins with rules %d, this program knows up to %d: install a release that knows rules %d, then start again; nothing is lost", e.Epoch, e.Version, Newest, e.Version)
}

// Unwrap makes it an ErrRules.
func (e UnknownRules) Unwrap() error { return ErrRules }

// Rules are what is in force: the version of the rules and their numbers, and what
// was voted for epochs to come.
//
// Invariant: Planned are in the order of their epochs, all of them to come.
type Rules struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Params  Params
	Planned []Plan
}

// Plan is what more than two thirds of the shards have asked for.
type Plan struct {
	_       struct{}   `cbor:",toarray"`
	Epoch   unit.Epoch // at whose start it acts
	Version uint64     // of the rules; 0: as before
	Changes []ParamChange
}

// ParamChange is a new value of a parameter that can be voted; see Votable.
type ParamChange struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Value uint64 // FROST where the parameter is an amount
}

// RuleRecord tells what became of a plan at an epoch's start.
type RuleRecord struct {
	_       struct{} `cbor:",toarray"`
	Epoch   unit.Epoch
	Version uint64 // in force from Epoch on
	Changes []ParamChange
	Dropped bool // the Changes do not fit together: none of them acts
}

// Unknown is the first plan whose rules this program does not know. The program stops
// before its epoch.
func (r Rules) Unknown() (UnknownRules, bool) {
	for _, p := range r.Planned {
		if p.Version > Newest {
			return UnknownRules{p.Epoch, p.Version}, true
		}
	}
	return UnknownRules{}, false
}

// Notice is what a person should know of rules to come that this program does not know;
// empty if there are none.
func (r Rules) Notice() string {
	u, planned := r.Unknown()
	switch {
	case r.Version > Newest:
		return fmt.Sprintf("the network follows rules %d, this program knows up to %d: install a release that knows rules %d", r.Version, Newest, r.Version)
	case planned:
		return fmt.Sprintf("epoch %d begins with rules %d, this program knows up to %d: install a release that knows rules %d before then", u.Epoch, u.Version, Newest, u.Version)
	}
	return ""
}

// known refuses the block with which an epoch begins whose rules this program does
// not know: the state must not hold what it cannot work out.
func (r Rules) known(h Head, height unit.Height) error {
	if u, ok := r.Unknown(); ok && height > h.EpochEnd && u.Epoch == h.Epoch+1 {
		return u
	}
	return nil
}

// apply is the parameters with changes.
func (p Params) apply(changes []ParamChange) (Params, error) {
	for _, c := range changes {
		v, ok := votable(c.Name)
		if !ok {
			return p, fmt.Errorf("no parameter %.40q can be voted", c.Name)
		}
		v.set(&p, c.Value)
	}
	return p, p.Validate()
}

// rules are those in force, as the block has left them so far.
func (x *exec) rules() Rules { return sure(x.view().Rules()) }

func (x *exec) putRules(r Rules) {
	x.put(KeyRules(), r)
	x.p, x.head.RuleVersion = r.Params, r.Version
}

// adopt puts in force what was planned for the epoch that begins, and says what became of
// it. Changes that do not fit what is in force are dropped, all of them: their voters saw
// them together. The version acts all the same, as nodes that do not know it have
// stopped.
func (x *exec) adopt(r *Rules) {
	var later []Plan
	for _, p := range r.Planned {
		if p.Epoch > x.epoch() {
			later = append(later, p)
			continue
		}
		r.Version = max(r.Version, p.Version)
		params, err := r.Params.apply(p.Changes)
		if err == nil {
			r.Params = params
		}
		x.put(KeyRuleRecord(x.epoch()), RuleRecord{Epoch: x.epoch(), Version: r.Version, Changes: p.Changes, Dropped: err != nil})
	}
	r.Planned = later
}
