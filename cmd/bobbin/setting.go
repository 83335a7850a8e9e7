package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/sasl"
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

	Delivery bool // it is for the commands that bring mail in
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
	{
		Name: "detail-separator", Value: "CHARACTERS", Env: "BOBBIN_DETAIL_SEPARATOR", Delivery: true,
		Usage: "what may stand between a user and a detail: any of `CHARACTERS`, or none", Default: "+",
		Text: "Mail for alice+lists goes to alice's folder lists if there is one, and else to her INBOX. The first of the characters in an address counts. " +
			"A user whose whole name has one goes before. Shared folders get no mail in this way.",
	},
	{
		Name: "local-domains", Value: "DOMAINS", Env: "BOBBIN_LOCAL_DOMAINS", Delivery: true,
		Usage: "users are found without `DOMAINS`", Default: "none",
		Text: "Domains, with spaces between them, whose users are also found by their names alone: with example.org, alice@example.org is alice, unless there is a user alice@example.org.",
	},
	{
		Name: "catch-all", Value: "USER", Env: "BOBBIN_CATCH_ALL", Delivery: true,
		Usage: "mail for nobody goes to `USER`", Default: "it is refused",
		Text: "Who gets mail for users that there are not; %d in it is the domain of the address. A look-up that fails is no reason to ask for him. Without it such mail is given back. " +
			"With a location that does not begin with %h nobody knows which users there are, so it has no effect.",
	},
	{
		Name: "address-case", Value: "RULE", Env: "BOBBIN_ADDRESS_CASE", Delivery: true,
		Usage: "what capital letters in an address mean: `RULE` is fold or exact", Default: "fold",
		Text: "With fold, capital letters of a user are small ones, and a detail finds a folder whose name differs in case alone if it is the only one. " +
			"With exact, users have small letters, and a detail is the name of a folder to the letter.",
	},
	{
		Name: "forward", Value: "SWITCH", Env: "BOBBIN_FORWARD", Delivery: true,
		Usage: "follow users' ~/.forward: `SWITCH` is on or off", Default: "off",
		Text: "With on, and a location that begins with %h/, mail goes where the user's .forward says. Leave it off where the mail system reads .forward itself, as Postfix, Exim and " +
			"sendmail do for local users, else mail goes out twice. See bobbin-deliver(1).",
	},
	{
		Name: "outgoing", Value: "WAY", Env: "BOBBIN_OUTGOING", Delivery: true,
		Usage: "send mail by `WAY`: a command, smtp://HOST or smtps://HOST", Default: "/usr/sbin/sendmail",
		Text: "How mail goes to other addresses: by a command with its whole name, which gets -i, -f, the return path, -- and the recipients; or to a server. With smtp:// (port 587) TLS begins with " +
			"STARTTLS, and only a server on this host is spoken to without; with smtps:// (port 465) TLS comes first. The server's certificate must be one that the system trusts.",
	},
	{
		Name: "outgoing-login", Value: "FILE", Env: "BOBBIN_OUTGOING_LOGIN", Delivery: true,
		Usage: "log in to the server for outgoing mail as `FILE` says", Default: "no login",
		Text: "A file with a user and, after a space, a password on its first line. Nobody but its owner may read it. It is read before root becomes a user.",
	},
	{
		Name: "duplicates", Value: "RULE", Env: "BOBBIN_DUPLICATES", Delivery: true,
		Usage: "what happens to mail that was delivered already: `RULE` is keep or drop", Default: "keep",
		Text: "With drop, a message that a mail system tries again, because it did not hear that it was delivered, is not delivered again, on whatever host: one with the same --queue-id, or without that the same topmost Received field, " +
			"the same content and the same mailbox, within a week, as long as the message is in the mailbox or its log knows it. It costs one operation of the server more for each mailbox, and a trace that is cleared away after a week when mail is expunged.",
	},
	{
		Name: "duplicate-ids", Value: "TIME", Env: "BOBBIN_DUPLICATE_IDS", Delivery: true,
		Usage: "drop a second message with the same Message-ID within `TIME`", Default: "it is kept",
		Text: "How long, such as 10m or 24h, at most 168h, a second message with the Message-ID of one that is in the folder is dropped, whatever else it has. It costs another operation. Whoever knows a Message-ID before the message comes can keep it from being delivered.",
	},
	{
		Name: "quota", Value: "FILE", Env: "BOBBIN_QUOTA", Delivery: true,
		Usage: "limit what users keep as `FILE` says", Default: "no limits",
		Text: "A file whose lines are rules: USER FOLDERS BYTES [MESSAGES]. In the first two, * stands for any characters and ? for one; the folders of a rule hold no more together than it says. " +
			"A limit is a number, for bytes with K, M, G or T behind it, two of them as SOFT/HARD, or - for none. Beyond the hard limit nothing is delivered or copied; when the soft one is crossed the user is warned once. " +
			"Of several rules for the same FOLDERS the last that names a user holds for him. Commands that remove mail look into it too: everybody must be able to read it. See bobbin-quota(1).",
	},
	{
		Name: "quota-full", Value: "RULE", Env: "BOBBIN_QUOTA_FULL", Delivery: true,
		Usage: "what happens to mail beyond a hard limit: `RULE` is defer or refuse", Default: "defer",
		Text: "With defer such mail is a temporary error (4.2.2), and the mail system tries again; with refuse it is given back to its sender (5.2.2).",
	},
	{
		Name: "quota-warning", Value: "WAY", Env: "BOBBIN_QUOTA_WARNING", Delivery: true,
		Usage: "warn users near their limit by `WAY`: mail, a command, or none", Default: "none",
		Text: "With mail a message in the user's INBOX says so. A command, with its whole name, gets the user, the rule's FOLDERS, how many messages and bytes are there, and the two soft limits, 0 for none.",
	},
	{
		Name: "log-to", Value: "PLACE", Env: "BOBBIN_LOG_TO", Delivery: true,
		Usage: "write the log to `PLACE`: stderr, syslog or journal", Default: "stderr",
		Text: "Where each delivery to a user has a line, with the user, folder, size, the mail system's queue id, the time it took and what it asked of the file server. 'bobbin deliver' has no log on standard error, " +
			"where mail systems expect an error or nothing. Lines for syslog (/dev/log) and systemd's journal are of the facility mail; in the journal each value is a field too, such as BOBBIN_USER. What the daemon does not take within a second goes to standard error.",
	},
	{
		Name: "log", Value: "FORMAT", Env: "BOBBIN_LOG", Delivery: true,
		Usage: "write the log as `FORMAT`, text or json", Default: "text",
		Text: "What the lines look like. Control characters are escaped in both.",
	},
	{
		Name: "trusted", Value: "NETWORKS", Env: "BOBBIN_TRUSTED", Usage: "peers from `NETWORKS` may speak for others", Default: "clients of unix sockets",
		Text: "Addresses and networks, such as \"127.0.0.1, 10.0.0.0/8\", whose mail systems may use XCLIENT and XFORWARD with 'bobbin serve': they say whose " +
			"mail they hand in, and its queue id. Clients of a unix socket always may.",
	},
	{
		Name: "tls-cert", Value: "FILE", Env: "BOBBIN_TLS_CERT", Usage: "offer STARTTLS with the certificates in `FILE`", Default: "no STARTTLS",
		Text: "The certificate of 'bobbin serve' and those between it and its authority, in PEM. A new one is used as soon as it and its key are there; while they cannot be read, by the owner of the spool, or do not belong together, the one before goes on.",
	},
	{
		Name: "tls-key", Value: "FILE", Env: "BOBBIN_TLS_KEY", Usage: "the certificate's private key is in `FILE`", Default: "none",
		Text: "In PEM.",
	},
	{
		Name: "tls-client-ca", Value: "FILE", Env: "BOBBIN_TLS_CLIENT_CA", Usage: "let users log in by certificates that an authority in `FILE` signed", Default: "none",
		Text: "Certificates of authorities in PEM, read at the start. With TLS a client that has a certificate of theirs logs in by EXTERNAL, as the user whom the e-mail addresses in it name, or, if it has none, its common name. " +
			"Clients without one are not turned away.",
	},
	{
		Name: "plain-login", Value: "SWITCH", Env: "BOBBIN_PLAIN_LOGIN", Usage: "take passwords without TLS from other hosts: `SWITCH` is on or off", Default: "off",
		Text: "With off, POP3 clients of other hosts must give STLS before they log in, or use --pop3s. Those of the host itself need not. Mechanisms that do not send the password are not concerned.",
	},
	{
		Name: "auth-mechanisms", Value: "NAMES", Env: "BOBBIN_AUTH_MECHANISMS", Usage: "let users log in by the mechanisms `NAMES`",
		Default: strings.Join(sasl.Defaults, " "),
		Text: "Mechanisms of SASL with spaces between them; CRAM-MD5, and APOP for that command of POP3, are not among those that are there by default: they need the password itself, which is kept where " +
			"'bobbin user passwd' had --plain. Without PLAIN and LOGIN no protocol takes passwords by its own commands either. SCRAM is offered when all passwords have keys for it, which those have that were set at feature level 2; its -PLUS with TLS. EXTERNAL is there with tls-client-ca, OAUTHBEARER and XOAUTH2 with token-command.",
	},
	{
		Name: "token-command", Value: "COMMAND", Env: "BOBBIN_TOKEN_COMMAND", Usage: "let users log in by tokens of OAuth 2.0 that `COMMAND` knows", Default: "none",
		Text: "A command and its arguments, with spaces between them. It gets the token on standard input and writes what an introspection endpoint answers (RFC 7662): a JSON object in which active is true or false and username, or else sub, " +
			"is the user. Any other outcome is a temporary failure. It decides by itself whether the token is meant for this service. curl -sf -u ID:SECRET --data-urlencode token@- URL is one; it runs as the owner of the spool, for at most 30 seconds.",
	},
	{
		Name: "accounts", Value: "SOURCE", Env: "BOBBIN_ACCOUNTS", Usage: "passwords of users are in `SOURCE`: spool, passwd-file:FILE or checkpassword:COMMAND", Default: "spool",
		Text: "Where 'bobbin serve' looks up who logs in. The mail is in the spool in any case, so users must be there, with 'bobbin user add'. With passwd-file, lines USER:PASSWORD:... as Dovecot has them, where PASSWORD begins with a {SCHEME}: " +
			"PLAIN, CRYPT (yescrypt, SHA-512, SHA-256, MD5, bcrypt, scrypt), ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT, MD5-CRYPT, PBKDF2, SCRAM-SHA-256, SCRAM-SHA-1, and SHA, SHA256, SHA512, PLAIN-MD5, LDAP-MD5 and their salted kinds; " +
			"a file that changes is read again. Users with an extra field, but for those that begin with userdb_, are not let in, because it may restrict them. With checkpassword, a command of that interface, which gets name and password by its descriptor 3, " +
			"runs what it is given when they are right, and ends with 1 when not; it runs as the owner of the spool. Then only mechanisms work that send the password.",
	},
	{
		Name: "master-users", Value: "NAMES", Env: "BOBBIN_MASTER_USERS", Usage: "let users `NAMES` log in as any other", Default: "none",
		Text: "Names with spaces between them. Such a user logs in with his own password as alice*NAME, or asks by SASL to act for alice.",
	},
	{
		Name: "pop3-expire", Value: "DAYS", Env: "BOBBIN_POP3_EXPIRE", Usage: "tell POP3 clients that mail is removed after `DAYS`", Default: "never",
		Text: "After how many days 'bobbin expire' or something else removes mail that clients leave on the server. It is only told; it removes nothing.",
	},
	{
		Name: "pop3-login-delay", Value: "TIME", Env: "BOBBIN_POP3_LOGIN_DELAY", Usage: "users log in by POP3 at most every `TIME`", Default: "as often as they like",
		Text: "A time such as 30s or 5m, in whole seconds. Each process of 'bobbin serve' counts for itself.",
	},
	{
		Name: "pop3-uidl", Value: "FORM", Env: "BOBBIN_POP3_UIDL", Usage: "POP3's UIDL says of messages what `FORM` makes", Default: "own",
		Text: "By UIDL clients know which mail they have; after another FORM they fetch all mail again. own is made of a number in the name of the message's file, and remains even if the mailbox is numbered anew. For clients that come from another " +
			"server it can have the form of that one: dovecot (%08Xu%08Xv), courier (UID%u-%v), cyrus (%v.%u), uw (%08Xv%08Xu) or a template of such variables: %u is the UID, %v the UIDVALIDITY, %f the name of the file without flags. " +
			"Numbers are the same as there only if the messages kept theirs.",
	},
	{
		Name: "pop3-lock", Value: "SWITCH", Env: "BOBBIN_POP3_LOCK", Usage: "one POP3 session a user at a time: `SWITCH` is on or off", Default: "off",
		Text: "With on, a user whose mail another session has, on whatever host, is told [IN-USE]; the lock of a host that died is stolen a minute after the next login. It costs four operations a session and one each seven seconds. Nothing needs it: " +
			"sessions see INBOX as it was, whatever others do. All hosts must have the same.",
	},
	{
		Name: "pop3-send", Value: "SWITCH", Env: "BOBBIN_POP3_SEND", Usage: "POP3 users may send mail by XTND XMIT: `SWITCH` is on or off", Default: "off",
		Text: "With on, mail that a user hands in goes by 'outgoing' to those whom its To, Cc and Bcc name. Its return path is the user, with the name of the host behind an @ if he is no address. " +
			"It has at most --max-size bytes. Nothing looks at what the message says of its author.",
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

// isOn reads a setting that is a switch, which is off when nobody gives it.
func isOn(c *cli.Context, name string) (bool, error) {
	switch value := c.String(name); value {
	case "on":
		return true, nil
	case "off", "":
		return false, nil
	default:
		return false, fmt.Errorf("%w: %s %q: it is on or off", errConfig, name, value)
	}
}

// deliveryFlags are the settings of commands that bring mail in.
func deliveryFlags() (list []cli.Flag) {
	for i := range settings {
		if settings[i].Delivery {
			list = append(list, settings[i].flag())
		}
	}
	return list
}

// settingFlags are the flags of all settings.
func settingFlags() (flags []cli.Flag) {
	for i := range settings {
		flags = append(flags, settings[i].flag())
	}
	return flags
}

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
	if findFlag(c.Flags, "user") != nil && findFlag(c.Flags, "quota") == nil {
		f := settingOf("quota").flag().(*cli.StringFlag)
		f.Hidden = true
		c.Flags = append(c.Flags, f)
	}
	if (n.MTA || findFlag(c.Flags, "user") != nil) && findFlag(c.Flags, "location") == nil {
		c.Flags = append(c.Flags, locationFlag())
	}
}
