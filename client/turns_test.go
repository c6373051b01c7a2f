package client

import (
	"context"
	"testing"
	"testing/synctest"
)

// takes says whether a store gets a place, once all that can happen has happened.
func takes(t *testing.T, w *turn) (leave func(), ok bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan func(), 1)
	go func() {
		if leave, err := w.take(ctx); err == nil {
			got <- leave
		}
		close(got)
	}()
	synctest.Wait()
	select {
	case leave, ok := <-got:
		cancel()
		return leave, ok
	default:
		cancel()
		synctest.Wait()
		return nil, false
	}
}

// Among many stores those have turns that have sent their payments: a block shows them soon.
func TestStoresUploadInTheOrderOfTheirPayments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var stores []*turn
		for range 2 * uploadsAtOnce {
			stores = append(stores, all.store())
		}
		first, second, third := stores[0], stores[1], stores[2]
		leave, ok := takes(t, first)
		if !ok {
			t.Fatal("the first store does not find out whether members take uploads")
		}
		if _, ok := takes(t, second); ok {
			t.Fatal("a second store uploads unpaid beside the first")
		}
		all.took(true)
		leave()
		if _, ok := takes(t, first); ok {
			t.Fatal("a store that has not sent its payment has a place, though it need not wait to pay")
		}
		var order []*turn
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var leaves []func()
		for range uploadsAtOnce {
			leaves = append(leaves, all.enter())
		}
		third.sends()
		second.sends()
		for _, w := range []*turn{first, second, third} {
			go func() {
				if _, err := w.take(ctx); err == nil {
					order = append(order, w) // one place is given back at a time
				}
			}()
		}
		synctest.Wait()
		for _, leave := range leaves {
			leave()
			synctest.Wait()
		}
		if len(order) != 2 || order[0] != third || order[1] != second {
			t.Errorf("%d stores got places, not the two that have sent their payments in that order", len(order))
		}
		for _, w := range stores[uploadsAtOnce:] {
			w.end()
		}
		synctest.Wait()
		if len(order) != 3 {
			t.Error("a store among few has to send its payment first")
		}
	})
}

// Where members take no upload, as many stores find that out at once as upload at once.
func TestStoresFailTogetherWhereMembersTakeNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var stores []*turn
		for range 2 * uploadsAtOnce {
			stores = append(stores, all.store())
		}
		leave, _ := takes(t, stores[0])
		all.took(false)
		leave()
		placed := 0
		for _, w := range stores {
			if _, ok := takes(t, w); ok {
				placed++
			}
		}
		if placed != uploadsAtOnce {
			t.Errorf("%d stores have places, %d can", placed, uploadsAtOnce)
		}
	})
}
