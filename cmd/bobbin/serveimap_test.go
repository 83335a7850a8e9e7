package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func newIMAPTest(t *testing.T, client string) *popTest {
	t.Helper()
	return newPOPTest(t, client, "--imap", "127.0.0.1:0")
}

// TestIMAPCurl lists, reads, searches and appends.
func TestIMAPCurl(t *testing.T) {
	p := newIMAPTest(t, "curl")
	curl := func(port int, path string, options ...string) string {
		t.Helper()
		return p.runClient("", append([]string{"curl", "-sS", "-u", "alice:secret", fmt.Sprintf("imap://127.0.0.1:%s/%s", p.ports[port], path)}, options...)...)
	}
	p.wantMail([]string{curl(0, "INBOX;UID=1"), curl(1, "INBOX;UID=2"), curl(0, "INBOX;UID=3")})
	p.file("new", "Subject: appended\r\n\r\ntext\r\n")
	curl(1, "", "-X", "CREATE Drafts")
	curl(0, "Drafts", "-T", "new")
	if got := curl(1, "Drafts;UID=1"); got != "Subject: appended\r\n\r\ntext\r\n" {
		t.Errorf("appended %q", got)
	}
	if got := curl(0, "INBOX?SUBJECT%20dots"); got != "* SEARCH 1\r\n" {
		t.Errorf("found %q", got)
	}
	if got := curl(1, ""); got != "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n* LIST (\\HasNoChildren) \"/\" \"Drafts\"\r\n" {
		t.Errorf("listed %q", got)
	}
}

// TestIMAPPython: imaplib of Python's library works on two processes at once,
// which agree.
func TestIMAPPython(t *testing.T) {
	p := newIMAPTest(t, "python3")
	out := p.runClient("", "python3", "-c", `
import imaplib, sys, threading
def connect(port):
    c = imaplib.IMAP4('127.0.0.1', int(port))
    c.login('alice', 'secret')
    return c
a, b = [connect(p) for p in sys.argv[1:]]
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
ok(a.create('Work')); ok(a.subscribe('Work'))
assert b'Work' in b''.join(ok(b.lsub()))
assert ok(a.select()) == [b'3'] == ok(b.select())
ok(a.store('1', '+FLAGS', '(\\Seen Label)'))
ok(b.noop())
assert b'Label' in ok(b.fetch('1', '(FLAGS)'))[0]
ok(a.uid('COPY', '1:2', 'Work'))
ok(b.uid('MOVE', '3', 'Work'))
ok(a.noop())
assert a.response('EXISTS')[1] is not None
ok(b.store('2', '+FLAGS', '\\Deleted')); ok(b.expunge())
ok(a.noop())
assert ok(a.search(None, 'ALL')) == [b'1'], a.search(None, 'ALL')
assert ok(a.status('Work', '(MESSAGES)')) == [b'"Work" (MESSAGES 3)']
text = b'Subject: big\r\n\r\n' + b'line\r\n' * 50000
ok(a.append('Work', '(\\Flagged)', None, text))
ok(b.select('Work'))
n = ok(b.search(None, 'SUBJECT', 'big'))[0]
assert ok(b.fetch(n, '(BODY.PEEK[])'))[0][1] == text
# Both add and remove flags and messages at once, and then agree.
def work(c, word):
    for i in range(20):
        ok(c.append('Work', '(%s)' % word, None, b'Subject: %s\r\n\r\n%d\r\n' % (word.encode(), i)))
        ok(c.uid('STORE', '1:*', '+FLAGS', word + str(i)))
ok(a.select('Work'))
both = [threading.Thread(target=work, args=x) for x in ((a, 'AA'), (b, 'BB'))]
for t in both: t.start()
for t in both: t.join()
ok(a.noop()); ok(b.noop())
a.untagged_responses.clear(); b.untagged_responses.clear() # of flags that changed meanwhile
assert ok(a.uid('FETCH', '1:*', '(FLAGS)')) == ok(b.uid('FETCH', '1:*', '(FLAGS)'))
assert len(ok(a.uid('SEARCH', 'ALL'))[0].split()) == 44
ok(a.close()); print(a.logout()[0], b.logout()[0])
`, p.ports[0], p.ports[1])
	if strings.TrimSpace(out) != "BYE BYE" {
		t.Error(out)
	}
}

// TestIMAPMbsync: isync keeps a Maildir and the spool the same in both
// directions, by whichever process.
func TestIMAPMbsync(t *testing.T) {
	p := newIMAPTest(t, "mbsync")
	n := 200
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		n = 5000
	}
	p.must("", "folder", "create", "Big")
	for i := range n { // another program puts mail there, which is fast
		flags := ""
		if i%7 == 0 {
			flags = "F"
		}
		name := filepath.Join(p.dir, "users/alice/.Big/cur", fmt.Sprintf("%d.%d.far:2,%s", 1795000000+i, i, flags))
		if err := os.WriteFile(name, fmt.Appendf(nil, "Subject: %d\n\ntext\n", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sync := func(port string) {
		t.Helper()
		p.file("rc", fmt.Sprintf("FSync no\n\nIMAPAccount a\nHost 127.0.0.1\nPort %s\nUser alice\nPass secret\nSSLType None\nAuthMechs LOGIN\n\n"+
			"IMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/near/\nInbox %s/near/INBOX\nSubFolders Verbatim\n\n"+
			"Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n", port, p.home, p.home))
		p.runClient("", "mbsync", "-q", "-c", "rc", "-a")
	}
	near := func() []string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(p.home, "near/Big/[cn][ue][rw]/*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if err := os.Mkdir(filepath.Join(p.home, "near"), 0o700); err != nil {
		t.Fatal(err)
	}
	sync(p.ports[0])
	cur := near()
	if len(cur) != n {
		t.Fatalf("%d messages came, want %d", len(cur), n)
	}
	seen, trashed := 0, 0
	for i, name := range cur {
		var err error
		base, flags, _ := strings.Cut(name, ":2,")
		switch {
		case i%5 == 0 && !strings.Contains(flags, "S"):
			err = os.Rename(name, filepath.Join(p.home, "near/Big/cur", filepath.Base(base)+":2,"+flags+"S"))
			seen++
		case i%5 == 1:
			err = os.Remove(name)
			trashed++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.file("near/Big/new/1.mine", "Subject: mine\n\nmine\n")
	sync(p.ports[1])
	if out := p.must("", "list", "--folder", "Big"); strings.Count(out, "\n") != n-trashed+1 || !strings.Contains(out, "mine") {
		t.Errorf("%d lines, want %d messages: %.300s", strings.Count(out, "\n"), n-trashed+1, out)
	}
	p.must("", "check")
	sync(p.ports[0])
	if got := len(near()); got != n-trashed+1 {
		t.Errorf("%d messages are here, want %d", got, n-trashed+1)
	}
	if seen == 0 || trashed == 0 {
		t.Errorf("nothing was changed: %d, %d", seen, trashed)
	}
}

// TestIMAPFetchmail fetches new mail from one process, and removes it by the
// other.
func TestIMAPFetchmail(t *testing.T) {
	p := newIMAPTest(t, "fetchmail")
	p.makeMaildir("got")
	p.file("mda", "#!/bin/sh\ncat > got/new/$$\n")
	fetch := func(port, options string) {
		t.Helper()
		p.file("rc", fmt.Sprintf("poll 127.0.0.1 service %s protocol imap user alice password secret mda \"sh mda\" no rewrite no forcecr %s\n", port, options))
		cmd := exec.CommandContext(t.Context(), "fetchmail", "-f", "rc", "-i", "ids", "--nosyslog", "--pidfile", filepath.Join(p.home, "pid"), "--sslproto", "")
		cmd.Dir, cmd.Env = p.home, append(os.Environ(), "HOME="+p.home, "LC_ALL=C", "FETCHMAILHOME="+p.home)
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: no mail
			t.Fatalf("fetchmail: %v: %s", err, out)
		}
	}
	fetch(p.ports[0], "keep")
	fetch(p.ports[1], "keep") // it has been seen
	p.wantMail(p.maildir("got"))
	p.wantLeft(3)
	fetch(p.ports[1], "fetchall nokeep")
	p.wantLeft(0)
}

// TestIMAPOfflineimap keeps a Maildir and the spool the same.
func TestIMAPOfflineimap(t *testing.T) {
	p := newIMAPTest(t, "offlineimap")
	p.must("", "folder", "create", "Entwürfe/neu")
	sync := func(port string) {
		t.Helper()
		p.file("rc", fmt.Sprintf("[general]\naccounts = a\nmetadata = %s/meta\nui = quiet\n[Account a]\nlocalrepository = l\nremoterepository = r\n"+
			"[Repository l]\ntype = Maildir\nlocalfolders = %s/got\n[Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = %s\nssl = no\nstarttls = no\nremoteuser = alice\nremotepass = secret\n", p.home, p.home, port))
		p.runClient("", "offlineimap", "-c", "rc", "-o")
	}
	sync(p.ports[0])
	p.wantMail(p.maildir("got/INBOX"))
	p.file("got/INBOX/new/1.mine", "From: joe@example.net\nSubject: mine\nMessage-ID: <mine@example.net>\n\nmine\n")
	sync(p.ports[1])
	p.wantLeft(4)
	if _, err := os.Stat(filepath.Join(p.home, "got/Entw&APw-rfe.neu")); err != nil {
		t.Error(err)
	}
}

// TestIMAPGetmail fetches and deletes.
func TestIMAPGetmail(t *testing.T) {
	p := newIMAPTest(t, "getmail")
	p.makeMaildir("got")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // for whom it delivers nothing
		if me, err = user.Lookup("nobody"); err != nil {
			t.Fatal(err)
		}
		p.giveAway(me)
	}
	p.file("getmailrc", fmt.Sprintf("[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = %s\nusername = alice\npassword = secret\n"+
		"[destination]\ntype = Maildir\npath = %s/got/\nuser = %s\n[options]\ndelete = true\n", p.ports[0], p.home, me.Username))
	p.runClient("", "getmail", "--getmaildir", p.home, "--rcfile", "getmailrc")
	p.wantMail(p.maildir("got"))
	p.wantLeft(0)
}

// TestIMAPMutt: mutt copies all mail and deletes one.
func TestIMAPMutt(t *testing.T) {
	p := newIMAPTest(t, "mutt")
	p.file("muttrc", "set folder=~\nset ssl_force_tls=no\nset ssl_starttls=no\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\nset confirmcreate=no\nset wait_key=no\nset mbox_type=mbox\nset copy=no\n")
	out := p.runClient("", "script", "-qec", "mutt -n -F muttrc -f imap://alice:secret@127.0.0.1:"+p.ports[1]+
		` -e 'push "<tag-pattern>.<enter><tag-prefix><copy-message>=got<enter><untag-pattern>.<enter><delete-pattern>~s empty<enter><quit>"'`, "/dev/null")
	t.Logf("%q", out)
	p.wantMail(p.mbox("got"))
	p.wantLeft(2)
}
