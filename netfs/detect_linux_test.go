package netfs

import "testing"

func TestParseMount(t *testing.T) {
	m, ok := parseMount(`36 35 98:0 /mnt1 /mnt\040two rw,noatime master:1 - nfs4 srv:/x rw,vers=4.2`)
	if !ok || m.Point != "/mnt two" || m.Type != "nfs4" || m.Source != "srv:/x" || m.Options[len(m.Options)-1] != "vers=4.2" {
		t.Errorf("%+v, %v", m, ok)
	}
	for _, bad := range []string{"", "1 2 3", "36 35 98:0 / /mnt rw - nfs4"} {
		if _, ok := parseMount(bad); ok {
			t.Errorf("took %q", bad)
		}
	}
}

func TestHostTag(t *testing.T) {
	for in, want := range map[string]string{"Mail-01.example.org": "mail01", "": "host", "ÄÖ": "host", "averylonghostname": "averylon"} {
		if got := hostTag(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
