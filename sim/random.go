package sim

import (
	"math"
	"math/rand/v2"

	"github.com/walrus-network/walrus/challenge"
)

// Stream returns one of a seed's independent streams of random numbers, by its purpose
// and the number of a node, zone or epoch. A change of one stream leaves all others.
func Stream(seed uint64, purpose, number int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(purpose)<<32|uint64(number)))
}

// Detection is the probability that a shard fails a round after a part p of its fragments
// was dropped: 1 - (1-p)^draws.
func Detection(p float64) float64 {
	return 1 - math.Pow(1-p, float64(challenge.Default().Draws()))
}
