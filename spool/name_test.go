package spool

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzFileName(f *testing.F) {
	f.Add("1.a.h,S=3:2,FS")
	f.Add("a:2,;2,S")
	f.Add("1.a.h,S=3,W=4,M,O=aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, file string) {
		base, letters, ok := splitName(file)
		if !ok {
			return
		}
		if base == "" || base[0] == '.' || len(base) > 255 {
			t.Errorf("%q has the base name %q", file, base)
		}
		if base != file && base+file[len(base):len(base)+3]+letters != file {
			t.Errorf("%q is taken apart as %q and %q", file, base, letters)
		}
		for _, sep := range []string{":", ";"} {
			name := (&state{separator: sep}).curName(base, letters)
			if b, l, ok := splitName(name); !ok || b != base || l != letters {
				t.Errorf("%q and %q are shown as %q, which is taken apart as %q and %q", base, letters, name, b, l)
			}
		}
		if when, ok := timeInName(base); ok && dated(base, when) != fmt.Sprintf("%d.%s", when.Unix(), base[strings.IndexByte(base, '.')+1:]) {
			t.Errorf("%q has the time %v", base, when)
		}
		if o := originOf(base); o != "" && !strings.HasSuffix(base, originMark+o) {
			t.Errorf("%q has the origin %q", base, o)
		}
	})
}

// Only names that a host of ours made tell who delivered.
func TestDeliveredBy(t *testing.T) {
	const token = "abcdefghijklmnopqrstuvwxyz"
	for name, want := range map[string]string{
		"1764081234." + token + ".mx1": "mx1", "1764081234." + token + ".mx1,S=3,W=4": "mx1",
		"1764081234.M12P34.mx1": "", "1764081234." + token + ".mx1.example.org": "", "x." + token + ".mx1": "", "1764081234." + token + ".<b>": "", "1764081234." + token: "", "": "",
	} {
		tag, at, ok := DeliveredBy(name)
		if ok != (want != "") || ok && (tag != want || at.Unix() != 1764081234) {
			t.Errorf("%q: %q, %v, %v", name, tag, at, ok)
		}
	}
}
