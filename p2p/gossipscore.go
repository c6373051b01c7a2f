package p2p

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// How gossip judges peers. Three rejected messages shut a peer out: 3 x 3 x 10 and the
// 20 of being avoided are beyond the graylist. What honest peers do under load stays
// far from it.
const (
	rejectWeight  = -10 // times the square of the rejected messages that are remembered
	avoidedScore  = -20 // of a peer that sent a wrong byte in any protocol and is avoided for it
	earlyWeight   = 0.1 // for each message that a peer was the first to bring
	maxEarly      = 50  // of those: what a peer earns must not outweigh one rejected message
	patternWeight = -0.1
	patternFree   = 10 // broken promises and hasty grafts that cost nothing: a loaded machine is late too

	gossipThreshold   = -30  // below: neither told nor believed what there is to fetch
	publishThreshold  = -50  // below: gets none of our own messages
	graylistThreshold = -100 // below: nothing of it is read
	graftThreshold    = 1    // median of a mesh below: try better peers (gossipsub's own advice)

	rememberRejects = time.Hour
	rememberRest    = 10 * time.Minute
	retainScores    = 10 * time.Minute // of a peer that hung up: names cost nothing, so this is bounded; Blame remembers longer
	iwantPatience   = 10 * time.Second // for a message that was asked for: a burst's tail takes some seconds
)

func scoreThresholds() *pubsub.PeerScoreThresholds {
	return &pubsub.PeerScoreThresholds{GossipThreshold: gossipThreshold, PublishThreshold: publishThreshold,
		GraylistThreshold: graylistThreshold, OpportunisticGraftThreshold: graftThreshold}
}

// scoreParams says what counts. Two things of gossipsub's do not. A peer that delivers
// little in the mesh is not at fault: messages come in one burst a round, and a small
// network has few makers. Nor are several peers behind one address: nodes share
// machines and routers, and in tests all of them do.
func (g *Gossip) scoreParams(topics []string) *pubsub.PeerScoreParams {
	p := &pubsub.PeerScoreParams{
		SkipAtomicValidation:      true,
		Topics:                    map[string]*pubsub.TopicScoreParams{},
		AppSpecificScore:          g.reputation,
		AppSpecificWeight:         1,
		BehaviourPenaltyWeight:    patternWeight,
		BehaviourPenaltyThreshold: patternFree,
		BehaviourPenaltyDecay:     pubsub.ScoreParameterDecay(rememberRest),
		DecayInterval:             pubsub.DefaultDecayInterval,
		DecayToZero:               pubsub.DefaultDecayToZero,
		RetainScore:               retainScores,
	}
	for _, t := range topics {
		p.Topics[t] = &pubsub.TopicScoreParams{
			SkipAtomicValidation:           true,
			TopicWeight:                    1,
			TimeInMeshQuantum:              time.Second, // counts for nothing, but pubsub divides by it
			FirstMessageDeliveriesWeight:   earlyWeight,
			FirstMessageDeliveriesDecay:    pubsub.ScoreParameterDecay(rememberRest),
			FirstMessageDeliveriesCap:      maxEarly,
			InvalidMessageDeliveriesWeight: rejectWeight,
			InvalidMessageDeliveriesDecay:  pubsub.ScoreParameterDecay(rememberRejects),
		}
	}
	return p
}

// reputation is what the other protocols know of a peer.
func (g *Gossip) reputation(p peer.ID) float64 {
	if g.host.Avoided(p) {
		return avoidedScore
	}
	return 0
}
