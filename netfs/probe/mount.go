package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// advisedOptions are mount options that have something to be said about.
var advisedOptions = []struct {
	kinds  []string // of file system; every one if nil
	option string   // as a whole, or up to its "="
	Finding
}{
	{nil, "ro", Finding{"mount option", "read-only", Unfit, "", "mount it for writing"}},
	{[]string{"nfs3", "nfs4"}, "soft", Finding{"mount option", "errors are given up on", Note, "H107", "mount with hard: a server that is away for a while then delays mail and does not refuse it"}},
	{[]string{"nfs3", "nfs4"}, "softerr", Finding{"mount option", "errors are given up on", Note, "H107", "mount with hard"}},
	{[]string{"nfs3", "nfs4"}, "nolock", Finding{"mount option", "locks hold on this host alone", Note, "H87", "Bobbin's own format needs none; programs that lock mbox files do"}},
	{[]string{"nfs3", "nfs4"}, "local_lock=", Finding{"mount option", "locks hold on this host alone", Note, "H87", "Bobbin's own format needs none; programs that lock mbox files do"}},
	{[]string{"nfs3", "nfs4"}, "nocto", Finding{"mount option", "an opened file may be old", Note, "H32", "leave nocto out"}},
	{[]string{"nfs3", "nfs4"}, "noac", Finding{"mount option", "every call asks the server", Note, "H31", "leave noac out: Bobbin asks where it has to, and writes are much slower with it"}},
	{[]string{"nfs3", "nfs4"}, "lookupcache=none", Finding{"mount option", "every name is asked for", Note, "H34", "leave it out: Bobbin asks where it has to"}},
	{[]string{"nfs3", "nfs4"}, "sync", Finding{"mount option", "every write waits", Note, "H31", "leave sync out: Bobbin syncs each message once"}},
	{[]string{"smb"}, "nobrl", Finding{"mount option", "locks hold on this host alone", Note, "H62", "Bobbin's own format needs none; programs that lock mbox files do"}},
	{[]string{"smb"}, "mfsymlinks", Finding{"mount option", "symbolic links are emulated", Note, "H67", "Bobbin does not use them here"}},
	{[]string{"smb"}, "nostrictsync", Finding{"mount option", "fsync does not reach the disk", OneHost, "H66", "leave nostrictsync out: acknowledged mail is lost when the server fails"}},
	{[]string{"ceph"}, "nowsync", Finding{"mount option", "names are durable late", Note, "H104", "Bobbin syncs the directory"}},
}

// mount tells what the share is and how it is mounted.
func (p *prober) mount() error {
	profile := p.h.Profile
	result, options := profile.Kind, []string(nil)
	if p.Dir != "" {
		m, err := netfs.MountOf(p.Dir)
		if err != nil {
			return err
		}
		result = fmt.Sprintf("%s, %s on %s", profile.Kind, m.Source, m.Point)
		options = m.Options
		if v := slices.IndexFunc(options, func(o string) bool { return strings.HasPrefix(o, "vers=") }); v >= 0 {
			result += ", " + options[v]
		}
	}
	f := Finding{Check: "file system", Result: result}
	switch {
	case profile.Risk != "":
		f.Grade, f.Advice = OneHost, profile.Risk
	case profile.Kind == "local":
		f.Grade, f.Advice = OneHost, "no other host sees a local disk; export it, and mount the export here too"
	case profile.Kind == "unknown" || profile.Kind == "fuse":
		f.Grade, f.Hazard = Note, "H47"
		f.Advice = "Bobbin takes the most careful profile; try it from two hosts with --peer"
	case profile.Kind == "gluster":
		f.Grade, f.Hazard, f.Advice = Note, "H55", "Bobbin believes that a file is gone only after two complete scans"
	}
	p.add(f)
	p.options(options)
	return nil
}

func (p *prober) options(options []string) {
	for _, a := range advisedOptions {
		if a.kinds != nil && !slices.Contains(a.kinds, p.Kind) {
			continue
		}
		for _, o := range options {
			name, isPrefix := strings.CutSuffix(a.option, "=")
			if o != a.option && !(isPrefix && strings.HasPrefix(o, name+"=") && o != name+"=none") {
				continue
			}
			f := a.Finding
			f.Result = o + ": " + f.Result
			p.add(f)
			break
		}
	}
}
