package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"
)

// errConfig: the configuration file is not what it should be.
var errConfig = errors.New("configuration")

// maxConfig is the largest configuration file, in bytes.
const maxConfig = 64 << 10

// configFile is what a configuration file says.
type configFile struct {
	name   string // "" when there is none
	values map[string]configValue
}

type configValue struct {
	value string
	line  int
}

// from names the place of a value: "FILE:LINE".
func (f *configFile) from(key string) string {
	return fmt.Sprintf("%s:%d", f.name, f.values[key].line)
}

// configFile reads the file that name says, or else the first that is there of
// the user's and the system's.
func (e environment) configFile(name string) (*configFile, error) {
	if name != "" {
		text, err := readConfig(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errConfig, err)
		}
		return parseConfig(name, text)
	}
	for _, name := range e.configFiles() {
		text, err := readConfig(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errConfig, err)
		}
		return parseConfig(name, text)
	}
	return &configFile{}, nil
}

// configFiles lists where a configuration file may be.
func (e environment) configFiles() []string {
	var names []string
	if dir := e.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		names = append(names, filepath.Join(dir, "bobbin", "config.toml"))
	} else if home := e.Getenv("HOME"); filepath.IsAbs(home) {
		names = append(names, filepath.Join(home, ".config", "bobbin", "config.toml"))
	}
	if e.SystemConfig != "" {
		names = append(names, e.SystemConfig)
	}
	return names
}

// readConfig reads a file. One that anybody could have written does not tell
// root what to do.
func readConfig(name string) (string, error) { return readSmall(name, maxConfig) }

// secretLine reads the first line of a file that nobody but its owner may read.
func secretLine(name string) (string, error) {
	i, err := os.Stat(name)
	if err == nil && i.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s: others than its owner may read it; use chmod 600", name)
	}
	if err != nil {
		return "", err
	}
	text, err := readConfig(name)
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRight(line, "\r"), err
}

// readSmall is readConfig with another limit, in bytes.
func readSmall(name string, limit int) (string, error) {
	// O_NONBLOCK: a FIFO must not hang us.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	i, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !i.Mode().IsRegular():
		return "", fmt.Errorf("%s: not a regular file", name)
	case os.Geteuid() == 0 && i.Mode().Perm()&0o002 != 0:
		return "", fmt.Errorf("%s: everybody may write it, so root does not read it; use chmod o-w", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%s: longer than %d bytes", name, limit)
	}
	return string(b), err
}

// parseConfig reads the text of the file name. Every key must be one of
// settings, and a string.
func parseConfig(name, text string) (*configFile, error) {
	raw := map[string]any{}
	meta, err := toml.Decode(text, &raw)
	if bad, ok := errors.AsType[toml.ParseError](err); ok {
		return nil, fmt.Errorf("%w: %s:%d: %s", errConfig, name, bad.Position.Line, bad.Message)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", errConfig, name, err)
	}
	f := &configFile{name: name, values: map[string]configValue{}}
	var known []string
	for _, s := range settings {
		known = append(known, s.Name)
	}
	for _, full := range meta.Keys() {
		key := full[0]
		if _, done := f.values[key]; done {
			continue
		}
		line := lineOf(text, key)
		wrong := func(format string, args ...any) (*configFile, error) {
			return nil, fmt.Errorf("%w: %s:%d: %s", errConfig, name, line, fmt.Sprintf(format, args...))
		}
		if !slices.Contains(known, key) {
			if near := closest(strings.ToLower(key), known); near != "" {
				return wrong("unknown key %q; did you mean %q?", key, near)
			}
			return wrong("unknown key %q; the keys are %s", key, strings.Join(known, ", "))
		}
		value, ok := raw[key].(string)
		switch {
		case !ok:
			return wrong("%s is a string in quotes, not %s", key, aTOML(meta.Type(key)))
		case value == "":
			return wrong("%s is empty; leave it out", key)
		}
		f.values[key] = configValue{value, line}
	}
	return f, nil
}

func aTOML(kind string) string {
	if kind == "Integer" || kind == "Array" || kind == "ArrayHash" {
		return "an " + strings.ToLower(strings.TrimSuffix(kind, "Hash"))
	}
	return "a " + strings.ToLower(cmp.Or(strings.Replace(kind, "Hash", "table", 1), "table"))
}

// lineOf finds the line of a top-level key. The library tells lines in errors
// only, so this is the error of a key that takes no value.
func lineOf(text, key string) int {
	field := reflect.StructField{Name: "Key", Type: reflect.TypeFor[refuser](), Tag: reflect.StructTag(fmt.Sprintf("toml:%q", key))}
	_, err := toml.Decode(text, reflect.New(reflect.StructOf([]reflect.StructField{field})).Interface())
	if bad, ok := errors.AsType[toml.ParseError](err); ok && bad.Position.Line > 0 {
		return bad.Position.Line
	}
	// The library knows no line of a table that only a dotted key makes.
	before, _, _ := strings.Cut("\n"+text, "\n"+key)
	return strings.Count(before, "\n") + 1
}

// refuser is a value that nothing can be read into.
type refuser struct{}

// UnmarshalTOML returns an error, to which the library adds the line.
func (refuser) UnmarshalTOML(any) error { return errConfig }

// fromConfig takes a flag that was not given from the configuration file, which
// is read when it is first asked for.
func (p *lineParser) fromConfig(f cli.Flag) error {
	name := flagNames(f)[0]
	if settingOf(name) == nil || findFlag(p.leaf().Flags, "config") == nil {
		return nil
	}
	if p.config == nil {
		var err error
		if p.config, err = p.app.env.configFile(p.given("config")); err != nil {
			return err
		}
		p.inv.config = p.config.name
	}
	if v, ok := p.config.values[name]; ok {
		p.inv.flags = slices.Insert(p.inv.flags, 0, flagValue{name, v.value, p.config.from(name)})
	}
	return nil
}

// given returns the last value that the command line or the environment gave a
// flag.
func (p *lineParser) given(name string) (value string) {
	for _, v := range p.inv.flags {
		if v.name == name {
			value = v.value
		}
	}
	return cmp.Or(value, p.app.env.Getenv("BOBBIN_"+strings.ToUpper(name)))
}
