package port

import (
	"net"
	"strconv"
	"testing"
)

func TestAPortIsFreeAndFoundOnce(t *testing.T) {
	r := Range{33_000, 33_040} // no other package looks here
	seen := map[int]bool{}
	for range 4 {
		ports, err := r.Free(5)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ports {
			if p < r.First || p >= r.End || seen[p] {
				t.Errorf("port %d is found twice, or not of the range", p)
			}
			seen[p] = true
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if err != nil {
				t.Errorf("port %d is not free: %v", p, err)
				continue
			}
			defer l.Close()
		}
	}
	if ports, err := r.Free(100); err == nil {
		t.Errorf("%d ports of a range of 40", len(ports))
	}
}
