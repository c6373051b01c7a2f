package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/explain"
	"github.com/walrus-network/walrus/token"
)

// maxEvidenceFile is the most bytes of a file of evidence: sixteen bundles.
const maxEvidenceFile = 16 << 20

// checkedEvidence is the result of checking evidence from a file.
type checkedEvidence struct {
	Evidence []explain.Explanation `json:"evidence"`
	Holds    bool                  `json:"holds"` // all of it, given that
	Given    string                `json:"given"`
}

// givenLedger is the part that no file proves: the votes and the draw are not signed in it.
const givenLedger = "that the ledger keeps this evidence: a file does not prove it, walrus explain slash NODE asks the ledger"

// checkEvidence checks a file that explain slash --json wrote. It asks no node: beside the
// file it needs the chain's ID only.
func (a *app) checkEvidence(ctx context.Context, file string) error {
	n, err := a.network()
	if err != nil {
		return err
	}
	in, err := a.input(ctx, file, "the evidence")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := replayFile(in, n.Genesis.ChainID())
	if err != nil {
		return fmt.Errorf("check %s: %w", file, err)
	}
	if err := a.print(out, out.print); err != nil || out.Holds {
		return err
	}
	return fmt.Errorf("check %s: the evidence does not show what it is said to", file)
}

func replayFile(in io.Reader, chain token.ChainID) (out checkedEvidence, err error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxEvidenceFile+1))
	if err != nil {
		return out, err
	}
	if len(raw) > maxEvidenceFile {
		return out, fmt.Errorf("longer than %d bytes: no evidence is", maxEvidenceFile)
	}
	var file struct {
		Evidence []explain.Exhibit `json:"evidence"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return out, fmt.Errorf("what walrus explain slash --json writes is wanted: %w", err)
	}
	if len(file.Evidence) == 0 {
		return out, errors.New("no evidence is in it: walrus explain slash NODE --json writes it, for a slash of rung 7 or 8")
	}
	out.Holds, out.Given = true, givenLedger
	for _, x := range file.Evidence {
		e, err := x.Replay(chain)
		if err != nil {
			return out, err
		}
		out.Evidence = append(out.Evidence, e)
		out.Holds = out.Holds && e.Holds
	}
	return out, nil
}

func (l checkedEvidence) print(w io.Writer) error {
	for _, e := range l.Evidence {
		verdict := "it shows the fault, if it is the ledger's: walrus explain slash NODE asks"
		if !e.Holds {
			verdict = "it does NOT show the fault"
		}
		if err := printSteps(w, e, verdict); err != nil {
			return err
		}
	}
	return nil
}
