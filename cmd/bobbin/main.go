// Command bobbin delivers into, reads and looks after a mail spool on a shared
// drive. Each sub-command has a file of its own; "bobbin help" lists them.
package main

import (
	"os"
	"runtime/debug"
	"syscall"
)

func main() {
	os.Exit(runProcess())
}

func runProcess() int {
	dieBySignal()
	// Modes in the spool follow the mailbox, not whoever happens to write.
	syscall.Umask(0)
	return run(newUntilSignal(), os.Args[1:], processEnvironment())
}

// dieBySignal makes fatal errors of the runtime, such as no memory, end in
// SIGABRT without a core file. Their usual exit code 2 is one for which mail
// systems give mail back; a death by signal they take for temporary.
func dieBySignal() {
	debug.SetTraceback("crash")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
