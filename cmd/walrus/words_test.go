package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestARangeIsHalfOpen(t *testing.T) {
	for text, want := range map[string][2]int64{
		"":          {0, 1000},
		"0-100":     {0, 100},
		"7-":        {7, 1000},
		"2000-":     {2000, 2000}, // outside: the reader refuses it
		"1KB-2kB":   {1000, 2000},
		"0-1KiB":    {0, 1024},
		"1000-1000": {1000, 1000},
	} {
		s, err := parseRange(text)
		if from, to := s.within(1000); err != nil || from != want[0] || to != want[1] {
			t.Errorf("%q is %d to %d, %v; want %v", text, from, to, err, want)
		}
	}
	for _, text := range []string{"5", "-5", "5-4", "a-b", "-", "1--2", "0-99999999999999999999", "-1-5"} {
		if s, err := parseRange(text); err == nil {
			t.Errorf("%q is taken for %+v", text, s)
		}
	}
}

func TestAShellReadsBackWhatIsWrittenForIt(t *testing.T) {
	for _, word := range []string{"/plain/path", "", "with space", "it's", `$HOME "x" \`, "new\nline", "a;rm -rf b", "*"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q is read back as %q, %v", word, out, err)
		}
	}
}

func TestALongErrorIsCutAndSaysHowToSeeAll(t *testing.T) {
	short := "a\nb\nc"
	if got := brief(short); got != short {
		t.Errorf("%q became %q", short, got)
	}
	got := brief(strings.Repeat("line\n", 30) + "end")
	if strings.Count(got, "\n") != 3 || !strings.Contains(got, "28 lines more: --debug") {
		t.Errorf("cut to %q", got)
	}
}
