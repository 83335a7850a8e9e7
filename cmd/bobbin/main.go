// Command bobbin delivers into, reads and looks after a mail spool on a shared
// drive. Each sub-command has a file of its own; "bobbin help" lists them.
package main

import (
	"context"
	"os"
	"os/signal"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end, the second one gets its way.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], processEnvironment())
}

// dieBySignal makes fatal errors of the runtime, such as no memory, end in
// SIGABRT without a core file. Their usual exit code 2 is one for which mail
// systems give mail back; a death by signal they take for temporary.
func dieBySignal() {
	debug.SetTraceback("crash")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
