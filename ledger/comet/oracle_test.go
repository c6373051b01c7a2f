package comet

import (
	"sync"
	"testing"
)

// Questions about blocks that are still to come leave room for others: those for which there
// is none are answered at once.
func TestFewQuestionsWaitForABlock(t *testing.T) {
	w, block := make(waits, maxAwaiting), make(chan struct{})
	var all sync.WaitGroup
	for range maxAwaiting {
		began := make(chan struct{})
		all.Go(func() {
			w.wait(func() {
				close(began)
				<-block
			})
		})
		<-began
	}
	w.wait(func() { t.Error("one question more waits") })
	close(block)
	all.Wait()
	waited := false
	if w.wait(func() { waited = true }); !waited {
		t.Error("no question waits any more")
	}
}
