package p2p

import (
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/x/rate"
)

// newConnRates bounds how fast new connections may come from one network of addresses; those
// of this machine are not bounded. libp2p's own bound, 16 and then one in five seconds, shuts
// out a household behind one address, and a script that runs a command each second. What a
// connection costs is bounded by places, which give way.
func newConnRates() *rate.Limiter {
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")}},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 8, Burst: 2 * maxIPv4Conns}}},
			IPv6SubnetLimits: []rate.SubnetLimit{
				{PrefixLength: 56, Limit: rate.Limit{RPS: 16, Burst: 2 * maxIPv6Net}},
				{PrefixLength: 48, Limit: rate.Limit{RPS: 32, Burst: 2 * maxIPv6Site}},
			},
			GracePeriod: time.Minute,
		},
	}
}
