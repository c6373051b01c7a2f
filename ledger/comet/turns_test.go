package comet

import (
	"testing"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

// turnsFrom is an answer that names committees, their headers, and what stranger answers
// would differ by.
func turnsFrom(t *testing.T, first *types.ValidatorSet) (raw [][]byte, headers []*types.LightBlock) {
	t.Helper()
	for i := range 2 {
		set := first.Copy()
		if i > 0 {
			set = set.CopyIncrementProposerPriority(int32(i))
		}
		b := must(must(set.ToProto()).Marshal())
		raw = append(raw, b)
		h := &types.Header{Height: int64(10 + i), ValidatorsHash: set.Hash(), ProposerAddress: set.GetProposer().Address}
		headers = append(headers, &types.LightBlock{SignedHeader: &types.SignedHeader{Header: h, Commit: &types.Commit{Height: h.Height}}, ValidatorSet: set})
	}
	return raw, headers
}

// The order of the turns is what most of the validators' power says, whatever others say,
// and never one that verified headers contradict.
func TestTurnsComeFromTheValidators(t *testing.T) {
	set := newWorld(t, "turns", 1).committee(t)
	raw, headers := turnsFrom(t, set.CopyIncrementProposerPriority(3))
	other := set.CopyIncrementProposerPriority(3)
	for _, v := range other.Validators { // the same proposers, another order after them
		if string(v.Address) != string(headers[0].ProposerAddress) && string(v.Address) != string(headers[1].ProposerAddress) {
			v.ProposerPriority -= 2
		}
	}
	lie, _ := turnsFrom(t, other)
	if string(lie[0]) == string(raw[0]) {
		t.Fatal("the lie is the truth")
	}
	late, _ := turnsFrom(t, set.CopyIncrementProposerPriority(4))
	member := func(i int) peer.ID { return must(p2p.PeerOf(set.Validators[i].PubKey.Bytes())) }
	answers := map[peer.ID][][]byte{member(0): raw, "s1": lie, "s2": lie, "s3": lie, member(1): late, member(2): {raw[0]}, member(3): {{1}, {2}}}
	got, err := chooseTurns(answers, headers)
	if err != nil {
		t.Fatal(err)
	}
	if p := must(must(got[0].ToProto()).Marshal()); string(p) != string(raw[0]) {
		t.Error("strangers outvoted a validator")
	}
	if _, err := chooseTurns(map[peer.ID][][]byte{member(1): late, "s1": nil}, headers); err == nil {
		t.Error("an order that the headers contradict was taken")
	}
	// A block that was proposed again in a later round keeps its proposer.
	headers[0].Commit.Round, headers[1].Commit.Round = 2, 5
	if _, err := chooseTurns(answers, headers); err != nil {
		t.Error(err)
	}
}

func FuzzTurns(f *testing.F) {
	f.Add([]byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		headers := []*types.LightBlock{{SignedHeader: &types.SignedHeader{Header: &types.Header{}, Commit: &types.Commit{}}}, {SignedHeader: &types.SignedHeader{Header: &types.Header{}, Commit: &types.Commit{}}}}
		if _, err := decodeTurns([][]byte{a, b}, headers); err == nil {
			t.Fatal("committees of headers without one")
		}
	})
}
