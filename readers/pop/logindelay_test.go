package pop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTooSoon(t *testing.T) {
	var d delays
	now := time.Unix(1_790_000_000, 0)
	for _, c := range []struct {
		user  string
		after time.Duration
		want  bool
	}{{"alice", 0, false}, {"alice", 0, true}, {"bob", 0, false}, {"alice", time.Minute - 1, true}, {"alice", 1, false}, {"alice", time.Second, true}} {
		now = now.Add(c.after)
		if got := d.tooSoon(c.user, time.Minute, now); got != c.want {
			t.Errorf("%s at %s: %v", c.user, now, got)
		}
	}
	for n := range 5000 {
		now = now.Add(time.Second)
		d.tooSoon(fmt.Sprint(n), time.Minute, now)
	}
	if len(d.last) > 1001 {
		t.Errorf("%d users are remembered", len(d.last))
	}
	for range 2 {
		if d.tooSoon("x", 0, now) {
			t.Error("without a delay nobody waits")
		}
	}
}

func TestExpire(t *testing.T) {
	for days, want := range map[int]string{0: "EXPIRE NEVER", 30: "EXPIRE 30"} {
		if got := strings.Join(New(nil, nil, Options{Expire: days}).announced()[:1], "\n"); got != want {
			t.Errorf("%d days: %q", days, got)
		}
	}
	if got := strings.Join(New(nil, nil, Options{LoginDelay: 90 * time.Second}).announced()[:2], "\n"); got != "EXPIRE NEVER\nLOGIN-DELAY 90" {
		t.Error(got)
	}
}
