package fetch

import (
	"errors"
	"runtime"
	"sync"
)

// inParallel runs do(0) to do(n-1), at most GOMAXPROCS at a time, and joins the errors.
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
