package comet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	cmtlog "github.com/cometbft/cometbft/libs/log"
)

// logger hands CometBFT's words on, a level lower: a healthy node is quiet. It
// also listens for the messages that say that consensus is dead, or mute: CometBFT
// tells its log alone, and lives on.
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
	switch {
	case strings.HasPrefix(msg, "MConnection panicked"):
		// A peer may have caused it, and loses its connection: a stranger must not be able
		// to end a node. A store that failed has said so itself; see Chain.diskFailed.
		l.log.Error("a connection of the ledger broke a rule of this program, and was closed; please report this line", kv...)
		return
	case deadly(msg) || msg == "failed signing vote" && !declined(kv):
		why := reason(kv)
		if !strings.HasPrefix(msg, "CONSENSUS FAILURE") {
			why = firstLine(msg) + ": " + why
		}
		if l.fail(why) {
			l.log.Error(msg, kv...)
		}
		return
	}
	l.log.Debug(msg, kv...)
}

// declined says whether a message tells of a signature that this node rightly did not give,
// not of a consensus log that could not be flushed before it.
func declined(kv []any) bool {
	for _, v := range kv {
		if err, ok := v.(error); ok && (errors.Is(err, errQuiet) || errors.Is(err, errRefused)) {
			return true
		}
	}
	return false
}

func (l logger) With(kv ...any) cmtlog.Logger { return logger{l.log.With(kv...), l.fail} }

func (l logger) Warn(msg string, kv ...any) { l.Info(msg, kv...) }

// deadly says whether a message tells of a node that takes no part any more. A vote
// whose consensus log could not be written or flushed is not given, and never again.
func deadly(msg string) bool {
	if strings.HasPrefix(msg, "CONSENSUS FAILURE") {
		return true
	}
	for _, sign := range []string{
		"failed writing to WAL", "failed flushing WAL to disk", "Periodic WAL flush failed",
		"Error writing msg to consensus wal", "WriteSync failed to flush consensus wal",
		"failed to open WAL", "failed to start WAL", "the WAL repair failed",
	} {
		if strings.HasPrefix(msg, sign) {
			return true
		}
	}
	return false
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

// reason is the error among a message's pairs.
func reason(kv []any) string {
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == "err" || kv[i] == "error" {
			return fmt.Sprint(kv[i+1])
		}
	}
	return "see the log"
}
