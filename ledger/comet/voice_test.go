package comet

import (
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/unit"
)

// Invariant 20. What one node adds to its vote every other takes, also one that stands a
// block before or behind it; what a node says of itself may be broken.
func TestWhatAVoteIsExtendedByIsTaken(t *testing.T) {
	timetable := func(h unit.Height) ledger.Wants {
		r := challenge.RoundID{Epoch: unit.Epoch(h / 12), Round: unit.Round(h % 7)}
		return ledger.Wants{Round: r, Reveal: h%12 >= 3 && h%12 <= 5, Attest: h%12 == 8 || h%12 == 9}
	}
	ears := []Attester{nil, ear{true, blob.Leaf(nil), []byte{1, 2, 3, 4}}, ear{true, blob.Hash{}, nil}, ear{false, blob.Hash{}, []byte{0, 0, 0, 0xff}}, ear{true, blob.Hash{}, make([]byte, 900)}}
	var list []*podium
	for i := range ears {
		p := newPodium(t, ledger.Wants{})
		m := p.app.machine
		p.app.extender.attester = ears[i]
		p.app.wants = func(h unit.Height) (ledger.Wants, error) {
			_, err := m.Wants(h)
			return timetable(h), err
		}
		if i == 1 {
			if err := p.w.local.Advance(1); err != nil { // it stands a block ahead of the others
				t.Fatal(err)
			}
		}
		list = append(list, p)
	}
	said := map[string]int{}
	for range 30 {
		for _, by := range list {
			h := int64(by.app.machine.Height()) + 1
			e, err := by.app.ExtendVote(t.Context(), &abci.RequestExtendVote{Height: h})
			if err != nil {
				t.Fatal(err)
			}
			for i, to := range list {
				if !to.takes(h, e.VoteExtension) {
					t.Fatalf("block %d: node %d at block %d refused %x", h, i, to.app.machine.Height(), e.VoteExtension)
				}
			}
			got, err := challenge.DecodeExtension(e.VoteExtension, 28)
			switch w := timetable(unit.Height(h)); {
			case err != nil:
				t.Fatal(err)
			case got.Reveal != nil:
				said["reveal"]++
			case got.Attest != nil:
				said["attest"]++
			case w.Reveal:
				t.Fatalf("block %d: no reveal", h)
			case w.Attest:
				said["broken ear"]++
			}
		}
		for _, p := range list {
			if err := p.w.local.Advance(1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said["reveal"] == 0 || said["attest"] == 0 || said["broken ear"] == 0 {
		t.Errorf("%v", said)
	}
}

func TestOnlyWhatABlockWantsMayBeAddedToAVote(t *testing.T) {
	other := challenge.RoundID{Epoch: someRound.Epoch, Round: someRound.Round + 1}
	yes := []byte{1, 0, 0, 8}
	key := worldSecret(0).BLSKey()
	chain := newWorld(t, "test", 0).genesis.ChainID()
	words := map[string][]byte{
		"nothing":      nil,
		"reveal":       challenge.NewReveal(chain, key, someRound).Encode(),
		"attest":       challenge.NewAttest(someRound, true, blob.Hash{}, yes).Encode(),
		"other reveal": challenge.NewReveal(chain, key, other).Encode(),
		"other attest": challenge.NewAttest(other, true, blob.Hash{}, yes).Encode(),
		"wide attest":  challenge.NewAttest(someRound, true, blob.Hash{}, append(yes, 0)).Encode(),
		"garbage":      []byte("garbage"),
		"wrong reveal": challenge.Extension{Reveal: &challenge.Reveal{Version: 1, Epoch: someRound.Epoch, Round: someRound.Round}}.Encode(),
	}
	for _, tt := range []struct {
		wants ledger.Wants
		takes []string
	}{
		{ledger.Wants{Round: someRound}, []string{"nothing"}},
		{carryAndLast, []string{"nothing"}},
		{ledger.Wants{Round: someRound, Reveal: true}, []string{"nothing", "reveal", "wrong reveal"}},
		{ledger.Wants{Round: someRound, Attest: true}, []string{"nothing", "attest"}},
	} {
		p := newPodium(t, tt.wants)
		for name, e := range words {
			if got, want := p.takes(p.height, e), slices.Contains(tt.takes, name); got != want {
				t.Errorf("%+v: %s taken: %v", tt.wants, name, got)
			}
		}
	}
}
