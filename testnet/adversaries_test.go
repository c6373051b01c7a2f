package testnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/testnet/adversary"
	"github.com/walrus-network/walrus/unit"
)

// arena is a network in which some nodes are adversaries, with blobs to be asked for.
type arena struct {
	*running
	adversaries map[int]adversary.Adversary
}

// arenaBlobs is how many blobs an arena stores.
const arenaBlobs = 24

func startArena(ctx context.Context, t *testing.T, o Options, adversaries map[int]adversary.Adversary) *arena {
	t.Helper()
	o.Adversaries = adversaries
	shorter := o.Difference
	o.Difference = func(p *ledger.Params) {
		shorter(p)
		p.Challenge.FewBlobs = 1 // a round asks for many of the few blobs
	}
	a := &arena{startNet(ctx, t, o), adversaries}
	for i := range arenaBlobs {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		data := make([]byte, 20_000+i)
		rand.Read(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.c.Store(ctx, a.Wallet, source, client.StoreOptions{Epochs: 10}); err != nil {
			t.Fatalf("store blob %d: %v", i, err)
		}
	}
	return a
}

// statements waits for the end of an epoch, and is what became of all nodes in it.
func (a *arena) statements(ctx context.Context, epoch unit.Epoch) (out []ledger.Statement) {
	a.t.Helper()
	a.until(ctx, fmt.Sprintf("epoch %d is over", epoch), func() error {
		v, err := a.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		out = nil
		for i, n := range a.Network.Genesis.Nodes {
			s, known, err := v.Statement(epoch, n.ID)
			if err != nil {
				return err
			}
			if !known {
				return fmt.Errorf("node %d has no statement", i)
			}
			out = append(out, s)
		}
		return nil
	})
	for i, s := range out {
		a.t.Logf("epoch %d, node %d %s: %+v, rung %d, cut %v, reward %v, deferred %v, lies %d", epoch, i, a.adversaries[i].Kind, s.Credit, s.Verdict.Rung, s.Cut, s.Reward, s.Deferred, s.Lies)
	}
	return out
}

// passed says that a node has passed all rounds that were judged. A round is void where this
// machine is so busy that blocks come too slowly for it.
func passed(c staking.Credit) bool { return c.Judged > 0 && c.Passed == c.Judged }

// untouched checks that no honest node was made to suffer.
func (a *arena) untouched(list []ledger.Statement) {
	a.t.Helper()
	for i, s := range list {
		if _, bad := a.adversaries[i]; bad {
			continue
		}
		if s.Credit.Failed > 0 || !passed(s.Credit) || s.Verdict.Rung > 0 || s.Lies+s.FalseVotes > 0 || s.Cut.Total() > 0 || s.Jailed || s.Deferred > 0 {
			a.t.Errorf("honest node %d: %+v", i, s)
		}
	}
}

// fates says of each kind of adversary what is to become of it in an epoch, beside an
// honest node in the same one.
var fates = map[string]func(a *arena, i int, s, honest ledger.Statement) error{
	"silent": func(_ *arena, _ int, s, _ ledger.Statement) error {
		return holds(s.Credit.Passed == 0 && s.Credit.Failed == s.Credit.Judged, "fails every round",
			s.Reward == 0, "is not paid", s.Verdict.Rung == 4 && s.Verdict.Move, "loses its shards", s.Cut.Total() > 0, "is slashed")
	},
	"forger": func(a *arena, i int, s, honest ledger.Statement) error {
		return holds(s.Lies > 0 && len(s.Evidence) > 0 && s.Evidence[0].Kind == ledger.Lie, "is shown to have lied", (s.Bounty > 0) == (s.Verdict.Rung == 7), "pays who showed it where that is the worst it did",
			s.Credit.Failed > 0 && s.Reward < honest.Reward, "is not paid for it", s.Cut.Total() > 0, "is slashed", a.avoided(i) > 0, "is avoided")
	},
	"withholder": func(a *arena, i int, s, honest ledger.Statement) error {
		c, h := s.Credit, honest.Credit
		share, err := honest.Reward.MulDiv(c.Passed, h.Passed)
		if 2*c.Passed < c.Assigned {
			share = 0
		}
		return errors.Join(err, a.judgedByVotes(i), holds(s.Lies+s.FalseVotes == 0, "has not lied",
			c.Assigned == h.Assigned && c.Judged == h.Judged && c.Away == 0, "is judged as the others are",
			s.Reward == share || share > 0 && s.Reward == share+1, "is paid in proportion to what it passed, or nothing for less than half")) // both were rounded down
	},
	"lazy": func(_ *arena, _ int, s, honest ledger.Statement) error {
		return holds(s.Credit.Failed > 0 && s.Credit.Away == 0, "fails", s.Reward < honest.Reward, "is paid less",
			s.Verdict.Rung >= 2 && s.Cut.Total() > 0, "is slashed", s.Verdict.Defer && s.Due[0]+s.Due[1] == s.Deferred+s.Lost, "what was held back is not released")
	},
	"replayer": func(a *arena, i int, s, honest ledger.Statement) error {
		return holds(s.Credit.Failed > 0 && s.Credit.Passed <= 1, "passes with no old proof", s.Lies == 0, "has signed nothing false",
			s.Reward < honest.Reward && s.Cut.Total() > 0, "is paid less, and slashed", a.avoided(i) > 0, "is avoided")
	},
	"accuser": func(_ *arena, _ int, s, honest ledger.Statement) error {
		return holds(passed(s.Credit) && s.Reward == honest.Reward, "gains and loses nothing")
	},
	"grinder": func(_ *arena, _ int, s, honest ledger.Statement) error {
		return holds(s.Credit.Failed > 0, "is asked for what it dropped", s.Reward < honest.Reward, "is paid less", s.Cut.Total() > 0, "is slashed")
	},
	"truncator": func(_ *arena, _ int, s, honest ledger.Statement) error {
		return holds(s.Credit.Failed > 0, "fails", s.Reward < honest.Reward, "is paid less", s.Cut.Total() > 0, "is slashed")
	},
	"outsourcer": func(_ *arena, _ int, s, honest ledger.Statement) error {
		return holds(s.Credit.Failed > 0, "gets nothing in time", s.Reward < honest.Reward, "is paid less", s.Cut.Total() > 0, "is slashed")
	},
	"rubberstamp": func(a *arena, i int, s, honest ledger.Statement) error {
		return holds(passed(s.Credit) && s.Reward == honest.Reward, "gains nothing",
			a.inVain(i) > 0, "has voted for what did not pass")
	},
	"flooder": func(a *arena, i int, s, honest ledger.Statement) error {
		return holds(a.avoided(i) > 0, "is avoided", s.Reward <= honest.Reward, "gains nothing")
	},
}

// kept goes over the rounds that are over and that the ledger still knows.
func (a *arena) kept(see func(r ledger.RoundState, c ledger.Committee)) {
	a.t.Helper()
	v, err := a.c.Remote.View(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	r, known, err := v.Round()
	seen := 0
	for ordinal := r.Ordinal; err == nil && known; r, known, err = v.RoundOf(ordinal) {
		if r.Drawn && r.Over {
			c, err := v.Committee(r.Round.Epoch)
			if err != nil {
				a.t.Fatal(err)
			}
			see(r, c)
			seen++
		}
		if ordinal == 0 {
			break
		}
		ordinal--
	}
	if err != nil || seen == 0 {
		a.t.Fatalf("%d rounds are kept: %v", seen, err)
	}
}

// yes says whether a node, by its number in the committee, voted for a shard.
func yes(r ledger.RoundState, node int, s blob.Shard) bool {
	for _, v := range r.Votes {
		if int(v.Node) == node {
			return v.Yes.Has(s)
		}
	}
	return false
}

// judgedByVotes checks that the shards of node i passed where more than a third of the
// others' power heard their proofs, and nowhere else.
func (a *arena) judgedByVotes(i int) (err error) {
	a.t.Helper()
	a.kept(func(r ledger.RoundState, c ledger.Committee) {
		id := a.Network.Genesis.Nodes[i].ID
		for _, s := range c.Duty(id) {
			heard, all := 0, 0
			for k, m := range c.Nodes {
				if m.ID == id {
					continue
				}
				if all += m.Power; yes(r, k, s) {
					heard += m.Power
				}
			}
			a.t.Logf("round %d: %d of %d heard node %d's proof of shard %d: passed %v", r.Ordinal, heard, all, i, s, r.Proven(s))
			if r.Proven(s) != (3*heard > all) {
				err = errors.Join(err, fmt.Errorf("round %d, shard %d: %d of %d heard its proof: passed %v", r.Ordinal, s, heard, all, r.Proven(s)))
			}
		}
	})
	return err
}

// inVain counts the shards of other adversaries that node i has voted for and that did
// not pass.
func (a *arena) inVain(i int) (n int) {
	a.t.Helper()
	a.kept(func(r ledger.RoundState, c ledger.Committee) {
		node, _ := c.Index(a.Network.Genesis.Nodes[i].ID)
		for j := range a.adversaries {
			for _, s := range c.Duty(a.Network.Genesis.Nodes[j].ID) {
				if j != i && !r.Proven(s) && yes(r, node, s) {
					n++
				}
			}
		}
	})
	return n
}

// holds lists what is not so, of pairs of a condition and its words.
func holds(pairs ...any) error {
	var missing []string
	for i := 0; i < len(pairs); i += 2 {
		if !pairs[i].(bool) {
			missing = append(missing, pairs[i+1].(string))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not so: %s", strings.Join(missing, "; "))
	}
	return nil
}

// avoided counts the honest nodes that have found wrong bytes of a node's.
func (a *arena) avoided(i int) (n int) {
	a.t.Helper()
	id, err := p2p.PeerOf(a.Network.Genesis.Nodes[i].ID[:])
	if err != nil {
		a.t.Fatal(err)
	}
	for j := range a.Nodes {
		log, err := os.ReadFile(a.logFile(j))
		if err != nil {
			a.t.Fatal(err)
		}
		if _, bad := a.adversaries[j]; !bad && bytes.Contains(log, []byte(`msg="peer sent wrong bytes" peer=`+id.String())) {
			n++
		}
	}
	return n
}

// meet starts a network with adversaries and checks what became of each of them, and of
// the honest nodes, at the end of so many epochs.
func meet(t *testing.T, o Options, epochs uint64, words ...string) *arena {
	t.Helper()
	t.Parallel() // they wait for blocks, most of the time
	all, err := adversary.ParseList(words, o.Nodes)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 2*time.Minute+time.Duration(epochs)*3*time.Minute)
	a := startArena(ctx, t, o, all)
	for epoch := range unit.Epoch(epochs) {
		list := a.statements(ctx, epoch)
		a.untouched(list)
		for i, b := range all {
			if err := fates[b.Kind](a, i, list[i], list[0]); err != nil {
				t.Errorf("epoch %d, node %d, %s: %v: %+v", epoch, i, b, err, list[i])
			}
		}
	}
	v, err := a.c.Remote.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if audit, err := v.TrialBalance(); err != nil || !audit.Balanced() {
		t.Errorf("%+v does not add up: %v", audit, err)
	}
	return a
}

// One adversary of five nodes is found out and slashed while the others are paid.
func TestAForgerIsSlashed(t *testing.T) {
	o := challenged(5)
	o.Block = 200 * time.Millisecond
	meet(t, o, 1, "forger@4")
}

// A third of the shards may go unproven before a round is void, and less than a third of
// the power may lie in its votes: so the adversaries share three networks of ten nodes.

func TestSilenceForgeryAndWithholdingDoNotPay(t *testing.T) {
	testlevel.Whole(t, "runs ten nodes for an epoch")
	meet(t, challenged(10), 1, "silent@7", "forger@8", "withholder@9")
}

func TestLazinessReplaysFloodsAndAccusationsDoNotPay(t *testing.T) {
	testlevel.Whole(t, "runs ten nodes for two epochs")
	meet(t, challenged(10), 2, "accuser@4,5,6", "lazy=0.3@7", "replayer@8", "flooder@9")
}

func TestTruncatingOutsourcingGrindingAndRubberstampsDoNotPay(t *testing.T) {
	testlevel.Whole(t, "runs ten nodes for an epoch")
	meet(t, challenged(10), 1, "rubberstamp@5,6", "truncator@7", "outsourcer@8", "grinder=0.3@9")
}
