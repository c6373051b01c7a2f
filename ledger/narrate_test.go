package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/token"
)

// narrator writes down what happens in a world, for a reader that is no programmer: a
// story is a file in testdata that a person can read, and the test is that it goes the
// same way again.
//
// Sentences end up in paragraphs; what the ledger holds stands between them, indented.
type narrator struct {
	*world
	out  strings.Builder
	text string // the paragraph so far
}

// paragraphWidth is how many letters a line of a story takes.
const paragraphWidth = 92

func (w *world) narrate(title string) *narrator {
	n := &narrator{world: w}
	fmt.Fprintf(&n.out, "%s\n%s\n", title, strings.Repeat("=", len(title)))
	return n
}

// tell adds sentences to the paragraph.
func (n *narrator) tell(format string, args ...any) {
	n.text = strings.TrimSpace(n.text + " " + fmt.Sprintf(format, args...))
}

// tries adds a sentence and what came of it: err of try or send.
func (n *narrator) tries(err error, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if r := (*Refusal)(nil); errors.As(err, &r) {
		n.tell("%s The ledger refuses: %s.", text, r.Text)
		return
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.tell("%s", text)
}

// chapter begins a new part.
func (n *narrator) chapter(format string, args ...any) {
	n.paragraph()
	fmt.Fprintf(&n.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// shows puts a fact between the paragraphs.
func (n *narrator) shows(what string, value any) {
	n.paragraph()
	fmt.Fprintf(&n.out, "    %-44s %v\n", what, value)
}

// row puts a line there that has more than one value.
func (n *narrator) row(format string, args ...any) {
	n.paragraph()
	fmt.Fprintf(&n.out, "    "+format+"\n", args...)
}

// short is an amount to the millionth of a WAL, rounded down: for reading.
func short(a token.Amount) string { return (a - a%1000).String() }

// holds puts what an account has there.
func (n *narrator) holds(name string, k token.Key) { n.shows(name+" has", n.account(k).Balance) }

// books puts all the money there is between the paragraphs, and checks that none was
// made or lost. Accounts and pools are left to those to whom they belong.
func (n *narrator) books() {
	a := n.balanced()
	n.shows("waiting for a certificate", a.Escrow)
	n.shows("left for renewals", a.Allowances)
	n.shows("set aside for this epoch and the next ones", a.Buckets)
	n.shows("carried to the next epoch's pay", a.Carry)
	n.shows("burned so far", a.Burned)
}

func (n *narrator) paragraph() {
	line := ""
	for _, word := range strings.Fields(n.text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > paragraphWidth {
			fmt.Fprintln(&n.out, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		fmt.Fprintln(&n.out, line)
	}
	n.text = ""
}

// end compares the story with the one in testdata, and checks the books a last time.
func (n *narrator) end(file string) {
	n.t.Helper()
	n.paragraph()
	n.balanced()
	golden.Check(n.t, file, n.out.String())
}
