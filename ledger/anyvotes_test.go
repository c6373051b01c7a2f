package ledger

import (
	"os"
	"strconv"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// governed is a block in which all nodes vote for the same, whatever it is.
func (x *anything) governed() [][]byte {
	var b Vote
	rules, err := x.view().Rules()
	ok(x.world, rules, err)
	for tries := 0; tries < 40 && len(b.Changes) < 1+x.r.Intn(maxChanges); tries++ {
		v := votables[x.r.Intn(len(votables))]
		c := ParamChange{Name: v.Name, Value: x.number()}
		if x.r.Intn(2) == 0 {
			c.Value = uint64(x.r.Intn(200))
		}
		one := Vote{Changes: append(append([]ParamChange(nil), b.Changes...), c)}
		if v.Name == "fees.base" || v.Name == "fees.per_byte" {
			continue
		}
		if one.check(rules.Params) == nil {
			b = one
		}
	}
	b.Price, b.WritePrice = token.Amount(x.number()), token.Amount(x.number())
	var txs [][]byte
	u := x.users[0]
	for i, s := range x.secrets {
		b.Node = x.idOf(s)
		txs = append(txs, SignUntil(u, x.l.ChainID(), x.account(u).Nonce+uint64(i), fee, 0, b))
	}
	x.waiting[u.Address()] = len(x.secrets)
	return txs
}

func TestAnyVotesAndDoubleSignsEndInAValueOrARefusal(t *testing.T) {
	most, seed := testlevel.Repeat(500, 2000, 2000), int64(1)
	if s := os.Getenv("WALRUS_TRANSACTIONS"); s != "" {
		most, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("WALRUS_SEED"); s != "" {
		seed, _ = strconv.ParseInt(s, 10, 64)
	}
	changed := map[string]int{}
	for left := most; left > 0; seed++ {
		t.Logf("seed %d", seed)
		x := newAnything(t, seed)
		n := min(left, 5000)
		left -= n
		for range n / 6 {
			x.waiting = map[token.Address]int{}
			switch x.r.Intn(12) {
			case 0:
				x.raw(x.governed(), nil)
			case 1:
				var found []DoubleSign
				if x.r.Intn(10) == 0 {
					found = append(found, DoubleSign{Node: x.nodeID(), Height: unit.Height(x.number()), Power: int64(x.number())})
				}
				x.raw(nil, found)
			case 2, 3: // nothing: time goes by
				for range x.r.Intn(60) {
					x.raw(nil, nil)
				}
			default:
				x.block(x.r.Intn(14))
			}
			for _, s := range []*map[int]bool{&x.silent, &x.deaf, &x.unclosed, &x.lies, &x.wrong, &x.leftOut} {
				if *s == nil {
					*s = map[int]bool{}
				}
				if x.r.Intn(30) == 0 {
					(*s)[x.r.Intn(5)] = x.r.Intn(2) == 0
				}
			}
			rules, err := x.view().Rules()
			ok(x.world, rules, err)
			for _, v := range votables {
				if v.Of(rules.Params) != v.Of(x.g.Params) {
					changed[v.Name]++
				}
			}
		}
		x.balanced()
	}
	t.Log(len(changed), changed)
}

// raw runs a block on both machines.
func (x *anything) raw(txs [][]byte, found []DoubleSign) {
	x.t.Helper()
	x.doubles = found
	r := x.step(txs...)
	x.doubles = nil
	for i, one := range r.Txs {
		if one.Code == ErrDefect.Code {
			_, body, _ := DecodeTx(txs[i])
			x.t.Fatalf("%T %+v: %s", body, body, one.Defect)
		}
	}
	b := x.blocks[len(x.blocks)-1]
	got, err := x.twin.Execute(b)
	if err == nil {
		err = x.twin.Commit()
	}
	if err != nil || got.AppHash != r.AppHash {
		x.t.Fatalf("height %d: %v", b.Height, err)
	}
	x.blocks, x.hashes = nil, nil
	if x.r.Intn(40) == 0 {
		x.reopen()
		x.balanced()
	}
}
