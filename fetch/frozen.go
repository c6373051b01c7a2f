package fetch

import (
	"context"
	"errors"

	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// ErrFrozen is returned, with ErrUnavailable, where nodes hold answers back during a
// challenge. They answer once the challenge is over.
var ErrFrozen = errors.New("a storage challenge is running")

// frozen is ErrFrozen with what the members said of its end.
type frozen struct{ until unit.Height }

func (f frozen) Error() string        { return ErrFrozen.Error() }
func (f frozen) Is(target error) bool { return target == ErrFrozen }

type frozenKey struct{}

// OnFrozen makes a context for reads that call waiting each time they begin to wait because
// members hold answers back during a challenge, with the height at which these want to be
// asked again. A caller with less patience than a read has can then tell a challenge from
// members that are silent. waiting is called from any goroutine.
func OnFrozen(ctx context.Context, waiting func(until unit.Height)) context.Context {
	return context.WithValue(ctx, frozenKey{}, waiting)
}

// tellFrozen tells what OnFrozen named about an error that is ErrFrozen.
func tellFrozen(ctx context.Context, err error) {
	var f frozen
	if waiting, ok := ctx.Value(frozenKey{}).(func(unit.Height)); ok && errors.As(err, &f) {
		waiting(f.until)
	}
}

// note keeps the latest end that a member named.
func (f *frozen) note(err error) {
	var r *p2p.Refusal
	if errors.As(err, &r) {
		f.until = max(f.until, r.RetryHeight)
	}
}
