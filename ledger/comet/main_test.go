package comet

import (
	"os"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// Validators wait for the next block for most of their time: several clusters fit beside
// each other. Tests that compare rates of blocks are not parallel, and run alone.
func TestMain(m *testing.M) {
	testlevel.Beside(4)
	os.Exit(m.Run())
}
