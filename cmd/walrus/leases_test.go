package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func (d *developer) leases() {
	path, _ := d.file("leased", 5000, 3)
	one := d.store(path, "--epochs", "2")
	longer := okJSON[extendResult](d.T, "extend", one.ID.String(), "--epochs", "3", "--dry-run")
	out := okJSON[extendResult](d.T, "extend", one.ID.String(), "--epochs", "3")
	if out.EndEpoch != one.EndEpoch+3 || out.Price == 0 || !longer.DryRun || out.Height == 0 {
		d.Errorf("extended: %+v, planned %+v", out, longer)
	}
	longer.DryRun, longer.Height, longer.About = out.DryRun, out.Height, out.About
	if !reflect.DeepEqual(longer, out) {
		d.Errorf("extended: %+v, planned %+v", out, longer)
	}
	if m := okJSON[renewResult](d.T, "renew", one.ID.String(), "2WAL", "--dry-run"); m.Cost != 2*token.WAL || !m.DryRun || m.RenewsUntil <= m.EndEpoch {
		d.Errorf("a renewal was planned: %+v", m)
	}
	told := walrus(d.T, "renew", one.ID.String(), "1WAL")
	for _, w := range []string{"costs", "balance", "acts", "1WAL"} {
		if !strings.Contains(told.err, w) {
			d.Errorf("renew says %q before it signs, without %q", told.err, w)
		}
	}
	if st := d.certified(one.ID); st.EndEpoch != one.EndEpoch+3 {
		d.Errorf("it ends in epoch %d", st.EndEpoch)
	}
	refused(d.T, exitFail, []string{"at most"}, "extend", one.ID.String(), "--epochs", "104")
	lasting, _ := d.file("lasting", 50, 4)
	two := d.store(lasting, "--permanent")
	refused(d.T, exitFail, []string{"permanent"}, "delete", two.ID.String())
	before := *okJSON[walletShown](d.T, "wallet", "show").Balance
	back := okJSON[deleteResults](d.T, "delete", one.ID.String(), "--dry-run").Deleted[0]
	gone := okJSON[deleteResults](d.T, "delete", one.ID.String()).Deleted[0]
	back.DryRun, back.Height, back.About = gone.DryRun, gone.Height, gone.About
	if back.Gain != gone.Refund || !reflect.DeepEqual(back, gone) {
		d.Errorf("gone: %+v, planned %+v", gone, back)
	}
	after := *okJSON[walletShown](d.T, "wallet", "show").Balance
	if after > before+gone.Refund || after+token.WAL/1000 < before+gone.Refund || gone.Refund == 0 {
		d.Errorf("%s were to come back, the balance went from %s to %s", gone.Refund, before, after)
	}
	refused(d.T, exitMissing, []string{"has ended", "deleted"}, "status", one.ID.String())
	refused(d.T, exitMissing, []string{"has ended"}, "read", one.ID.String(), "-o", filepath.Join(d.dir, "none"))
	refused(d.T, exitMissing, nil, "delete", one.ID.String())
}

func (d *developer) renewals() {
	path, _ := d.file("renewing", 5000, 12)
	plan := okJSON[storeResult](d.T, "store", "--dry-run", path, "--renew", "1WAL", "--epochs", "1").Blobs[0].DryRun
	before := *okJSON[walletShown](d.T, "wallet", "show").Balance
	got := walrus(d.T, "store", path, "--renew", "1WAL", "--epochs", "1")
	if got.code != exitOK || !strings.Contains(got.err, "costs "+plan.Price.String()+" for 1 epochs, "+plan.Write.String()+" for writing, an allowance of 1WAL") {
		d.Fatalf("store --renew: exit %d: %s", got.code, got.err)
	}
	after := *okJSON[walletShown](d.T, "wallet", "show").Balance
	if paid := plan.Price + plan.Write + token.WAL; before-after < paid || before-after > paid+plan.MostFee {
		d.Errorf("the balance went from %s to %s, planned %+v", before, after, plan)
	}
	st := d.certified(plan.Blob)
	r := st.Leases[0].Renewal
	if want := unit.Epoch(1 + token.WAL/plan.Price); r == nil || r.Until != want || st.RenewsUntil != want || plan.RenewsUntil != want || r.Highest != plan.Highest || st.Warning != "" {
		d.Errorf("status: %+v, renewal %+v; planned %+v", st, r, plan)
	}
	id := plan.Blob.String()
	if out := ok(d.T, "status", id); !strings.Contains(out, fmt.Sprintf("renews itself until about epoch %d at today's price", r.Until)) {
		d.Errorf("status: %s", out)
	}
	if out := ok(d.T, "list"); !strings.Contains(out, fmt.Sprintf("  %d\n", r.Until)) {
		d.Errorf("list: %s", out)
	}
	refused(d.T, exitFail, []string{"does not pay for an epoch", plan.Price.String()}, "renew", id, "5FROST")
	dear := okJSON[renewResult](d.T, "renew", id, "2WAL", "--highest", "1FROST")
	if dear.Back < token.WAL-plan.Price || dear.RenewsUntil != dear.EndEpoch || dear.Highest != 1 {
		d.Errorf("renew: %+v", dear)
	}
	if out := ok(d.T, "status", id); !strings.Contains(out, "does not renew itself at today's price") || !strings.Contains(out, "ends in epoch") {
		d.Errorf("status: %s", out)
	}
	if again := d.store(path, "--renew", "3WAL"); !again.Already || again.Allowance != 0 {
		d.Errorf("a store replaced a renewal that is there: %+v", again)
	}
	if out := ok(d.T, "renew", id, "--stop"); !strings.Contains(out, "2WAL came back") {
		d.Errorf("renew --stop: %s", out)
	}
	refused(d.T, exitFail, []string{"nothing to stop"}, "renew", id, "--stop")
	warning := "nothing renews it: walrus extend " + id + ", or walrus renew " + id
	for _, args := range [][]string{{"status", id}, {"list"}} {
		if out := ok(d.T, args...); !strings.Contains(out, warning) {
			d.Errorf("walrus %s: %s", args[0], out)
		}
	}
	if st := d.certified(plan.Blob); !strings.Contains(st.Warning, warning) || st.RenewsUntil != 0 || st.Leases[0].Renewal != nil {
		d.Errorf("status: %+v", st)
	}
	if again := d.store(path, "--renew", "3WAL"); !again.Already || again.Allowance != 3*token.WAL || again.Price != 0 {
		d.Errorf("a store that was to leave an allowance: %+v", again)
	}
	if back := okJSON[deleteResults](d.T, "delete", id).Deleted[0].Refund; back < 3*token.WAL-plan.Price {
		d.Errorf("%s came back of 3WAL", back)
	}
	other, _ := d.file("small allowance", 5000, 13)
	refused(d.T, exitFail, []string{"does not pay for an epoch", "nothing was paid"}, "store", other, "--renew", "1FROST")
}

func (d *developer) again() {
	path, content := d.file("again", 4000, 5)
	for range 2 {
		id := d.store(path).ID
		d.certified(id)
		d.reads(id, content)
		ok(d.T, "delete", id.String())
	}
}
