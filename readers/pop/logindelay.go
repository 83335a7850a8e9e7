package pop

import (
	"sync"
	"time"
)

// delays remember when users logged in (RFC 2449 §6.5, LOGIN-DELAY).
type delays struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// tooSoon tells whether a user logged in less than least ago, and else notes
// that he does now.
func (d *delays) tooSoon(user string, least time.Duration, now time.Time) bool {
	if least == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.last[user]; ok && now.Sub(last) < least {
		return true
	}
	if len(d.last) >= 1000 {
		for other, last := range d.last {
			if now.Sub(last) >= least {
				delete(d.last, other)
			}
		}
	}
	if d.last == nil {
		d.last = map[string]time.Time{}
	}
	d.last[user] = now
	return false
}
