package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/unit"
)

// All typed numbers are read here, by package number. strconv and the flag library accept
// several notations, and read 010 as 8.

// parseSize reads a size above 0 with its unit; name is the value's name, for the message.
func parseSize(name, text string) (int64, error) {
	n, err := number.Size(text)
	if err != nil {
		return 0, errUsage{fmt.Errorf("%s %w", name, err)}
	}
	return n, nil
}

// parseCapacity reads how much a node keeps, in KiB.
func parseCapacity(text string) (unit.KiB, error) {
	n, err := parseSize("capacity", text)
	if err == nil && n < 1024 {
		err = errUsage{fmt.Errorf("capacity %q: less than 1KiB: write it as 500GB or 2TiB", text)}
	}
	return unit.KiB(n / 1024), err
}

// parseCount reads a whole number up to most; name is the value's name, for the message.
func parseCount(name, text string, most uint64) (uint64, error) {
	n, err := number.Count(text)
	if err == nil && n > most {
		err = fmt.Errorf("%q: at most %d", text, most)
	}
	if err != nil {
		return 0, errUsage{fmt.Errorf("%s %w", name, err)}
	}
	return n, nil
}

// parsePercent reads 5, 5% or 2.75 as 1/10000, exactly.
func parsePercent(text string) (unit.Bps, error) {
	n, err := number.Scaled(strings.TrimSuffix(text, "%"), 2)
	if err != nil || n > unit.Whole {
		return 0, errUsage{fmt.Errorf("%q: 0 to 100 percent, like 5 or 2.75", text)}
	}
	return unit.Bps(n), nil
}

// span is a typed range of bytes; to < 0 is the end.
type span struct{ from, to int64 }

func parseRange(s string) (span, error) {
	if s == "" {
		return span{0, -1}, nil
	}
	fail := func(err error) (span, error) {
		return span{}, fmt.Errorf("range %q: %w: write it as A-B, the bytes from A up to, not including, B; or A- for all from A on", s, err)
	}
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		return fail(errors.New("no - in it"))
	}
	from, err := number.Bytes(a)
	if err != nil {
		return fail(err)
	}
	if b == "" {
		return span{from, -1}, nil
	}
	to, err := number.Bytes(b)
	if err != nil {
		return fail(err)
	}
	if to < from {
		return fail(errors.New("it ends before it begins"))
	}
	return span{from, to}, nil
}

// within is the range in a blob of that size. The reader checks whether it fits.
func (s span) within(size int64) (from, to int64) {
	if s.to < 0 {
		return s.from, max(size, s.from)
	}
	return s.from, s.to
}

// strictNumber is a number flag whose text is checked before the flag library reads it.
type strictNumber struct {
	pflag.Value
	check func(string) error
}

func (s strictNumber) Set(text string) error {
	if err := s.check(text); err != nil {
		return err
	}
	return s.Value.Set(text)
}

// checks are the checks of a flag's text, by the flag library's name of its type.
var checks = map[string]func(string) error{
	"int": func(text string) error {
		n, err := number.Count(text)
		if err == nil && n > math.MaxInt {
			err = fmt.Errorf("%q: at most %d", text, math.MaxInt)
		}
		return err
	},
	"int64":    func(text string) error { _, err := number.Count(text); return err },
	"uint":     func(text string) error { _, err := number.Count(text); return err },
	"uint64":   func(text string) error { _, err := number.Count(text); return err },
	"float64":  func(text string) error { _, err := number.Decimal(text); return err },
	"duration": func(text string) error { _, err := number.Duration(text); return err },
}

// strictNumbers makes every number flag of a command, and of all commands under it, strict.
func strictNumbers(c *cobra.Command) {
	for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if check := checks[f.Value.Type()]; check != nil {
				f.Value = strictNumber{f.Value, check}
			}
		})
	}
	for _, under := range c.Commands() {
		strictNumbers(under)
	}
}
