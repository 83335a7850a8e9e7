// Command bobbin delivers into, reads and looks after a mail spool on a shared
// drive. Each sub-command has a file of its own; "bobbin help" lists them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(runProcess())
}

func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end, the second one gets its way.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], processEnvironment())
}
