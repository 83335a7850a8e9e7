package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) demoCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"See it work.", "bobbin demo"},
			{"Look at the spool afterwards.", "bobbin demo --keep"},
			{"Use a share that is mounted here.", "bobbin demo --dir /mnt/mail"},
		},
		SeeAlso: []string{"bobbin-init(1)", "bobbin-check(1)"},
	}, &cli.Command{
		Name:  "demo",
		Usage: "watch several hosts use one spool at once, and one of them die",
		Description: "Makes a spool in a new folder and starts three processes as hosts A, B and C, which deliver, list, flag and expunge " +
			"in the same mailboxes at once. In the middle host B is killed. At the end every message whose delivery was acknowledged is " +
			"looked for and compared byte for byte. Exit code 1 if anything is lost, doubled or altered.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "messages", Usage: "let each host deliver `N` messages", Value: 1000},
			&cli.StringFlag{Name: "dir", Usage: "make the spool in a new folder in `DIR`", DefaultText: "the system's temporary directory"},
			&cli.BoolFlag{Name: "keep", Usage: "leave the spool there and say where"},
		},
		Action: a.demo,
	})
}

// demo is one run of the demo.
type demo struct {
	app      *app
	dir      string
	messages int
	started  time.Time

	mu        sync.Mutex
	acked     map[string]string // sum -> user
	expunging map[string]bool   // sums that a host tried to expunge
	delivered map[string]int    // by host
	ops       int64             // of deliveries
	flagged   int
	conflicts int64
	listed    int64
	killed    bool
	shown     int
}

func (a *app) demo(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	if n := c.Int("messages"); n < 10 || n > 1_000_000 {
		return usageErrorf("flag --messages takes 10 to 1000000")
	}
	dir, err := os.MkdirTemp(c.String("dir"), "bobbin-demo-")
	if err != nil {
		return exitWith(exitCantCreate, err)
	}
	if !c.Bool("keep") {
		defer os.RemoveAll(dir)
	}
	d := &demo{
		app: a, dir: dir, messages: c.Int("messages"), started: time.Now(),
		acked: map[string]string{}, expunging: map[string]bool{}, delivered: map[string]int{},
	}
	fmt.Fprintf(a.out, "Spool: %s, mailboxes: %s.\n", printable(dir), strings.Join(demoUsers, ", "))
	if err := d.prepare(c.Context); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Hosts A, B and C deliver %d messages each, and list, flag and expunge in the same mailboxes at once.\n", d.messages)
	if err := d.hosts(c.Context); err != nil {
		return err
	}
	r, err := d.audit(c.Context)
	if err != nil {
		return err
	}
	d.table(r)
	if c.Bool("keep") {
		fmt.Fprintf(a.out, "\nThe spool is in %[1]s. Try: bobbin --spool %[1]s --user alice list\n", printable(dir))
	}
	if n := r.lost + r.doubled + r.altered + r.wrong; n > 0 {
		return fmt.Errorf("the demo failed: %d messages lost, %d doubled, %d altered, %d findings of check", r.lost, r.doubled, r.altered, r.wrong)
	}
	return nil
}

func (d *demo) prepare(ctx context.Context) error {
	h, err := d.app.env.Host(ctx, d.dir)
	if err != nil {
		return err
	}
	s, err := spool.Init(ctx, h, spool.InitOptions{})
	if err != nil {
		return err
	}
	list, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, u := range demoUsers {
		if err := list.Add(ctx, u, nil); err != nil {
			return err
		}
	}
	return h.Share.Close()
}

// hosts runs the three processes to their end; B's comes early.
func (d *demo) hosts(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, name := range []string{"a", "b", "c"} {
		cmd, err := d.app.env.Self(ctx, "demo-host", "--spool", d.dir, "--tag", name,
			"--messages", strconv.Itoa(d.messages), "--seed", strconv.Itoa(i+1))
		if err != nil {
			return err
		}
		wg.Go(func() {
			errs[i] = d.host(name, cmd)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	d.progress(true)
	return errors.Join(errs...)
}

// host follows one process. B is killed in the middle.
func (d *demo) host(name string, cmd *exec.Cmd) error {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var lineErr error
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if err := d.line(name, lines.Text()); err != nil && lineErr == nil {
			lineErr = err
		}
		if name == "b" && d.timeToDie(name) {
			if err := cmd.Process.Kill(); err != nil {
				return err
			}
		}
	}
	err = cmd.Wait()
	if d.isKilled(name) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("host %s: %w: %s", strings.ToUpper(name), err, strings.TrimSpace(stderr.String()))
	}
	return errors.Join(err, lines.Err(), lineErr)
}

// timeToDie tells once, when half of a host's messages are delivered.
func (d *demo) timeToDie(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := !d.killed && d.delivered[host] >= d.messages/2
	d.killed = d.killed || now
	return now
}

func (d *demo) isKilled(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return host == "b" && d.killed
}

// line takes in one line of a host.
func (d *demo) line(host, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var user, sum, word string
	var n, m int64
	var err error
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case demoDelivered:
		if _, err = fmt.Sscan(rest, &user, &sum, &n); err == nil {
			d.acked[sum] = user
			d.delivered[host]++
			d.ops += n
		}
	case demoExpunging:
		if _, err = fmt.Sscan(rest, &user, &sum); err == nil {
			d.expunging[sum] = true
		}
	case demoCommitted:
		if _, err = fmt.Sscan(rest, &n, &m); err == nil {
			d.flagged += int(n)
			d.conflicts += m
		}
	case demoListed:
		if _, err = fmt.Sscan(rest, &n); err == nil {
			d.listed += n
		}
	default:
		err = errors.New("unknown word")
	}
	if err != nil {
		return fmt.Errorf("host %s said %q: %w", strings.ToUpper(host), text, err)
	}
	d.progressLocked(false)
	return nil
}

func (d *demo) progress(last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progressLocked(last)
}

// progressLocked draws a bar on a terminal, and elsewhere a line now and then.
func (d *demo) progressLocked(last bool) {
	total, done := 3*d.messages, len(d.acked)
	if d.killed {
		total -= d.messages - d.delivered["b"]
	}
	const width = 40
	filled := min(width, width*done/total)
	f, ok := d.app.env.Stderr.(*os.File)
	if ok && term.IsTerminal(int(f.Fd())) {
		if done%10 != 0 && !last {
			return
		}
		note := ""
		if d.killed {
			note = "  host B was killed"
		}
		fmt.Fprintf(f, "\r[%s%s] %d of %d%s ", strings.Repeat("#", filled), strings.Repeat(".", width-filled), done, total, note)
		if last {
			fmt.Fprintln(f)
		}
		return
	}
	if step := filled / 8; step > d.shown {
		d.shown = step
		fmt.Fprintf(d.app.env.Stderr, "%d of %d messages delivered\n", done, total)
	}
}
