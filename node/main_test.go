package node

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/internal/leak"
)

func TestMain(m *testing.M) {
	leak.Main(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}
