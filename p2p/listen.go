package p2p

import (
	"fmt"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// listenForm is the right form of a listen address, for an operator that typed another.
const listenForm = "write it as a multiaddr, like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1"

// CheckListen says whether a host can listen on addresses, as far as their form tells:
// an IP address, TCP or QUIC, a port, and nothing behind them.
func CheckListen(addrs []string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("no listen address: %s", listenForm)
	}
	for _, a := range addrs {
		if err := checkListen(a); err != nil {
			return fmt.Errorf("listen address %q: %w: %s", a, err, listenForm)
		}
	}
	return nil
}

func checkListen(a string) error {
	m, err := ma.NewMultiaddr(a)
	if err != nil {
		return err
	}
	var parts []ma.Component
	ma.ForEach(m, func(c ma.Component) bool {
		parts = append(parts, c)
		return true
	})
	if code := parts[0].Protocol().Code; code != ma.P_IP4 && code != ma.P_IP6 {
		return fmt.Errorf("it begins with no IP address of this machine")
	}
	if len(parts) == 1 {
		return fmt.Errorf("it names no port")
	}
	port, err := strconv.Atoi(parts[1].Value())
	if err != nil || port < 0 || port > 65535 {
		return fmt.Errorf("it names no port")
	}
	switch parts[1].Protocol().Code {
	case ma.P_TCP:
		if len(parts) == 2 {
			return nil
		}
	case ma.P_UDP:
		if len(parts) == 3 && parts[2].Protocol().Code == ma.P_QUIC_V1 {
			return nil
		}
	}
	return fmt.Errorf("a node listens on TCP and on QUIC alone")
}
