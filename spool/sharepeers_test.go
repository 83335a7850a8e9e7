package spool_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody owns the mailboxes of other programs: Dovecot delivers nothing as root.
const nobody = 65534

// peers are delivery agents of others: each delivers standard input to the
// Maildir HOME, with the rules in the file that the last word names.
var peers = []struct {
	name, rules string
	words       []string
}{
	{"procmail", ":0\nHOME/\n", []string{"procmail", "-p"}},
	{"maildrop", "to \"HOME\"\n", []string{"maildrop"}},
	{"dovecot-lda", `
base_dir = /tmp/dovecot
first_valid_uid = 1
mail_location = maildir:HOME
log_path = /dev/stderr
stats_writer_socket_path =
ssl = no
mmap_disable = yes
mail_nfs_storage = yes
mail_nfs_index = yes
mail_fsync = always
`, []string{"/usr/lib/dovecot/dovecot-lda", "-c"}},
}

// TestSharePeers counts as TestShareCounts does what a delivery by the agents
// of others sends, on the first mount that BOBBIN_TEST_SHARE names.
func TestSharePeers(t *testing.T) {
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) == 0 {
		t.Skip("BOBBIN_TEST_SHARE names no mounted share")
	}
	h := openHost(t, mounts[0])
	for _, peer := range peers {
		t.Run(peer.name, func(t *testing.T) {
			program, err := exec.LookPath(peer.words[0])
			if err != nil {
				t.Skip(err)
			}
			home := peerHome(t, mounts[0])
			rules := filepath.Join(t.TempDir(), "rules") // below /tmp, for nobody
			chain(t,
				os.WriteFile(rules, []byte(strings.ReplaceAll(peer.rules, "HOME", home)), 0o600), os.Chown(rules, nobody, nobody),
				os.Chmod(filepath.Dir(rules), 0o755), os.Chmod(filepath.Dir(filepath.Dir(rules)), 0o755))
			const times = 7
			counter{mounts[0], h}.sent(t, "delivery by "+peer.name, times, func(int) error {
				cmd := exec.Command(program, append(peer.words[1:len(peer.words):len(peer.words)], rules)...)
				cmd.Dir = "/"
				cmd.Env = []string{"HOME=" + home, "USER=nobody", "LOGNAME=nobody", "PATH=/usr/bin:/bin"}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
				cmd.Stdin = strings.NewReader("Subject: x\n\n" + strings.Repeat(strings.Repeat("x", 79)+"\n", 25))
				out, err := cmd.CombinedOutput()
				if err != nil && peer.name == "maildrop" && !hasLinks(t, home) {
					t.Skipf("it needs hard links: %s", out)
				}
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
			if found, err := os.ReadDir(filepath.Join(home, "new")); err != nil || len(found) != times {
				t.Errorf("%d messages, %v; want %d", len(found), err, times)
			}
		})
	}
}

// peerHome makes a Maildir on a share for a program of nobody's.
func peerHome(t *testing.T, mount string) string {
	t.Helper()
	home, err := os.MkdirTemp(mount, "peer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	for _, dir := range []string{".", "new", "cur", "tmp"} {
		dir = filepath.Join(home, dir)
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		chain(t, os.Chown(dir, nobody, nobody))
	}
	return home
}

// hasLinks tells whether a directory can have hard links.
func hasLinks(t *testing.T, dir string) bool {
	t.Helper()
	from := filepath.Join(dir, "link")
	chain(t, os.WriteFile(from, nil, 0o600))
	return os.Link(from, from+".to") == nil
}

// chain ends the test at the first error.
func chain(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
