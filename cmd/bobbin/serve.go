package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/imap"
	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/readers/server"
)

// Where is served when nobody says where.
const (
	defaultLMTP = "127.0.0.1:10024"
	defaultPOP2 = "127.0.0.1:10109"
	defaultPOP3 = "127.0.0.1:10110"
	defaultIMAP = "127.0.0.1:10143"
)

func (a *app) serveCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Take mail from Postfix on a socket in its queue directory; main.cf has virtual_transport = lmtp:unix:private/bobbin.",
				"bobbin serve --lmtp unix:/var/spool/postfix/private/bobbin"},
			{"Take mail from another machine, encrypted, and say who that is.",
				"bobbin serve --lmtp 10.0.0.5:24 --tls-cert cert.pem --tls-key key.pem --trusted 10.0.0.1"},
		},
		SeeAlso: []string{"bobbin-deliver(1)", "bobbin-config(1)", "lmtp(8)"},
	}, &cli.Command{
		Name:  "serve",
		Usage: "take mail by LMTP, show it by IMAP and POP",
		Description: "Serves LMTP (RFC 2033), IMAP (RFC 3501, RFC 9051), POP3 (RFC 1939) and its forerunners until it is interrupted, and then lets every client finish its command. Without any address all but POP are served to this host. " +
			"A message that comes by LMTP for several recipients is " +
			"taken once and delivered to one after the other; 250 means that it is durable there. bobbin-config(1) has the rules for addresses under detail-separator, local-domains, catch-all and address-case, and says how mail that comes twice is dropped. An unknown user is refused with " +
			"550 5.1.1; whatever can mend itself is a temporary error. Each recipient is a line of the log, on standard error or where --log-to says. With --location each delivery is a process of its own, which becomes the user, unless the server does not run as root and --forward is off. There is no IMAP and no POP then. " +
			"IMAP shows all folders, and tells of what other hosts and programs do to them within 2 s. POP3 shows INBOX as it is at login. Neither locks anything; both take passwords with TLS or from this host; see plain-login in bobbin-config(1). POP2 and POP have no TLS. " +
			"With --http the server has a page that tells how it is, counters for Prometheus at /metrics, and /healthz and /readyz say whether it is alive and can do its work; docs/operations.md explains them. " +
			"Root opens the sockets and then becomes the owner of the spool.",
		Flags: append([]cli.Flag{
			spoolFlag(), locationFlag(),
			&cli.StringSliceFlag{Name: "lmtp", Usage: "serve LMTP at `ADDRESS`: HOST:PORT or unix:PATH; may be repeated", DefaultText: defaultLMTP},
			&cli.StringSliceFlag{Name: "pop", Usage: "serve the first POP (RFC 918) at `ADDRESS`", DefaultText: "none"},
			&cli.StringSliceFlag{Name: "pop2", Usage: "serve POP2 (RFC 937) at `ADDRESS`", DefaultText: defaultPOP2},
			&cli.StringSliceFlag{Name: "pop3", Usage: "serve POP3 at `ADDRESS`", DefaultText: defaultPOP3},
			&cli.StringSliceFlag{Name: "pop3s", Usage: "serve POP3 with TLS from the beginning at `ADDRESS`", DefaultText: "none"},
			&cli.StringSliceFlag{Name: "imap", Usage: "serve IMAP at `ADDRESS`", DefaultText: defaultIMAP},
			&cli.StringSliceFlag{Name: "imaps", Usage: "serve IMAP with TLS from the beginning at `ADDRESS`", DefaultText: "none"},
			httpFlag(), httpTokenFlag(),
			&cli.Int64Flag{Name: "max-size", Usage: "take messages of at most `BYTES`", Value: 128 << 20},
			settingOf("trusted").flag(), settingOf("tls-cert").flag(), settingOf("tls-key").flag(), settingOf("tls-client-ca").flag(),
		}, slices.Concat(loginFlags(), popFlags(), deliveryFlags())...),
		Action: a.serve,
	})
}

func (a *app) serve(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	o := lmtp.Options{MaxSize: c.Int64("max-size"), Scratch: scratchFile}
	if o.MaxSize <= 0 {
		return usageErrorf("--max-size is a number of bytes above 0")
	}
	var err error
	if o.Log, err = a.logger(c); err != nil {
		return err
	}
	if o.Trusted, err = networks(c.String("trusted")); err != nil {
		return err
	}
	if o.TLS, err = serverTLS(c.String("tls-cert"), c.String("tls-key"), o.Log); err != nil {
		return err
	}
	if err := clientCertificates(o.TLS, c.String("tls-client-ca")); err != nil {
		return err
	}
	o.Name, _ = os.Hostname()
	// Before root becomes the owner of the spool.
	doors, err := a.openDoors(c)
	if err != nil {
		return err
	}
	defer func() {
		for _, d := range doors {
			_ = d.Close()
		}
	}()
	frame := &server.Server{Log: o.Log}
	m, web, err := openMonitor(c, frame)
	if err != nil {
		return err
	}
	protocols, done, err := a.protocols(c, o, m)
	if err != nil {
		return errors.Join(err, closeHTTP(web))
	}
	defer done()
	if web != nil {
		defer m.serveHTTP(c.Context, web, o.Log)()
		if _, err := fmt.Fprintf(a.out, "HTTP at %s\n", address(web)); err != nil {
			return err
		}
	}
	serve := make([]server.Listener, len(doors))
	for i, d := range doors {
		serve[i] = server.Listener{Listener: d, Protocol: protocols[d.protocol]}
		if d.tls {
			serve[i].TLS = o.TLS
		}
		if _, err := fmt.Fprintf(a.out, "%s at %s\n", strings.ToUpper(d.flag), address(d)); err != nil {
			return err
		}
	}
	return frame.Run(c.Context, serve...)
}

// door is a socket that clients come in by.
type door struct {
	net.Listener
	flag     string // that opened it
	protocol string
	tls      bool   // from the first byte
	standard string // its address when none is given; "" for none
}

// kinds are the doors there may be.
var kinds = []door{
	{flag: "lmtp", protocol: "lmtp", standard: defaultLMTP},
	{flag: "pop", protocol: "pop"},
	{flag: "pop2", protocol: "pop2", standard: defaultPOP2},
	{flag: "pop3", protocol: "pop3", standard: defaultPOP3},
	{flag: "pop3s", protocol: "pop3", tls: true},
	{flag: "imap", protocol: "imap", standard: defaultIMAP},
	{flag: "imaps", protocol: "imap", tls: true},
}

// openDoors opens what the flags name, or the default ones.
func (a *app) openDoors(c *cli.Context) (doors []door, err error) {
	var wanted []door
	var at []string
	for _, d := range kinds {
		for _, address := range c.StringSlice(d.flag) {
			wanted, at = append(wanted, d), append(at, address)
		}
		switch {
		case d.protocol != "lmtp" && c.IsSet(d.flag) && a.location(c) != "":
			return nil, usageErrorf("--%s shows the mail in a spool, and not what is at --location", d.flag)
		case d.tls && c.IsSet(d.flag) && c.String("tls-cert") == "":
			return nil, usageErrorf("--%s needs --tls-cert and --tls-key", d.flag)
		}
	}
	if len(wanted) == 0 {
		for _, d := range kinds {
			if d.standard != "" && (d.protocol == "lmtp" || a.location(c) == "") {
				wanted, at = append(wanted, d), append(at, d.standard)
			}
		}
	}
	for i, d := range wanted {
		d.Listener, err = server.Listen(at[i])
		if errors.Is(err, server.ErrAddress) {
			err = usageErrorf("--%s: %v", d.flag, err)
		}
		if err != nil {
			for _, d := range doors {
				_ = d.Close()
			}
			return nil, err
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func address(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return l.Addr().String()
}

// networks reads a list of addresses and networks.
func networks(list string) (nets []netip.Prefix, err error) {
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			var at netip.Addr
			if at, err = netip.ParseAddr(word); err == nil {
				p, err = at.Prefix(at.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: trusted: %q is neither an address nor a network such as 10.0.0.0/8", errConfig, word)
		}
		nets = append(nets, p)
	}
	return nets, nil
}

// scratchFile is a file without a name, on a disk of the host's own.
func scratchFile() (lmtp.Scratch, error) { return unnamedFile() }

func unnamedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "bobbin-message-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// protocols returns what is spoken behind the doors, watched by m. done ends it
// when nobody is served any more.
func (a *app) protocols(c *cli.Context, o lmtp.Options, m *monitor) (list map[string]server.Protocol, done func(), err error) {
	backend, err := a.lmtpBackend(c, o.Log)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for name, p := range list {
			p.Meter = m.meter(name)
			list[name] = p
		}
	}()
	list = map[string]server.Protocol{"lmtp": lmtp.New(m.backend(backend), o).Protocol()}
	in, ok := backend.(*spoolBackend)
	if !ok {
		return list, func() {}, nil
	}
	m.share(in.spool)
	logins, err := a.logins(c, in.spool, o.Name, o.Log)
	if err != nil {
		return nil, nil, err
	}
	logins.Tried = m.login
	boxes := &pool.Pool{Spool: in.spool, Polled: m.polls.Observe, Opened: m.hosts.note}
	p, err := a.popOptions(c, o.Name)
	if err != nil {
		return nil, nil, err
	}
	p.TLS, p.Log = o.TLS, o.Log
	show := pop.New(logins, &popBackend{boxes}, p)
	list["pop"], list["pop2"], list["pop3"] = show.POP(), show.POP2(), show.Protocol()
	list["imap"] = imap.New(&imapBackend{boxes}, logins, imap.Options{Name: o.Name, Version: buildVersion(), TLS: o.TLS, MaxSize: o.MaxSize, Log: o.Log}).Protocol()
	in.delivered = boxes.Delivered
	return list, func() { show.Wait(); boxes.CloseIdle() }, nil
}

// lmtpBackend delivers into the spool, or runs "bobbin deliver" for users whose
// mail is elsewhere.
func (a *app) lmtpBackend(c *cli.Context, log *slog.Logger) (lmtp.Backend, error) {
	rules, err := a.rules(c)
	if err != nil {
		return nil, err
	}
	once, ids, err := duplicates(c)
	if err != nil {
		return nil, err
	}
	if location := a.location(c); location != "" {
		if _, err := a.quota(c); err != nil {
			return nil, err
		}
		if _, err := expand(location, "user@example.org", "/home/user"); err != nil {
			return nil, err
		}
		b := &apartBackend{app: a, rules: rules, flags: append(childFlags(c), dashed("log-to")+"="+logToStderr), once: once, turn: make(chan struct{}, apartAtOnce)}
		b.listed = strings.HasPrefix(location, homeTemplate)
		forwards, err := isOn(c, "forward")
		if a.env.Root || forwards || err != nil {
			return b, err
		}
		b.turn = make(chan struct{}, largeAtOnce)
		return &rootsBackend{apartBackend: b, location: location, messageIDs: ids, settings: c}, nil
	}
	s, err := a.openSpool(c)
	if err != nil {
		return nil, err
	}
	quota, err := a.liveQuota(c, s, log)
	if err != nil {
		return nil, err
	}
	return &spoolBackend{spool: s, rules: rules, once: once, messageIDs: ids, quota: quota, turn: make(chan struct{}, largeAtOnce)}, nil
}

// wait takes a turn, of which there are as many as the channel holds.
func wait(ctx context.Context, turn chan struct{}) (done func(), err error) {
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
