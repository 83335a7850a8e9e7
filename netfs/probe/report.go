package probe

import (
	"fmt"
	"slices"
)

// Grade is how much a finding limits the use of a share.
type Grade int

// The grades, from best to worst.
const (
	// Good: as Bobbin wants it.
	Good Grade = iota
	// Note: Bobbin works around it, or it matters to other programs alone.
	Note
	// OneHost: a single host may use the share, several must not.
	OneHost
	// Unfit: no spool can be here.
	Unfit
)

var gradeNames = []string{"ok", "note", "one host", "unfit"}

// String returns the grade's word.
func (g Grade) String() string { return gradeNames[g] }

// MarshalText writes the grade's word.
func (g Grade) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads the grade's word.
func (g *Grade) UnmarshalText(text []byte) error {
	i := slices.Index(gradeNames, string(text))
	if i < 0 {
		return fmt.Errorf("unknown verdict %.20q", text)
	}
	*g = Grade(i)
	return nil
}

// Finding is the outcome of one check.
type Finding struct {
	// Check names what was tried; Result says what was found.
	Check  string `json:"check"`
	Result string `json:"result"`
	Grade  Grade  `json:"verdict"`
	// Hazard is the number of what can go wrong here, such as "H19"; it may
	// be empty.
	Hazard string `json:"hazard,omitempty"`
	// Advice says what to change, or what Bobbin does instead.
	Advice string `json:"advice,omitempty"`
}

// Report is what a probe found.
type Report struct {
	// Kind is the file system as [netfs.Profile] names it.
	Kind string `json:"kind"`
	// Choice is what "bobbin init" would choose; nil if nothing works.
	Choice   *Choice   `json:"choice,omitempty"`
	Findings []Finding `json:"findings"`
}

// Grade is the worst grade of all findings.
func (r *Report) Grade() Grade {
	worst := Good
	for _, f := range r.Findings {
		worst = max(worst, f.Grade)
	}
	return worst
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

// ok adds a finding without any limits.
func (r *Report) ok(check, format string, args ...any) {
	r.add(Finding{Check: check, Result: fmt.Sprintf(format, args...)})
}
