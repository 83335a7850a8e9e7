package main

import (
	"context"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// TestInitProbes: a share that the probe calls unfit does not become a spool,
// what limits its use is said, and a local disk is not tried at all.
func TestInitProbes(t *testing.T) {
	unfit := probe.Finding{Check: "long names", Result: "up to 99 bytes", Grade: probe.Unfit, Advice: "names of messages need 200 bytes"}
	oneHost := probe.Finding{Check: "listing", Result: "shows 1 of 2 files", Grade: probe.OneHost, Advice: "mail would be taken for removed"}
	for _, test := range []struct {
		kind  string
		found []probe.Finding
		code  int
		says  string
	}{
		{"nfs4", []probe.Finding{{Check: "hard links", Grade: probe.Note}}, 0, "sim is a spool now"},
		{"nfs4", []probe.Finding{oneHost, unfit}, exitUnfit, "bobbin: directory sim: long names: up to 99 bytes; names of messages need 200 bytes"},
		{"nfs4", []probe.Finding{oneHost}, 0, "bobbin: warning: fit for one host only: directory sim: listing: shows 1 of 2 files; mail would be taken for removed"},
		{"local", []probe.Finding{unfit}, 0, "sim is a spool now"},
	} {
		simfs.Run(t, simfs.Options{Profile: simfs.NFS4()}, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("h")
			h.Profile.Kind = test.kind
			env, out := simEnv(h, "")
			env.Probe = func(ctx context.Context, h *netfs.Host, _ string) (*probe.Report, error) {
				r, err := probe.Run(ctx, h, probe.Options{})
				if err == nil {
					r.Findings = append(r.Findings, test.found...)
				}
				return r, err
			}
			code := run(t.Context(), []string{"init", "sim"}, env)
			if code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("%s, %v: exit code %d, %q; want %d, %q", test.kind, test.found, code, out, test.code, test.says)
			}
			if names, err := s.Server().List("."); code != 0 && (err != nil || len(names) > 0) {
				t.Errorf("left: %q, %v", names, err)
			}
		})
	}
}
