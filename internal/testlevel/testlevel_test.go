package testlevel

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// at runs what at a level: "short", "all", or the middle.
func at(t *testing.T, level string, what func()) {
	t.Helper()
	value := ""
	if level == "all" {
		value = "all"
	}
	t.Setenv(Variable, value)
	was := testing.Short()
	set := func(short bool) {
		text := "false"
		if short {
			text = "true"
		}
		if err := flag.Set("test.short", text); err != nil {
			t.Fatal(err)
		}
	}
	set(level == "short")
	defer set(was)
	what()
}

// skipped says whether a helper skips its test.
func skipped(t *testing.T, helper func(testing.TB, string)) (skipped bool) {
	t.Helper()
	t.Run("of a level", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		helper(t, "does much")
	})
	return skipped
}

func TestALevelRunsAllThatTheLevelBeforeRuns(t *testing.T) {
	for _, x := range []struct {
		level         string
		middle, whole bool // run
		repeat        int
	}{{"short", false, false, 1}, {"middle", true, false, 2}, {"all", true, true, 3}} {
		at(t, x.level, func() {
			if skipped(t, Middle) == x.middle || skipped(t, Whole) == x.whole || Repeat(1, 2, 3) != x.repeat {
				t.Errorf("%s: Middle skips %v, Whole skips %v, Repeat is %d", x.level, skipped(t, Middle), skipped(t, Whole), Repeat(1, 2, 3))
			}
		})
	}
}

func TestShortIsStrongerThanTheVariable(t *testing.T) {
	at(t, "short", func() {
		t.Setenv(Variable, "all")
		if !skipped(t, Whole) || !skipped(t, Middle) || Repeat(1, 2, 3) != 1 {
			t.Error("-short runs more than the short level")
		}
	})
}

func TestMain(m *testing.M) {
	Beside(width)
	os.Exit(m.Run())
}

const width = 7 // as no machine has it by itself

func TestThePackageSaysHowManyWait(t *testing.T) {
	got := flag.Lookup("test.parallel").Value.String()
	want := width
	switch {
	case slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.parallel") }) || whole() && !Race:
		t.Skip("-parallel is typed, or the level is the whole one")
	case Race:
		want = 1
	}
	if got != strconv.Itoa(want) {
		t.Errorf("%s tests run beside each other, want %d", got, want)
	}
}
