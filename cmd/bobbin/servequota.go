package main

import (
	"log/slog"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/spool"
)

// liveQuota is a quota whose rules are read again when their file changes. Nil
// limits nobody.
type liveQuota struct {
	file string
	log  *slog.Logger

	mu      sync.Mutex
	files   *watchedFiles
	current delivery.Quota // replaced as a whole, so that a delivery has one set of rules
}

// liveQuota is what limits the users of s, nil without a limit.
func (a *app) liveQuota(c *cli.Context, s *spool.Spool, log *slog.Logger) (*liveQuota, error) {
	file := c.String("quota")
	files := watchFiles(file) // before they are read
	q, err := a.quota(c)
	if q == nil {
		return nil, err
	}
	q.Keep = &delivery.QuotaStates{Spool: s}
	a.warnBy(c, q, s)
	return &liveQuota{file: file, log: log, files: files, current: *q}, nil
}

// now is the quota for a delivery that begins. While the file cannot be used,
// the rules before it hold.
func (q *liveQuota) now() *delivery.Quota {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.files.changed() {
		if rules, err := quotaRules(q.file); err != nil {
			q.log.Error("the rules of the quota cannot be used, those before them are", "file", q.file, "error", err)
		} else {
			q.current.Rules = rules
			q.log.Info("new rules of the quota", "file", q.file)
		}
	}
	current := q.current
	return &current
}
