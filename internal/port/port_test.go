package port

import (
	"net"
	"strconv"
	"testing"
)

func TestAPortIsFreeAndFoundOnce(t *testing.T) {
	r := Range{4_000, 4_040} // no other package looks here
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

// Tests of several packages run at the same time, each in a process of its own.
func TestTwoProcessesFindDifferentPorts(t *testing.T) {
	r := Range{4_040, 4_040 + 8*partSize}
	var one, other process
	seen := map[int]bool{}
	for range partSize/10 + 1 { // more than a part has
		for _, p := range []*process{&one, &other} {
			ports, err := p.free(r, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, port := range ports {
				if port < r.First || port >= r.End || seen[port] {
					t.Errorf("port %d is found twice, or not of the range", port)
				}
				seen[port] = true
			}
		}
	}
}
