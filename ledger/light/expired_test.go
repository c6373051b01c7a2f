package light

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

// clockTown is a town whose nodes tell the time.
type clockTown struct {
	*town
	time func() time.Time
}

func (c clockTown) AskDialback(_ context.Context, _ peer.ID, _ []string) (p2p.Dialback, error) {
	return p2p.Dialback{Clock: time.Until(c.time())}, nil
}

// A clock that is ahead makes every header look too old, and so does a network that
// stands still. No checkpoint helps against either, and none is asked for.
func TestTheClockIsNamedWhereItIsTheCauseAndNowhereElse(t *testing.T) {
	const blocks = 20
	w := newWorld(t, "test", blocks)
	period := 100 * worldBlock
	newest := w.began.Add(blocks * worldBlock)
	late := newest.Add(100 * 24 * time.Hour)
	at := func(x time.Time) func() time.Time { return func() time.Time { return x } }
	only := &town{nodes: []oracle{w.honest, w.honest, w.honest}}
	for _, k := range []struct {
		name string
		host Asker
		now  time.Time
		want error
		says []string
		not  []string
	}{
		{"the clock is 100 days ahead", clockTown{only, at(newest.Add(time.Second))}, late, ErrAhead, []string{"clock", "by 2"}, []string{"checkpoint", "stands still"}},
		{"the network stands still", clockTown{only, at(late)}, late, ErrStill, []string{"stands still", "the clock is right"}, []string{"checkpoint", "ahead"}},
		{"nobody tells the time", only, late, ErrStill, []string{"stands still", "clock"}, []string{"checkpoint"}},
		{"nothing was looked at for long", clockTown{only, at(newest.Add(time.Second))}, newest.Add(time.Second), nil, nil, nil},
	} {
		r := NewRemote(k.host, w.genesis, RemoteOptions{TrustPeriod: period})
		r.follow.now = at(k.now)
		_, err := readAccount(within(t), r, w.genesis.Accounts[0].Address)
		if !errors.Is(err, k.want) {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		for _, s := range k.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v, without %q", k.name, err, s)
			}
		}
		for _, s := range k.not {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v, with %q", k.name, err, s)
			}
		}
	}
	if len(only.blamed) > 0 {
		t.Errorf("blamed for the time: %v", only.blamed)
	}
}
