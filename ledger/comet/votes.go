package comet

import (
	"bytes"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// votesKind begins transaction 0. A transaction of the ledger begins with a number, so
// that neither can pass for the other.
const votesKind = "votes/1"

// votesPrefix is the first bytes of every transaction 0: an array of three, and the kind.
var votesPrefix = append([]byte{0x83, 0x60 | byte(len(votesKind))}, votesKind...)

// maxVoteBytes bounds one vote in transaction 0: extension, signature and their frames.
// maxVotesFrame is what surrounds all of them.
const (
	maxVoteBytes  = challenge.MaxExtensionBytes + ed25519.SignatureSize + 1 + 3 + 2
	maxVotesFrame = 1 + 1 + len(votesKind) + 5 + 2 + len(token.BLSSignature{})
)

// maxVotesBytes bounds transaction 0 in a network of so many validators.
func maxVotesBytes(validators int) int64 {
	return int64(validators)*maxVoteBytes + int64(maxVotesFrame)
}

// errVotes is returned for a transaction 0 that does not hold.
var errVotes = errors.New("not the votes on the last block")

// votes is transaction 0: what the validators added to their votes on the last block. An
// entry's place says which vote it belongs to; the last commit gives that vote's
// validator, power and round. So no validator is named twice and no power can be made up.
type votes struct {
	_          struct{} `cbor:",toarray"`
	Kind       string
	Extensions []signedExtension // one for each validator of the last block, in the order of its commit
	Last       []byte            // the proposer's, over challenge.LastMessage; empty where it is not wanted
}

// signedExtension is a vote's extension as its validator signed it. Without a signature
// there was no vote, or its extension was not fit to be carried.
type signedExtension struct {
	_         struct{} `cbor:",toarray"`
	Extension []byte
	Signature []byte // ed25519, over CometBFT's CanonicalVoteExtension
}

func (v votes) encode() []byte {
	v.Kind = votesKind
	return canon.Encode(v)
}

// isVotes says whether bytes begin as transaction 0 does: only a proposer may bring such
// bytes, whatever follows.
func isVotes(tx []byte) bool { return bytes.HasPrefix(tx, votesPrefix) }

// decodeVotes reads transaction 0 of a block whose last commit has so many votes. It
// checks the form alone.
func decodeVotes(tx []byte, validators int) (v votes, err error) {
	if int64(len(tx)) > maxVotesBytes(validators) {
		return votes{}, fmt.Errorf("%d bytes for %d validators: %w", len(tx), validators, errVotes)
	}
	if err := canon.Decode(tx, &v); err != nil {
		return votes{}, fmt.Errorf("%w: %w", errVotes, err)
	}
	switch {
	case v.Kind != votesKind:
		return votes{}, fmt.Errorf("kind %.20q: %w", v.Kind, errVotes)
	case len(v.Extensions) != validators:
		return votes{}, fmt.Errorf("%d entries for %d validators: %w", len(v.Extensions), validators, errVotes)
	case len(v.Last) != 0 && len(v.Last) != len(token.BLSSignature{}):
		return votes{}, fmt.Errorf("a last signature of %d bytes: %w", len(v.Last), errVotes)
	}
	return v, nil
}

// lastVotes is the votes on the last block as CometBFT knows them here: validators,
// powers and order are those of our own set of that height, never of a message.
type lastVotes struct {
	chain  token.ChainID
	height int64 // of the last block
	round  int32
	votes  []abci.VoteInfo
	nodes  []staking.NodeID // of votes
	shards int
}

// fit says whether an extension of vote i can be carried: it is signed by its voter, and
// of a form that blocks take. Late votes come in without being looked at.
func (l lastVotes) fit(i int, e signedExtension) error {
	if l.votes[i].BlockIdFlag != cmtproto.BlockIDFlagCommit {
		return fmt.Errorf("%s gave no vote for the last block: %w", l.nodes[i], errVotes)
	}
	if _, err := challenge.DecodeExtension(e.Extension, l.shards); err != nil {
		return fmt.Errorf("%s: %w: %w", l.nodes[i], errVotes, err)
	}
	signed := types.VoteExtensionSignBytes(string(l.chain), &cmtproto.Vote{Extension: e.Extension, Height: l.height, Round: l.round})
	if !ed25519.PubKey(l.nodes[i][:]).VerifySignature(signed, e.Signature) {
		return fmt.Errorf("%s did not sign this extension of its vote: %w", l.nodes[i], errVotes)
	}
	return nil
}

// enough says whether more than two thirds of the power have an extension.
func (l lastVotes) enough(list []signedExtension) error {
	var have, total int64
	for i, v := range l.votes {
		total += v.Validator.Power
		if len(list[i].Signature) > 0 {
			have += v.Validator.Power
		}
	}
	if 3*have <= 2*total {
		return fmt.Errorf("extensions of %d of %d shards, more than two thirds are needed: %w", have, total, errVotes)
	}
	return nil
}

// check says whether a proposer's list holds, all of it.
func (l lastVotes) check(list []signedExtension) error {
	for i, e := range list {
		if len(e.Signature) == 0 {
			if len(e.Extension) > 0 {
				return fmt.Errorf("extension of %s without a signature: %w", l.nodes[i], errVotes)
			}
			continue
		}
		if err := l.fit(i, e); err != nil {
			return err
		}
	}
	return l.enough(list)
}

// gather is the list of a proposer: of its own last commit what is fit to be carried.
func (l lastVotes) gather(commit abci.ExtendedCommitInfo) []signedExtension {
	out := make([]signedExtension, len(l.votes))
	for i, v := range commit.Votes {
		e := signedExtension{Extension: v.VoteExtension, Signature: v.ExtensionSignature}
		if l.fit(i, e) == nil {
			out[i] = e
		}
	}
	return out
}
