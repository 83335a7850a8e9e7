package spool

import (
	"context"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// segmentNames collects the segments that the log names while it is read, and
// named before: those that no message is in any more are no litter yet.
type segmentNames map[string]bool

func (n segmentNames) note(r *commitlog.Record) {
	for _, text := range r.Ops {
		if op, err := parseOp(text); err == nil && op.word == opSegment {
			n[op.file.name] = true
		}
	}
}

func (n segmentNames) list(s *state) []string {
	for _, name := range s.namedSegments() {
		n[name] = true
	}
	return sorted(n)
}

// segments looks whether the summaries that the log names can be read. They
// are a cache: what is wrong with them is no harm.
func (c *checker) segments(ctx context.Context, l *commitlog.Log) {
	for _, g := range c.state.liveSegments() {
		_, err := readSegment(ctx, l.OpenAttached, g, Structure)
		if err != nil && unusable(err) {
			c.note("segment", logDir+"/s/"+g.name, "%v; summaries of %d messages are made again when they are asked for", err, g.live)
		}
	}
}
