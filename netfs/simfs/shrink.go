package simfs

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const (
	// shrinkFor is how long a smaller case is looked for.
	shrinkFor = time.Minute
	// shrinkTries is how many seeds are tried for each.
	shrinkTries = 25
)

// Shrink looks for a case that fails and is smaller than c, with which the
// test called name has failed: fewer rounds, hosts, steps and faults, of fewer
// kinds. It runs the test in processes of its own, a minute at most, and
// returns the smallest case with what the test wrote about it.
func Shrink(ctx context.Context, name string, c Case) (small Case, output string) {
	ctx, cancel := context.WithTimeout(ctx, shrinkFor)
	defer cancel()
	small, output, ok := try(ctx, name, c, 1)
	if !ok {
		return c, "the case does not fail alone\n" + output
	}
	for again := true; again; {
		again = false
		for _, change := range reductions {
			for ctx.Err() == nil {
				next := small
				if change(&next); next == small {
					break
				}
				found, out, ok := try(ctx, name, next, shrinkTries)
				if !ok {
					break
				}
				small, output, again = found, out, true
			}
		}
	}
	return small, output
}

// try runs a test on a case and the seeds after it, and returns the first that
// fails.
func try(ctx context.Context, name string, c Case, seeds int) (found Case, output string, fails bool) {
	self, err := os.Executable()
	if err != nil {
		return c, err.Error(), false
	}
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+name+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), envCase+"="+c.String(), envTries+"="+strconv.Itoa(seeds))
	out, err := cmd.CombinedOutput()
	output = string(out)
	_, line, ok := strings.Cut(output, failed)
	if err == nil || !ok {
		return c, output, false
	}
	line, _, _ = strings.Cut(line, "\n")
	if json.Unmarshal([]byte(line), &found) != nil {
		return c, output, false
	}
	return found, output, true
}

// reductions make a case a little smaller, those first of which most is hoped.
var reductions = func() []func(*Case) {
	all := []func(*Case){
		func(c *Case) { c.Faults, c.MaxFaults = Faults{}, 0 },
		func(c *Case) { c.Rounds = 1 },
		func(c *Case) { c.Hosts = max(1, c.Hosts-1) },
		func(c *Case) { c.Steps = max(1, c.Steps/2) },
	}
	for i := range reflect.TypeFor[Faults]().NumField() {
		all = append(all, func(c *Case) { reflect.ValueOf(&c.Faults).Elem().Field(i).SetZero() })
	}
	return append(all,
		func(c *Case) {
			if c.Faults != (Faults{}) && c.MaxFaults != 1 {
				c.MaxFaults = (cmp.Or(c.MaxFaults, 32)) / 2
			}
		},
		func(c *Case) { c.Share = "" },
		func(c *Case) { c.Steps = max(1, c.Steps-1) },
	)
}()
