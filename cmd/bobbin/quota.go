package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// maxQuota is the largest file of quotas, in bytes.
const maxQuota = 8 << 20

// quota is what limits users, nil without a limit.
func (a *app) quota(c *cli.Context) (*delivery.Quota, error) {
	name := ""
	if findFlag(c.Command.Flags, "quota") != nil {
		name = c.String("quota")
	}
	if name == "" {
		return nil, nil
	}
	rules, err := quotaRules(name)
	if err != nil {
		return nil, err
	}
	q := &delivery.Quota{Rules: rules}
	if findFlag(c.Command.Flags, "quota-full") == nil {
		return q, nil
	}
	switch rule := cmp.Or(c.String("quota-full"), "defer"); rule {
	case "defer":
	case "refuse":
		q.Refuse = true
	default:
		return nil, fmt.Errorf("%w: quota-full %q: it is defer or refuse", errConfig, rule)
	}
	if way := c.String("quota-warning"); way != "" && way != "none" && way != "mail" && !filepath.IsAbs(way) {
		return nil, fmt.Errorf("%w: quota-warning %q: it is mail, none, or a command with its whole name", errConfig, way)
	}
	return q, nil
}

func quotaRules(file string) ([]delivery.QuotaRule, error) {
	text, err := readSmall(file, maxQuota)
	if err != nil {
		return nil, fmt.Errorf("%w: quota: %w", errConfig, err)
	}
	rules, err := delivery.ParseQuota(text)
	if err != nil {
		return nil, fmt.Errorf("%w: quota: %s: %w", errConfig, file, err)
	}
	return rules, nil
}

// warnBy makes a quota warn as the setting says. Mail goes to mailboxes in to.
func (a *app) warnBy(c *cli.Context, q *delivery.Quota, to delivery.Mailboxes) {
	way := c.String("quota-warning")
	if q == nil || way == "" || way == "none" {
		return
	}
	q.Warn = func(ctx context.Context, w delivery.QuotaWarning) {
		var err error
		if way == "mail" {
			err = a.warnByMail(ctx, to, w)
		} else {
			err = warnByCommand(ctx, way, w)
		}
		if err != nil {
			a.warn(fmt.Errorf("user %s is not told of the quota: %w", w.User, err))
		}
	}
}

// warnByMail puts a message into the user's INBOX, where no quota keeps it out.
func (a *app) warnByMail(ctx context.Context, to delivery.Mailboxes, w delivery.QuotaWarning) error {
	now := time.Now()
	text := fmt.Sprintf("Date: %s\nFrom: Mail system <postmaster>\nTo: <%s>\nSubject: Your mailbox is nearly full\nAuto-Submitted: auto-generated\n"+
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"+
		"Folders %s: %s.\n\nAt the second limit no more mail is taken. Please delete what you do not need.\n",
		now.Format(time.RFC1123Z), w.User, w.Rule.Folders, usageText(w.Rule, w.Messages, w.Bytes))
	return delivery.Deliver(ctx, to, delivery.Envelope{Users: []string{w.User}, Folder: spool.Inbox}, strings.NewReader(text))
}

// warningLimit is how long the command for warnings may take.
const warningLimit = time.Minute

func warnByCommand(ctx context.Context, name string, w delivery.QuotaWarning) error {
	ctx, stop := context.WithTimeout(ctx, warningLimit)
	defer stop()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	cmd := exec.CommandContext(ctx, name, w.User, w.Rule.Folders, number(w.Messages), number(w.Bytes), number(w.Rule.Messages.Soft), number(w.Rule.Bytes.Soft))
	cmd.Env, cmd.Dir, cmd.WaitDelay = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, "/", time.Second
	said, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %.200s", name, err, strings.TrimSpace(string(said)))
	}
	return err
}

// count tells the user's log what a mailbox holds, if he has a quota.
func (a *app) count(c *cli.Context, b *spool.Box, m *spool.Mailbox) error {
	q, err := a.quota(c)
	if err != nil || len(q.Of(b.User)) == 0 || spool.IsPublic(b.Folder) {
		return err
	}
	u, err := b.State(c.Context)
	if err != nil {
		return err
	}
	return errors.Join(u.Count(c.Context, m), u.Close(c.Context))
}

// admits refuses what a user has no room for.
func (a *app) admits(c *cli.Context, target *spool.Box, comes spool.FolderUsage) error {
	q, err := a.quota(c)
	if err != nil || len(q.Of(target.User)) == 0 {
		return err
	}
	u, err := target.State(c.Context)
	if err != nil {
		return err
	}
	err = q.Admit(u, target, comes)
	if errors.Is(err, delivery.ErrQuota) {
		if err = u.Recount(c.Context); err == nil {
			err = q.Admit(u, target, comes)
		}
	}
	return cmp.Or(err, u.Close(c.Context))
}

// amount tells how much the messages of a set are.
func amount(m *spool.Mailbox, set spool.UIDSet) (u spool.FolderUsage) {
	for _, msg := range m.Messages() {
		if set.Contains(msg.UID) {
			u.Messages++
			u.Bytes += msg.Size
		}
	}
	return u
}

func (a *app) quotaCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"How much mail do I keep, and how much may I?", "bobbin quota"},
			{"Two gigabytes for everybody, a warning before that, ten for alice, and a small trash.",
				"printf '%s\\n' '* * 1800M/2G' 'alice * 9G/10G' '* Trash 200M' > /etc/bobbin/quota"},
			{"Count everything again, after other programs have worked on the mail.", "bobbin quota --recount --all-users"},
		},
		Files:   []entry{{"/etc/bobbin/quota", "where a quota = \"/etc/bobbin/quota\" in the configuration finds the rules"}},
		SeeAlso: []string{"bobbin-config(1)", "bobbin-expire(1)"},
	}, &cli.Command{
		Name:      "quota",
		Usage:     "show how much mail users keep and may keep",
		ArgsUsage: "[USER]",
		Description: "Prints for each rule of --quota that holds for the USER what its folders hold, and its limits, soft/hard. A message counts from the moment it is delivered, on all hosts; two deliveries never both take the last room. " +
			"What other programs remove or put there counts when a Bobbin reader or this command with --recount comes by; before mail is refused all folders are counted again. " +
			"Shared folders belong to nobody and are not counted.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), jsonFlag(), settingOf("quota").flag(),
			&cli.BoolFlag{Name: "recount", Usage: "look into all folders and count again"},
			&cli.BoolFlag{Name: "all-users", Usage: "for all users of the spool"},
		},
		Action: a.showQuota,
	})
}

func (a *app) showQuota(c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	named := c.NArg() == 1
	switch {
	case named && (a.inv.from("user") == "--user" || c.Bool("all-users")):
		return usageErrorf("give either a USER, --user or --all-users")
	case c.Bool("all-users") && a.location(c) != "":
		return usageErrorf("--all-users is for the users of a spool; with --location nobody knows them all")
	}
	q, err := a.quota(c)
	if err != nil {
		return err
	}
	if named {
		if err := c.Set("user", c.Args().First()); err != nil {
			return err
		}
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	var users []string
	if c.Bool("all-users") {
		users, err = s.Users(c.Context)
	} else {
		var user string
		user, err = a.userName(c)
		users = []string{user}
	}
	if err != nil {
		return err
	}
	for _, user := range users {
		line, err := quotaOf(c, s, user)
		if err == nil {
			err = a.printQuota(c, q, line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// quotaLine is what "quota --json" prints of a user.
type quotaLine struct {
	User    string        `json:"user"`
	Rules   []quotaRule   `json:"rules"`
	Folders []quotaFolder `json:"folders"`

	usage []spool.FolderUsage
}

type quotaRule struct {
	Folders      string `json:"folders"`
	Messages     int64  `json:"messages"`
	MessagesSoft int64  `json:"messages_soft,omitempty"`
	MessagesHard int64  `json:"messages_hard,omitempty"`
	Bytes        int64  `json:"bytes"`
	BytesSoft    int64  `json:"bytes_soft,omitempty"`
	BytesHard    int64  `json:"bytes_hard,omitempty"`
}

type quotaFolder struct {
	Folder   string `json:"folder"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// quotaOf reads what a user keeps. Who was never counted is counted.
func quotaOf(c *cli.Context, s *spool.Spool, user string) (l quotaLine, err error) {
	u, err := s.UserState(c.Context, user)
	if err != nil {
		return l, err
	}
	if c.Bool("recount") || !u.Counted() {
		err = u.Recount(c.Context)
	}
	l = quotaLine{User: user, usage: u.Usage(), Rules: []quotaRule{}, Folders: []quotaFolder{}}
	return l, errors.Join(err, u.Close(c.Context))
}

func (a *app) printQuota(c *cli.Context, q *delivery.Quota, l quotaLine) error {
	clean, err := spool.CleanUser(l.User)
	if err != nil {
		return err
	}
	l.User = clean
	rules := q.Of(clean)
	if !c.Bool("json") {
		if len(rules) == 0 {
			rules = []delivery.QuotaRule{{Folders: "*"}}
		}
		for _, r := range rules {
			messages, bytes := r.Sum(l.usage)
			if _, err := fmt.Fprintf(a.out, "%s %s: %s\n", printable(clean), printable(r.Folders), usageText(r, messages, bytes)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range rules {
		messages, bytes := r.Sum(l.usage)
		l.Rules = append(l.Rules, quotaRule{r.Folders, messages, r.Messages.Soft, r.Messages.Hard, bytes, r.Bytes.Soft, r.Bytes.Hard})
	}
	for _, f := range l.usage {
		l.Folders = append(l.Folders, quotaFolder{f.Folder, f.Messages, f.Bytes})
	}
	return writeJSON(a.out, l)
}

// usageText says what the folders of a rule hold, and may hold.
func usageText(r delivery.QuotaRule, messages, bytes int64) string {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	word := "messages"
	if messages == 1 {
		word = "message"
	}
	return fmt.Sprintf("%d %s%s, %s%s", messages, word, limitText(r.Messages, count), readers.ByteSize(bytes), limitText(r.Bytes, readers.ByteSize))
}

func limitText(l delivery.QuotaLimit, write func(int64) string) string {
	switch {
	case l.Soft > 0 && l.Hard > 0:
		return " of " + write(l.Soft) + "/" + write(l.Hard)
	case l.Soft > 0:
		return " of " + write(l.Soft) + "/-"
	case l.Hard > 0:
		return " of " + write(l.Hard)
	}
	return ""
}
