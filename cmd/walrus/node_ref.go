package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// endingLetters is the number of last letters of a node ID that tables show, and the fewest
// that commands take. The first letters are the same for all nodes.
const endingLetters = 8

// nodeRef is the typed ID of a node, or the end of one. A name is refused: any node may
// take any name, and money goes to the node that is named.
type nodeRef struct {
	id     staking.NodeID
	ending string
}

const base58Letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func parseNode(s string) (nodeRef, error) {
	id, err := staking.ParseNodeID(s)
	if err == nil {
		return nodeRef{id: id}, nil
	}
	end := strings.TrimPrefix(strings.TrimPrefix(s, "…"), "...")
	if len(end) < endingLetters || len(end) >= len(id.String()) || strings.Trim(end, base58Letters) != "" {
		return nodeRef{}, errUsage{fmt.Errorf("%w: say its ID, or at least the last %d letters of it, as walrus nodes lists them", err, endingLetters)}
	}
	return nodeRef{ending: end}, nil
}

// find looks a node up.
func (s *session) find(r nodeRef) (ledger.NodeRecord, error) {
	if r.ending == "" {
		n, known, err := s.View.Node(r.id)
		if err == nil && !known {
			err = fmt.Errorf("%s: %w: walrus nodes lists them", r.id, ledger.ErrUnknownNode)
		}
		return n, err
	}
	var found []ledger.NodeRecord
	err := s.View.EachNode(func(n ledger.NodeRecord) error {
		if strings.HasSuffix(n.ID.String(), r.ending) {
			found = append(found, n)
		}
		return nil
	})
	switch {
	case err != nil:
		return ledger.NodeRecord{}, err
	case len(found) == 0:
		return ledger.NodeRecord{}, fmt.Errorf("…%s: %w: walrus nodes lists them", r.ending, ledger.ErrUnknownNode)
	case len(found) > 1:
		return ledger.NodeRecord{}, errUsage{errors.Join(fmt.Errorf("…%s is the end of %d node IDs: type more of it", r.ending, len(found)))}
	}
	return found[0], nil
}

// shortID is the end of a node ID, for tables.
func shortID(id staking.NodeID) string {
	text := id.String()
	return "…" + text[len(text)-endingLetters:]
}

// called is the name and the ID of a node, for sentences.
func called(n ledger.NodeRecord) string {
	if n.Name == "" {
		return "node " + n.ID.String()
	}
	return fmt.Sprintf("%s (%s)", nameText(n.Name), n.ID)
}
