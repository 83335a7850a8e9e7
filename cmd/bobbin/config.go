package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func (a *app) configCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Where does a value come from?", "bobbin config"},
			{"The spool, for a script.", `bobbin config --json | jq -r '.settings[] | select(.name == "spool") | .value'`},
			{"A file for all users of a host.", `echo 'spool = "/mnt/mail/spool"' > /etc/bobbin/config.toml`},
		},
		Files: []entry{
			{"$XDG_CONFIG_HOME/bobbin/config.toml", "the user's file; ~/.config/bobbin/config.toml if XDG_CONFIG_HOME is not set"},
			{"/etc/bobbin/config.toml", "the system's file, which is read if the user has none"},
		},
		SeeAlso: []string{"bobbin-init(1)"},
	}, &cli.Command{
		Name:        "config",
		Usage:       "print the settings and where they come from",
		Description: configDescription(),
		Flags:       append(settingFlags(), jsonFlag()),
		Action:      a.printConfig,
	})
}

// configDescription describes the file and each key.
func configDescription() string {
	var b strings.Builder
	b.WriteString("Prints each setting, its value and where that comes from. A flag goes before an environment variable, that before the configuration file, and that before the default.\n\n" +
		"The configuration file is TOML. It is the one that --config or BOBBIN_CONFIG names, else the user's, else the system's: one file is read, and the others are not looked at. " +
		"A key that is unknown, or whose value is no string, is an error. Root reads no file that everybody may write. The keys are:")
	for _, s := range settings {
		fmt.Fprintf(&b, "\n\n  %s = %q\n\n%s Flag: --%s. Environment: %s.", s.Name, s.Value, s.Text, s.Name, s.Env)
		if s.Default != "" {
			fmt.Fprintf(&b, " Default: %s.", s.Default)
		}
	}
	return b.String()
}

// settingLine is a setting as "config --json" prints it.
type settingLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (a *app) printConfig(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	var lines []settingLine
	for _, s := range settings {
		l := settingLine{Name: s.Name, Value: c.String(s.Name), From: a.inv.from(s.Name)}
		if l.From == "" {
			l.From = "default: " + cmp.Or(s.Default, "none")
		}
		if s.Name == "user" && l.Value == "" {
			l.Value, _ = a.env.Login()
		}
		lines = append(lines, l)
	}
	if c.Bool("json") {
		return writeJSON(a.out, map[string]any{"file": a.inv.config, "settings": lines})
	}
	if _, err := fmt.Fprintf(a.out, "configuration file: %s\n", printable(cmp.Or(a.inv.config, "none"))); err != nil {
		return err
	}
	for _, l := range lines {
		_, err := fmt.Fprintf(a.out, "%-16s = %s  (%s)\n", l.Name, printable(fmt.Sprintf("%q", l.Value)), printable(l.From))
		if err != nil {
			return err
		}
	}
	return nil
}
