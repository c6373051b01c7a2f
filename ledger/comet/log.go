package comet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	cmtlog "github.com/cometbft/cometbft/libs/log"
)

// logger hands CometBFT's words on, a level lower: a healthy node is quiet. It
// also listens for the one message that says that consensus is dead.
type logger struct {
	log  *slog.Logger
	fail func(why string) bool // told when consensus is dead; says whether that is a fault
}

func (l logger) Debug(string, ...any) {}

func (l logger) Info(msg string, kv ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(msg, kv...)
	}
}

func (l logger) Error(msg string, kv ...any) {
	if strings.HasPrefix(msg, "CONSENSUS FAILURE") {
		if l.fail(reason(kv)) {
			l.log.Error(msg, kv...)
		}
		return
	}
	l.log.Debug(msg, kv...)
}

func (l logger) With(kv ...any) cmtlog.Logger { return logger{l.log.With(kv...), l.fail} }

func (l logger) Warn(msg string, kv ...any) { l.Info(msg, kv...) }

// reason is the error among a message's pairs.
func reason(kv []any) string {
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == "err" {
			return fmt.Sprint(kv[i+1])
		}
	}
	return "see the log"
}
