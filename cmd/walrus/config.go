package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// setting is set by a flag, the environment or the config file, in this order of
// precedence.
type setting struct {
	name  string // in the file; the flag has dashes, the environment WALRUS_ and capitals
	help  string
	truth bool // true or false
	path  bool // relative to where it is written: the file's directory, or the present one
}

const (
	setNetwork    = "network"
	setWallet     = "wallet"
	setPassphrase = "passphrase_file"
	setTrust      = "trust_node"
	setLoose      = "allow_loose_permissions"

	envPrefix  = "WALRUS_"
	configFlag = "config"
	configName = "walrus/config.toml"
)

var settings = []setting{
	{name: setNetwork, help: "network.toml of the network", path: true},
	{name: setWallet, help: "the wallet file", path: true},
	{name: setPassphrase, help: "a file whose first line is the wallet's passphrase", path: true},
	{name: setTrust, help: "take the ledger's answers on a node's word, without proofs", truth: true},
	{name: setLoose, help: "use wallets, keys and passphrase files that other users may read or write", truth: true},
}

func (s setting) flag() string { return strings.ReplaceAll(s.name, "_", "-") }
func (s setting) env() string  { return envPrefix + strings.ToUpper(s.name) }

// settingValue is the effective value of a setting and its source.
type settingValue struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// noDefault is the source of a setting without a value: the user named none, and there is no
// config directory for a default.
const noDefault = "no default"

// configDir is the directory of a user's config and, by default, of wallet and network.
func configDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the config: %w", err)
	}
	return filepath.Join(dir, "walrus"), nil
}

// configPath is the config file and whether the user named it.
func (a *app) configPath() (path string, named bool, err error) {
	if f := a.flags.Lookup(configFlag); f != nil && f.Changed {
		return f.Value.String(), true, nil
	}
	if path, ok := os.LookupEnv(envPrefix + "CONFIG"); ok && path != "" {
		return path, true, nil
	}
	dir, err := configDir()
	if err != nil {
		return "", false, nil // the user named none, and there is no place for one
	}
	return filepath.Join(dir, filepath.Base(configName)), false, nil
}

// readConfig reads the config file. One that the user did not name may be missing.
func (a *app) readConfig() (map[string]any, string, error) {
	path, named, err := a.configPath()
	if err != nil || path == "" {
		return nil, "", err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, path, nil
	}
	if err != nil {
		return nil, path, fmt.Errorf("config file: %w", err)
	}
	values := map[string]any{}
	if err := toml.Unmarshal(b, &values); err != nil {
		var where *toml.DecodeError
		if errors.As(err, &where) {
			return nil, path, fmt.Errorf("config file %s:\n%s", path, where.String())
		}
		return nil, path, fmt.Errorf("config file %s: %w", path, err)
	}
	for name, value := range values {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		if i < 0 {
			return nil, path, fmt.Errorf("config file %s: unknown setting %q: there are %s", path, name, settingNames())
		}
		if _, ok := value.(bool); ok != settings[i].truth {
			return nil, path, fmt.Errorf("config file %s: %s = %v: write %s", path, name, value, settings[i].example())
		}
		if _, ok := value.(string); !ok && !settings[i].truth {
			return nil, path, fmt.Errorf("config file %s: %s = %v: write %s", path, name, value, settings[i].example())
		}
	}
	return values, path, nil
}

func settingNames() string {
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func (s setting) example() string {
	if s.truth {
		return s.name + " = true"
	}
	return s.name + ` = "FILE"`
}

// held reads the effective values of all settings.
func (a *app) held() ([]settingValue, error) {
	file, path, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	var out []settingValue
	for _, s := range settings {
		h, err := a.hold(s, file, path)
		if err != nil {
			return nil, err
		}
		if s.truth {
			truth, err := strconv.ParseBool(h.Value)
			if err != nil {
				return nil, fmt.Errorf("%s is %q (%s): write true or false", s.name, h.Value, h.Source)
			}
			h.Value = strconv.FormatBool(truth)
		}
		out = append(out, h)
	}
	return out, oneStdin(out)
}

func (a *app) hold(s setting, file map[string]any, path string) (settingValue, error) {
	if f := a.flags.Lookup(s.flag()); f != nil && f.Changed {
		return settingValue{s.name, f.Value.String(), "flag --" + s.flag()}, nil
	}
	if v, ok := os.LookupEnv(s.env()); ok && v != "" {
		return settingValue{s.name, v, "environment " + s.env()}, nil
	}
	if v, ok := file[s.name]; ok {
		text := fmt.Sprint(v)
		if s.path {
			text = besideConfig(text, path)
		}
		return settingValue{s.name, text, "file " + path}, nil
	}
	h := settingValue{Name: s.name, Source: "default"}
	dir, err := configDir()
	switch {
	case s.name == setTrust || s.name == setLoose:
		h.Value = "false"
	case s.name != setNetwork && s.name != setWallet: // empty
	case err != nil:
		h.Source = noDefault
	case s.name == setNetwork:
		h.Value = filepath.Join(dir, "network.toml")
	case s.name == setWallet:
		h.Value = filepath.Join(dir, "wallet")
	}
	return h, nil
}

// besideConfig resolves a path of the config file, relative to that file.
func besideConfig(path, config string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(config), path)
}

// setting reads the effective value of one setting.
func (a *app) setting(name string) (settingValue, error) {
	all, err := a.held()
	if err != nil {
		return settingValue{}, err
	}
	i := slices.IndexFunc(all, func(h settingValue) bool { return h.Name == name })
	if all[i].Source == noDefault {
		_, err := configDir()
		s := settings[i]
		return settingValue{}, fmt.Errorf("--%s is not named, nor is %s set: %w", s.flag(), s.env(), err)
	}
	return all[i], nil
}

// strangers are environment variables with our prefix that are no settings: typos, mostly.
func strangers() (out []string) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		known := name == envPrefix+"CONFIG" || slices.ContainsFunc(settings, func(s setting) bool { return s.env() == name })
		if strings.HasPrefix(name, envPrefix) && !known {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (a *app) configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show what holds and where it comes from",
		Long:  "Shows every setting, its value, and where that comes from: a flag, the environment (WALRUS_NETWORK and so on), the config file, or the default; in this order of precedence. A relative path in the config file is relative to the file.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := a.held()
			if err != nil {
				return err
			}
			path, _, err := a.configPath()
			if err != nil {
				return err
			}
			for _, name := range strangers() {
				a.say("walrus: %s in the environment means nothing: is it a typo?", name)
			}
			result := struct {
				File     string         `json:"file"`
				Settings []settingValue `json:"settings"`
			}{path, all}
			return a.print(result, func(w io.Writer) error {
				t := newTable(w)
				t.row("file", path, "")
				for _, h := range all {
					t.row(h.Name, h.Value, h.Source)
				}
				return t.flush()
			})
		},
	}
}
