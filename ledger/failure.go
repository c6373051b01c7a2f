package ledger

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrAbsent is returned for a record that should be there and is not.
var ErrAbsent = errors.New("the ledger has no such record")

// readFailure travels as a panic from a read to the block or the question that needs it.
type readFailure struct{ err error }

// sure is for reads that only a failing disk can fail.
func sure[T any](v T, err error) T {
	if err != nil {
		panic(readFailure{err})
	}
	return v
}

// guard ends a block or a question with the error of a read that failed.
func guard(err *error) {
	if r := recover(); r != nil {
		f, ok := r.(readFailure)
		if !ok {
			panic(r)
		}
		*err = f.err
	}
}

// defect is a mistake of this program that a transaction has brought to light. Every
// node makes the same one: the transaction is refused, and the block goes on.
type defect struct {
	what  any
	stack []byte
}

func (d defect) Error() string { return fmt.Sprintf("%s: %v", ErrDefect.Text, d.what) }
func (d defect) Unwrap() error { return ErrDefect }

// DefectOf is the trace of a mistake of this program behind a refusal; "" for none.
func DefectOf(err error) string {
	var d defect
	if !errors.As(err, &d) {
		return ""
	}
	return fmt.Sprintf("%v\n%s", d.what, d.stack)
}

// settling runs a part of one transaction. It ends in a value or a refusal, whatever
// the transaction says: a record that is absent and a broken invariant refuse it. Only
// a failing disk goes on as a panic, to guard: such a failure is this node's alone, and
// a refusal would part it from the others.
func (x *exec) settling(part func() error) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if f, ok := r.(readFailure); ok && !absent(f.err) {
			panic(r)
		}
		err = defect{r, debug.Stack()}
	}()
	return part()
}

// absent says whether a read failed because there is no such record, which every node
// finds alike.
func absent(err error) bool { return errors.Is(err, ErrAbsent) || errors.Is(err, ErrNoCommittee) }
