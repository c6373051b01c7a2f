package testnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/walrus-network/walrus/testnet/adversary"
)

// adversaryName is the file in a node's directory that names the node's adversary, as
// adversary.Parse reads it. The directory of an honest node has none.
const adversaryName = "adversary"

// Adversary returns the adversary that node i is; ok is false for an honest node.
func (t *Testnet) Adversary(i int) (a adversary.Adversary, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(t.NodeDir(i), adversaryName))
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	a, err = adversary.Parse(strings.TrimSpace(string(b)))
	return a, err == nil, err
}

// layAdversaries writes each adversary into its node's directory: a node stays one over
// every start.
func (t *Testnet) layAdversaries(all map[int]adversary.Adversary) error {
	for i, a := range all {
		if i < 0 || i >= t.Nodes {
			return fmt.Errorf("%s: %w: node %d: they are 0 to %d", a, adversary.ErrUnknown, i, t.Nodes-1)
		}
		if err := os.WriteFile(filepath.Join(t.NodeDir(i), adversaryName), []byte(a.String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}
