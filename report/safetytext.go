package report

import "fmt"

// String is the safety in one line of text.
func (s Safety) String() string {
	what := "signed for it"
	switch {
	case s.Presence != nil && s.Presence.SilentNodes == 0:
		what = "show it now"
	case s.drawn:
		what = "proved it"
	}
	holders := 0
	for _, n := range s.Holders {
		if n.Counted > 0 {
			holders++
		}
	}
	text := fmt.Sprintf("%s: %d of %d shards on %s %s; ", s.Verdict, s.Counted, s.Shards, counted(holders, "node"), what)
	switch {
	case s.SpareShards == 0 && s.Counted < s.Needed:
		text += fmt.Sprintf("it takes %d", s.Needed)
	case s.SpareShards == 0:
		text += "it can lose none"
	default:
		text += fmt.Sprintf("it outlives any %s or %s", counted(s.SpareShards, "shard"), counted(s.SpareNodes, "node"))
	}
	if p := s.Presence; p != nil && p.SilentNodes > 0 {
		text += fmt.Sprintf("; %s with %s of these %s silent now", counted(p.SilentNodes, "node"), counted(p.SilentShards, "shard"), is(p.SilentNodes))
	}
	if p := s.Presence; p != nil && p.Denied > 0 {
		text += fmt.Sprintf("; %s that the ledger counts %s not there now", counted(p.Denied, "shard"), is(p.Denied))
	}
	return text
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
