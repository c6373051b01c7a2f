package client

import (
	"errors"
	"runtime"
	"sync"
)

// inParallel runs do for 0..n-1 on as many goroutines as there are processors.
func inParallel(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = do(i)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
