package economy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/walrus-network/walrus/sim"
)

// Study runs years of many networks.
type Study struct {
	Seeds int    // networks of each sort, with the seeds 1 to Seeds
	Nodes int    // of each
	Years int    // of a node alone, for rare slashes
	Dir   string // results are kept here and read again; "": they are not kept
	Said  func(format string, args ...any)

	of func(nodes int) Options // nil: Default; tests take less than a year
}

// The networks of a study. In the first sort all nodes are honest and online 99 % of the
// time. In the second, ofEachKind nodes of each value below are among them.
var (
	studyDrops   = []float64{0.001, 0.01, 0.1, 1}
	studyUptimes = []float64{0.9, 0.95, 0.999}
	studyCosts   = []float64{0, 0.25, 0.5, 0.75, 1}
)

const (
	ofEachKind  = 3 // nodes, in a network of the second sort
	usualUptime = 0.99
)

// sorts are the networks of a seed.
func (s Study) sorts(seed uint64) map[string]Options {
	of := s.of
	if of == nil {
		of = Default
	}
	honest, mixed := of(s.Nodes), of(s.Nodes)
	honest.Seed, mixed.Seed = seed, seed
	i := 0
	each := func(values []float64, set []float64) {
		for _, v := range values {
			for range ofEachKind {
				set[i] = v
				i++
			}
		}
	}
	each(studyDrops, mixed.Drop)
	each(studyUptimes, mixed.Uptime)
	return map[string]Options{"honest": honest, "mixed": mixed}
}

// Validate refuses a study that is too small or too large.
func (s Study) Validate() error {
	least := 2 * ofEachKind * (len(studyDrops) + len(studyUptimes)) // those below must not void rounds
	if s.Seeds < 1 || s.Seeds > 10_000 || s.Nodes < least || s.Nodes > sim.MaxNodes || s.Years < 0 || s.Years > 10_000_000 {
		return fmt.Errorf("%d seeds (1 to 10000) of %d nodes (%d to %d), %d years of a node alone (0 to 10000000): %w", s.Seeds, s.Nodes, least, sim.MaxNodes, s.Years, sim.ErrOptions)
	}
	return nil
}

// Run simulates the networks whose results are not kept, and adds up all of them.
func (s Study) Run(ctx context.Context) (Figures, error) {
	if err := s.Validate(); err != nil {
		return Figures{}, err
	}
	type job struct {
		name string
		o    Options
	}
	var jobs []job
	for seed := range s.Seeds {
		sorts := s.sorts(uint64(seed + 1))
		for _, name := range []string{"honest", "mixed"} {
			jobs = append(jobs, job{name, sorts[name]})
		}
	}
	results, errs := make([]Result, len(jobs)), make([]error, len(jobs))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for i, j := range jobs {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if results[i], errs[i] = s.kept(ctx, j.name, j.o); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return Figures{}, err
	}
	f := figures(results)
	f.Alone = s.alone(ctx)
	return f, ctx.Err()
}

// kept is a network's result, from the directory if it is there.
func (s Study) kept(ctx context.Context, name string, o Options) (r Result, err error) {
	path := filepath.Join(s.Dir, fmt.Sprintf("%s-%d-%d.json", name, o.Nodes, o.Seed))
	if s.Dir != "" {
		b, err := os.ReadFile(path)
		if err == nil {
			if err = json.Unmarshal(b, &r); err != nil {
				return r, fmt.Errorf("%s: %w: remove it, and it is made again", path, err)
			}
			return r, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return r, err
		}
	}
	if r, err = Run(ctx, o); err != nil {
		return r, err
	}
	if s.Said != nil {
		s.Said("%s network, seed %d: done", name, o.Seed)
	}
	if s.Dir == "" {
		return r, nil
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return r, err
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(path+".part", append(b, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	return r, err
}

// alone counts rare slashes, by uptime and by the length of the longest outages.
func (s Study) alone(ctx context.Context) (out []Alone) {
	if s.Years == 0 {
		return nil
	}
	usual := defaultOutages()
	for _, uptime := range slices.Concat(studyUptimes[:2], []float64{usualUptime}, studyUptimes[2:]) {
		out = append(out, Alone{Uptime: uptime, Outages: usual})
	}
	for _, tail := range []float64{1.25, 1.75, 2} {
		out = append(out, Alone{Uptime: usualUptime, Outages: Outages{Median: usual.Median, Tail: tail}})
	}
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, a := range out {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-free }()
			out[i] = runAlone(a.Outages, a.Uptime, s.Years, 1)
		})
	}
	wg.Wait()
	return out
}
