package main

import (
	"github.com/urfave/cli/v2"
)

// setting is a value that a flag, an environment variable or the configuration
// file may give, in this order.
type setting struct {
	Name    string // of the flag, without dashes, and of the key
	Value   string // placeholder of its value
	Env     string
	Usage   string // as cli has it, with the placeholder in backquotes
	Default string // in words, what holds when nobody gives it
	Text    string // more about it, for bobbin-config(1)
}

// settings is the one table of them: the flags, the keys of the file and their
// description come from it. All are strings.
var settings = []setting{
	{
		Name: "spool", Value: "DIR", Env: "BOBBIN_SPOOL", Usage: "the spool's root is `DIR`",
		Text: "The directory that 'bobbin init' made, on the mounted share.",
	},
	{
		Name: "user", Value: "NAME", Env: "BOBBIN_USER", Usage: "work on the mail of user `NAME`", Default: "the login name",
		Text: "Whose mail the commands for readers show.",
	},
	{
		Name: "location", Value: "TEMPLATE", Env: "BOBBIN_LOCATION", Usage: "users' mail roots are at `TEMPLATE` and not in the spool",
		Default: "%h/Maildir for the login user, if he has one and no spool is given",
		Text: "Where each user's Maildir is, outside any spool: %u is the user, %n his name before the @ and %d what is after it, %h his home directory in " +
			"the system's list of users, %% a percent sign. A template begins with %h/ or with a slash. With %h the users are those of the system: one that " +
			"it does not know is refused, a missing home directory is a temporary failure, a missing Maildir in it is made. Without %h the user's own directory must be " +
			"there; only a Maildir below it is made. 'bobbin deliver' and the readers' commands, run by root, become the owner first.",
	},
}

func settingOf(name string) *setting {
	for i := range settings {
		if settings[i].Name == name {
			return &settings[i]
		}
	}
	return nil
}

// flag returns the setting as a flag.
func (s *setting) flag() cli.Flag {
	return &cli.StringFlag{Name: s.Name, Usage: s.Usage, EnvVars: []string{s.Env}, DefaultText: s.Default}
}

func spoolFlag() cli.Flag    { return settingOf("spool").flag() }
func userFlag() cli.Flag     { return settingOf("user").flag() }
func locationFlag() cli.Flag { return settingOf("location").flag() }

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "read settings from `FILE`", EnvVars: []string{"BOBBIN_CONFIG"}, DefaultText: "see bobbin-config(1)"}
}

// withSettings adds to a command that works on a spool the flags that all such
// commands have.
func withSettings(c *cli.Command, n notes) {
	if findFlag(c.Flags, "spool") == nil {
		return
	}
	c.Flags = append(c.Flags[:len(c.Flags):len(c.Flags)], configFlag())
	if n.MTA || findFlag(c.Flags, "user") != nil {
		c.Flags = append(c.Flags, locationFlag())
	}
}
