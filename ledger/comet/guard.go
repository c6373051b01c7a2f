package comet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/token"
)

// LastSignName is the file that says what was signed last. It lies beside the keys:
// a ledger that is wiped must not make its node sign twice.
const LastSignName = "last-sign.json"

// ErrLastSign is returned for a last-sign file that cannot be read.
var ErrLastSign = errors.New("the record of what this node signed last is damaged")

// quietBlocks is how far above the tip it first met a node without a last-sign
// record lets the chain go before it signs: what it may have signed in a life it
// does not remember is then in the past.
const quietBlocks = 2

// guard signs votes and proposals, never two that contradict each other, and
// nothing before it knows that it cannot.
type guard struct {
	*privval.FilePV

	blank  bool // nothing is on record when the process begins
	unborn bool // and nothing was lost: this node has never signed

	mu   sync.Mutex // guards from
	from int64      // with blank: the first height that may be signed; 0: not known yet
}

// newGuard reads what was signed last from dir. Without a record it begins one only
// if the ledger here is new too: a node that has lost the record alone has had
// another life, which it does not remember.
func newGuard(key token.Key, dir string, newLedger bool) (*guard, error) {
	path := filepath.Join(dir, LastSignName)
	pv := privval.NewFilePV(ed25519.PrivKey(key.Ed25519()), "", path)
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !newLedger:
		return &guard{FilePV: pv, blank: true}, nil
	case errors.Is(err, fs.ErrNotExist):
		// An empty record says: never signed. A node that is stopped before its first
		// vote may come back and give it; a network in which all nodes waited would never
		// begin.
		b, err := cmtjson.Marshal(pv.LastSignState)
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("record of what was signed: %w", err)
		}
		return &guard{FilePV: pv, blank: true, unborn: true}, nil
	case err != nil:
		return nil, err
	}
	// CometBFT ends the process on a bad file: it is read here first.
	var last privval.FilePVLastSignState
	if err := cmtjson.Unmarshal(raw, &last); err != nil {
		return nil, fmt.Errorf("%s: %w: restore it from a backup, or remove it if this key runs nowhere else (the node then waits before it signs): %w", path, ErrLastSign, err)
	}
	pv.LastSignState.Height, pv.LastSignState.Round, pv.LastSignState.Step = last.Height, last.Round, last.Step
	pv.LastSignState.Signature, pv.LastSignState.SignBytes = last.Signature, last.SignBytes
	never := last.Height == 0
	return &guard{FilePV: pv, blank: never, unborn: never}, nil
}

var errQuiet = errors.New("not signing yet: this node has no record of what it signed last and waits until the chain is two blocks further")

func (g *guard) may(height int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blank && g.from == 0 {
		// CometBFT asks for no signature before the node has caught up: this is the tip.
		g.from = height + quietBlocks
		if height == 1 && g.unborn {
			g.from = 1 // at the genesis no node has signed anything
		}
	}
	if height < g.from {
		return errQuiet
	}
	return nil
}

// errRefused is returned where a signature might contradict one that was given.
var errRefused = errors.New("not signed")

// SignVote signs a vote. A record that cannot be written is a panic, which CometBFT takes
// for the end of its agreement: the signature is not given. Errors: errQuiet, errRefused.
func (g *guard) SignVote(chain string, v *cmtproto.Vote) error {
	if err := g.may(v.Height); err != nil {
		return err
	}
	if err := g.FilePV.SignVote(chain, v); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil
}

// SignProposal signs a proposal. It fails as SignVote does.
func (g *guard) SignProposal(chain string, p *cmtproto.Proposal) error {
	if err := g.may(p.Height); err != nil {
		return err
	}
	if err := g.FilePV.SignProposal(chain, p); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil
}

// GetPubKey is the node's key.
func (g *guard) GetPubKey() (crypto.PubKey, error) { return g.FilePV.GetPubKey() }

var _ types.PrivValidator = (*guard)(nil)
