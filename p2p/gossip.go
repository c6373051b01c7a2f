package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// gossipProtocol is gossipsub 1.2, and no older one: a peer that claims to speak those
// is sent every message by all others, and cannot say what it has already.
const gossipProtocol = pubsub.GossipSubID_v12

// MaxMessage bounds the bytes of a gossiped message.
const MaxMessage = 256 << 10

const (
	maxRPC      = MaxMessage + 4<<10 // bytes of a gossipsub frame: a message and its envelope
	maxTopics   = 16                 // topics in a frame of a peer; more are no mistake
	maxOutbound = 4096               // frames that wait for one peer: a round's messages and as many of control
	maxUnwanted = 16                 // IDs in one "I don't want": there is one for each message
	judgeLimit  = 5 * time.Second    // for a handler's verdict
	minJudges   = 4                  // handlers that run at once on a machine of few cores
)

// Validation is what a handler says of a message.
type Validation uint8

const (
	Accept Validation = iota // it goes on to other peers
	Ignore                   // it goes no further, no peer is blamed, and the same bytes may come again
	Reject                   // it is provably false: it goes no further, and the peer that sent it is blamed
)

// Handler judges a message of a topic. Several run at the same time. The context ends
// after some seconds, and a handler must end then: others wait for its place. The bytes
// are the handler's to keep and not to change. from is the peer that passed the message
// on, not its maker.
type Handler func(ctx context.Context, from peer.ID, msg []byte) Validation

// Gossip spreads messages among all peers that are connected, directly or not, through
// gossipsub: each passes a message on to about six peers, its mesh.
//
// A message's ID is the hash of its topic and its bytes, and it carries no signature of
// pubsub's: its maker is written in it, if anywhere.
type Gossip struct {
	host     *Host
	handlers map[string]Handler // of each topic; fixed once Run began
	ids      *messageIDs
	intake   *intake
	mesh     *mesh
	extra    []pubsub.Option // of tests

	up, down chan struct{} // closed when Run has joined the topics; and when it ends
	pubsub   *pubsub.PubSub
	topics   map[string]*pubsub.Topic // with pubsub, set before up is closed

	mu         sync.Mutex // guards closing
	closing    bool
	running    sync.WaitGroup // handlers; added to only while not closing
	publishing sync.WaitGroup // calls of Publish; added to only while not closing
}

// ErrNotRunning is returned for a message that was to be published after Run ended.
var ErrNotRunning = errors.New("gossip is not running any more")

// NewGossip prepares gossip in these topics, and never in another one. A host has one.
func NewGossip(h *Host, topics ...string) (*Gossip, error) {
	if len(topics) == 0 || len(topics) > maxTopics {
		return nil, fmt.Errorf("gossip in %d topics: name 1 to %d", len(topics), maxTopics)
	}
	g := &Gossip{host: h, handlers: map[string]Handler{}, topics: map[string]*pubsub.Topic{}, up: make(chan struct{}), down: make(chan struct{})}
	for _, t := range topics {
		if _, twice := g.handlers[t]; twice || t == "" {
			return nil, fmt.Errorf("gossip topic %q is empty or named twice", t)
		}
		g.handlers[t] = nil
	}
	g.ids = newMessageIDs()
	g.intake = newIntake(g)
	g.mesh = newMesh()
	return g, nil
}

// ProofTopic is where the proofs of a chain's shards are gossiped.
func ProofTopic(chain string) string { return "/walrus/" + chain + "/proof/1" }

// Handle sets the handler that judges the messages of a topic: one for each, before Run.
// The host's own messages are not judged: the publisher has checked them.
func (g *Gossip) Handle(topic string, judge Handler) {
	if old, known := g.handlers[topic]; !known || old != nil {
		panic(fmt.Sprintf("gossip topic %q is unknown or handled already", topic))
	}
	g.handlers[topic] = judge
}

// Run takes part until ctx ends, and returns when no handler runs any more. It runs once.
func (g *Gossip) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer g.stop(cancel)
	for t, judge := range g.handlers {
		if judge == nil {
			return fmt.Errorf("gossip topic %q has no handler", t)
		}
	}
	var err error
	if g.pubsub, err = pubsub.NewGossipSub(inner, g.host.libp2p, g.options()...); err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	for t, judge := range g.handlers {
		if err := g.join(t, judge); err != nil {
			return fmt.Errorf("join gossip topic %q: %w", t, err)
		}
	}
	close(g.up)
	<-ctx.Done()
	return nil
}

// join takes part in a topic. Messages are for its handler alone, so that nothing is
// kept for a reader that may be slow.
func (g *Gossip) join(name string, judge Handler) error {
	// Inline: the messages that wait stand in one bounded queue. What waits behind a
	// validator of its own is marked as seen, and lost where that has no room.
	err := g.pubsub.RegisterTopicValidator(name, g.validator(judge), pubsub.WithValidatorInline(true), pubsub.WithValidatorTimeout(judgeLimit))
	if err != nil {
		return err
	}
	topic, err := g.pubsub.Join(name)
	if err != nil {
		return err
	}
	if _, err := topic.Relay(); err != nil {
		return err
	}
	g.topics[name] = topic
	return nil
}

// stop ends what pubsub left open and waits for the handlers.
func (g *Gossip) stop(cancel func()) {
	close(g.down)
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	g.publishing.Wait() // before pubsub ends: it would leave publishers waiting for ever
	g.host.libp2p.RemoveStreamHandler(gossipProtocol)
	cancel()
	for _, c := range g.host.libp2p.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == gossipProtocol {
				s.Reset()
			}
		}
	}
	g.running.Wait()
}

func (g *Gossip) options() []pubsub.Option {
	params := pubsub.DefaultGossipSubParams()
	params.MaxIDontWantLength = maxUnwanted
	params.MaxIDontWantMessages = maxOutbound
	params.IWantFollowupTime = iwantPatience
	topics := make([]string, 0, len(g.handlers))
	for t := range g.handlers {
		topics = append(topics, t)
	}
	quiet := slog.New(slog.DiscardHandler) // strangers write these lines; what matters is logged by Blame
	return append([]pubsub.Option{
		pubsub.WithGossipSubProtocols([]protocol.ID{gossipProtocol}, pubsub.GossipSubDefaultFeatures),
		pubsub.WithGossipSubParams(params),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(g.intake.id),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithMaxControlMessageSize(maxRPC),
		pubsub.WithPeerOutboundQueueSize(maxOutbound),
		pubsub.WithValidateQueueSize(maxWaitingMessages),
		pubsub.WithValidateWorkers(max(minJudges, runtime.NumCPU())),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topics...), maxTopics)),
		pubsub.WithAppSpecificRpcInspector(g.intake.inspect),
		pubsub.WithRawTracer(g.intake),
		pubsub.WithPeerScore(g.scoreParams(topics), scoreThresholds()),
		pubsub.WithLogger(quiet),
		pubsub.WithRPCLogger(quiet),
	}, g.extra...)
}

// begin counts a call, unless Run is ending.
func (g *Gossip) begin(calls *sync.WaitGroup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		calls.Add(1)
	}
	return !g.closing
}

// validator is a handler in pubsub's words.
func (g *Gossip) validator(judge Handler) pubsub.ValidatorEx {
	return func(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if from == g.host.ID() {
			return pubsub.ValidationAccept
		}
		if !g.begin(&g.running) {
			return pubsub.ValidationIgnore
		}
		defer g.running.Done()
		verdict := Reject // of a message that makes the handler panic
		_ = Guard(g.host.log, "judge a message in "+m.GetTopic(), func() error {
			verdict = judge(ctx, from, m.GetData())
			return nil
		})
		switch verdict {
		case Accept:
			m.ID = g.ids.settle(m.GetTopic(), m.GetData())
			return pubsub.ValidationAccept
		case Reject:
			g.blame(from, fmt.Errorf("a gossiped message in %s was rejected", m.GetTopic()))
			return pubsub.ValidationReject
		default:
			g.ids.ignored(m.GetTopic(), m.GetData())
			return pubsub.ValidationIgnore
		}
	}
}

// blame tells the host of a fault: one for as long as the peer is avoided, since many
// messages are under way when the first is found out.
func (g *Gossip) blame(p peer.ID, what error) {
	if !g.host.Avoided(p) {
		g.host.Blame(p, what)
	}
}

// Publish spreads messages, each to one peer before any goes to a second one. It waits
// for Run to begin, and some seconds for a peer to send to. A message that this host
// ignored is spread as well if it is published: that is how one that came too early is
// passed on, once its time has come. One that was accepted or published in the last two
// minutes is not spread again.
func (g *Gossip) Publish(ctx context.Context, topic string, msgs [][]byte) error {
	if _, known := g.handlers[topic]; !known {
		return fmt.Errorf("publish in gossip topic %q: it was not named when gossip began", topic)
	}
	for i, m := range msgs {
		if len(m) == 0 || len(m) > MaxMessage {
			return fmt.Errorf("publish message %d in %s: it has %d bytes: 1 to %d", i, topic, len(m), MaxMessage)
		}
	}
	select {
	case <-g.up:
	case <-g.down:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := g.mesh.wait(ctx, topic); err != nil {
		return err
	}
	if !g.begin(&g.publishing) {
		return ErrNotRunning
	}
	defer g.publishing.Done()
	var batch pubsub.MessageBatch
	for _, m := range msgs {
		g.ids.settle(topic, m)
		if err := g.topics[topic].AddToBatch(ctx, &batch, m); err != nil {
			return fmt.Errorf("publish in %s: %w", topic, err)
		}
	}
	if err := g.pubsub.PublishBatch(&batch); err != nil {
		return fmt.Errorf("publish in %s: %w", topic, err)
	}
	return nil
}

// Peers is the connected peers that take part in a topic.
func (g *Gossip) Peers(topic string) []peer.ID {
	select {
	case <-g.down:
		return nil
	case <-g.up:
		return g.topics[topic].ListPeers()
	default:
		return nil
	}
}
