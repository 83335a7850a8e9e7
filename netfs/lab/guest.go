package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// guest is one machine, running or not. What it says and what is asked of it
// are files in its folder: a file that changes while the guest has it open may
// look old to it, so each command has new ones.
type guest struct {
	cache cache
	name  string
}

func (g *guest) path(name ...string) string {
	return g.cache.path(append([]string{"run", g.name}, name...)...)
}

// upTime is how long a guest may take to be ready on a very busy machine.
const upTime = 10 * time.Minute

// up boots the guest and waits until the share is mounted for all hosts.
func (g *guest) up(ctx context.Context, s settings) error {
	if g.process() != 0 {
		return fmt.Errorf("guest %s is running: 'lab down --name %s' ends it", g.name, g.name)
	}
	if err := os.RemoveAll(g.path()); err != nil {
		return err
	}
	if err := os.MkdirAll(g.path("jobs"), 0o755); err != nil {
		return err
	}
	if err := syscall.Mkfifo(g.path("control"), 0o600); err != nil {
		return err
	}
	if err := g.boot(s); err != nil {
		return err
	}
	for end := time.Now().Add(upTime); ; time.Sleep(50 * time.Millisecond) {
		failed, err := os.ReadFile(g.path("failed"))
		switch {
		case exists(g.path("ready")):
			return nil
		case err == nil:
			err = errors.New(strings.TrimSpace(string(failed)))
		case g.process() == 0:
			err = errors.New("it died while it booted")
		case ctx.Err() != nil:
			err = ctx.Err()
		case time.Now().After(end):
			err = fmt.Errorf("it is not ready after %v", upTime)
		default:
			continue
		}
		console, _ := os.ReadFile(g.path("console"))
		return errors.Join(fmt.Errorf("guest %s: %w; its console said:\n%s", g.name, err, console), g.down())
	}
}

// boot starts the kernel as a process that outlives this one.
func (g *guest) boot(s settings) error {
	control, err := os.OpenFile(g.path("control"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	console, err := os.Create(g.path("console"))
	if err != nil {
		return err
	}
	defer console.Close()
	tty, err := os.Create(g.path("tty"))
	if err != nil {
		return err
	}
	defer tty.Close()
	cmd := exec.Command(g.cache.path("linux.uml"),
		"mem="+s.memory, "umid=bobbin-lab-"+g.name, "root=/dev/root", "rootfstype=hostfs", "rootflags="+g.cache.path("root"), "ro",
		"init=/lab-init", "con=null", "con0=null,fd:1", "con1=null", "ssl=null", "ssl0=fd:3,fd:4", "quiet", "loglevel=4", "panic=-1",
		"lab.dir="+g.cache.dir, "lab.run="+g.name, "lab.fs="+s.fs, "lab.share="+s.share, "lab.options="+strings.ReplaceAll(s.options, " ", "%"))
	cmd.Dir = g.path()
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + g.path(), "TMPDIR=" + memoryDir(g.path())}
	cmd.Stdout, cmd.Stderr = console, console
	cmd.ExtraFiles = []*os.File{control, tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := copyFile(g.cache.path("guest", "init"), g.cache.path("root", "lab-init")); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = g.started(cmd.Process.Pid)
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill())
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie while we wait for it to go
	return err
}

// memoryDir is where the guest's memory is a file: in memory, if that is large
// enough and the guest may execute what is there.
func memoryDir(otherwise string) string {
	const noexec = 8 // statfs(2): ST_NOEXEC
	var s syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &s); err == nil && int64(s.Bavail)*s.Bsize > 1<<30 && s.Flags&noexec == 0 {
		return "/dev/shm"
	}
	return otherwise
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// process is the number of the running kernel, 0 if there is none.
func (g *guest) process() int {
	b, err := os.ReadFile(g.path("pid"))
	if err != nil {
		return 0
	}
	var pid int
	var start string
	if _, err := fmt.Sscan(string(b), &pid, &start); err != nil {
		return 0
	}
	// Another process may have the number by now, but not the start time. The
	// command line tells less: while the kernel executes itself anew it is empty.
	if alive, err := startTime(pid); err != nil || alive != start {
		return 0
	}
	return pid
}

// started notes which process the guest is.
func (g *guest) started(pid int) error {
	start, err := startTime(pid)
	if err != nil {
		return err
	}
	return os.WriteFile(g.path("pid"), fmt.Appendf(nil, "%d %s", pid, start), 0o600)
}

// startTime is when a process that is not a zombie began, in ticks since the
// machine did.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// proc_pid_stat(5): the name in parentheses may hold anything; state is field 3, starttime field 22.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return f[19], nil
}

// tell sends a line to the guest's agent.
func (g *guest) tell(line string) error {
	f, err := os.OpenFile(g.path("control"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.WriteString(f, line+"\n")
	return err
}

// down powers the guest off.
func (g *guest) down() error {
	pid := g.process()
	if pid == 0 {
		return nil
	}
	var err error
	if exists(g.path("ready")) { // else nobody hears it
		err = g.tell("poweroff")
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if g.process() == 0 {
				return err
			}
		}
	}
	if kerr := syscall.Kill(-pid, syscall.SIGKILL); kerr != nil && kerr != syscall.ESRCH {
		return errors.Join(err, kerr)
	}
	return err
}

// exec runs a command in the guest and returns its exit status. One word is a
// line for the shell.
func (g *guest) exec(ctx context.Context, s settings, out io.Writer) (int, error) {
	if g.process() == 0 {
		return exitLab, fmt.Errorf("guest %s is not running: 'lab up --name %s' boots it", g.name, g.name)
	}
	id := strconv.FormatInt(time.Now().UnixNano(), 36)
	job := func(name string) string { return g.path("jobs", id, name) }
	if err := os.Mkdir(job(""), 0o755); err != nil {
		return exitLab, err
	}
	line := s.command[0]
	if len(s.command) > 1 {
		line = ""
		for _, word := range s.command {
			line += "'" + strings.ReplaceAll(word, "'", `'\''`) + "' "
		}
	}
	if err := os.WriteFile(job("command"), []byte(". /lab/guest/lib.sh\n"+line+"\n"), 0o644); err != nil {
		return exitLab, err
	}
	output, err := os.Create(job("output"))
	if err != nil {
		return exitLab, err
	}
	defer output.Close()
	if err := g.tell(id); err != nil {
		return exitLab, err
	}
	for end := time.Now().Add(s.timeout); ; time.Sleep(30 * time.Millisecond) {
		status, serr := os.ReadFile(job("status"))
		if _, err := io.Copy(out, output); err != nil { // after the status: then it is all
			return exitLab, err
		}
		switch {
		case serr == nil:
			return strconv.Atoi(strings.TrimSpace(string(status)))
		case g.process() == 0:
			return exitLab, fmt.Errorf("guest %s died: see %s", g.name, g.path("console"))
		case ctx.Err() != nil:
			return exitLab, ctx.Err()
		case time.Now().After(end):
			return exitTimeout, fmt.Errorf("the command takes longer than %v", s.timeout)
		}
	}
}
