package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version can be set by the linker (-X main.version=v1.2.3); otherwise it is
// what the build recorded.
var version string

func (a *app) versionCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{{"The version alone, for a script.", "bobbin version --json | jq -r .version"}},
	}, &cli.Command{
		Name:        "version",
		Usage:       "print the version",
		Description: "Prints Bobbin's version, the Go release that built it, and the platform. 'bobbin --version' does the same.",
		Flags:       []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if c.Bool("json") {
				return writeJSON(a.out, map[string]string{
					"version": buildVersion(), "go": runtime.Version(), "platform": platform(),
				})
			}
			return a.printVersion()
		},
	})
}

func (a *app) printVersion() error {
	_, err := fmt.Fprintf(a.out, "bobbin %s (%s, %s)\n", buildVersion(), runtime.Version(), platform())
	return err
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
