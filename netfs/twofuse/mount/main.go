// Command mount mounts a directory several times with package twofuse, until
// it is interrupted. Then it prints what each mount was asked for.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs/twofuse"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: mount [flags] DIRECTORY MOUNTPOINT...\n")
		flag.PrintDefaults()
	}
	names := flag.Duration("names", twofuse.Usual.Names, "how long the kernel keeps names")
	attributes := flag.Duration("attributes", twofuse.Usual.Attributes, "how long the kernel keeps attributes")
	fail := flag.Float64("fail", 0, "`share` of the changing requests that fail with EIO, half of them done")
	seed := flag.Uint64("seed", 1, "seed of the failures")
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	inject := twofuse.Random(*seed, *fail, twofuse.Changing, []syscall.Errno{syscall.EIO})
	err := run(flag.Arg(0), flag.Args()[1:], twofuse.Options{Attributes: *attributes, Names: *names}, inject)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(1)
	}
}

func run(backing string, points []string, o twofuse.Options, inject twofuse.Injector) (err error) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	for _, point := range points {
		m, merr := twofuse.New(backing, point, o)
		if merr != nil {
			return merr
		}
		m.Inject(inject)
		defer func() {
			fmt.Printf("%s: %s\n", point, m.Counts())
			err = errors.Join(err, m.Unmount())
		}()
		fmt.Printf("%s is mounted at %s\n", backing, point)
	}
	<-stop
	return nil
}
