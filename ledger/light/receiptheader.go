package light

import (
	"bytes"
	"fmt"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
)

// receiptHeader is a light block in a receipt. Every byte of it is signed or hashed and has
// one form, so that no byte can be changed without notice.
type receiptHeader struct {
	_         struct{} `cbor:",toarray"`
	Header    []byte   // protobuf, as CometBFT writes it
	Commit    []byte   // the signatures; likewise
	Committee []voter  // in CometBFT's order
}

type voter struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte   // ed25519
	Power int64
}

// encodeHeader is the canonical bytes of a light block.
func encodeHeader(b *types.LightBlock) ([]byte, error) {
	header, err := b.Header.ToProto().Marshal()
	if err != nil {
		return nil, err
	}
	commit, err := b.Commit.ToProto().Marshal()
	if err != nil {
		return nil, err
	}
	out := receiptHeader{Header: header, Commit: commit}
	for _, v := range b.ValidatorSet.Validators {
		out.Committee = append(out.Committee, voter{Key: v.PubKey.Bytes(), Power: v.VotingPower})
	}
	return canon.Encode(out), nil
}

// maxVoters bounds the committee of a header from a stranger.
const maxVoters = 1000

// decodeHeader reads a light block of a stranger's receipt. It checks that the block is
// well formed, that every signature in it holds, and that raw is its canonical form.
func decodeHeader(raw []byte, chain string) (*types.LightBlock, error) {
	var in receiptHeader
	if err := canon.Decode(raw, &in); err != nil {
		return nil, err
	}
	var header cmtproto.Header
	if err := header.Unmarshal(in.Header); err != nil {
		return nil, err
	}
	var commit cmtproto.Commit
	if err := commit.Unmarshal(in.Commit); err != nil {
		return nil, err
	}
	h, err := types.HeaderFromProto(&header)
	if err != nil {
		return nil, err
	}
	c, err := types.CommitFromProto(&commit)
	if err != nil {
		return nil, err
	}
	committee, err := committeeOf(in.Committee)
	if err != nil {
		return nil, err
	}
	b := &types.LightBlock{SignedHeader: &types.SignedHeader{Header: &h, Commit: c}, ValidatorSet: committee}
	if err := b.ValidateBasic(chain); err != nil {
		return nil, err
	}
	if again, err := encodeHeader(b); err != nil || !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("header %d is not in its canonical form", b.Height)
	}
	if err := committee.VerifyCommit(chain, c.BlockID, b.Height, c); err != nil {
		return nil, fmt.Errorf("header %d: %w", b.Height, err)
	}
	return b, nil
}

func committeeOf(list []voter) (*types.ValidatorSet, error) {
	if len(list) == 0 || len(list) > maxVoters {
		return nil, fmt.Errorf("a committee of %d: 1 to %d", len(list), maxVoters)
	}
	var out []*types.Validator
	for _, v := range list {
		if len(v.Key) != ed25519.PubKeySize || v.Power < 1 || v.Power > maxVoters {
			return nil, fmt.Errorf("a key of %d bytes with power %d", len(v.Key), v.Power)
		}
		out = append(out, types.NewValidator(ed25519.PubKey(v.Key), v.Power))
	}
	set := &types.ValidatorSet{}
	if err := set.UpdateWithChangeSet(out); err != nil {
		return nil, err
	}
	set.IncrementProposerPriority(1) // a set without a proposer is not well formed; no header names it
	return set, nil
}
