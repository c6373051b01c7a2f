package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// policy is what the owner of a key lets the sender of a form upload, as "POST policy" of the
// S3 API reference defines it.
type policy struct {
	expiration  time.Time
	conditions  []condition
	least, most int64 // bytes of the file; most 0: no more is said
}

// condition is one on a field of the form.
type condition struct {
	field, value string
	prefix       bool   // the field begins with value; else it is value
	text         string // as an error shows it
}

func invalidPolicy(format string, args ...any) error {
	return (&failure{400, "InvalidPolicyDocument", ""}).with("Invalid Policy: "+format, args...)
}

func deniedByPolicy(format string, args ...any) error {
	return errAccessDenied.with("Invalid according to Policy: "+format, args...)
}

var errPolicyJSON = invalidPolicy("Invalid JSON.")

// parsePolicy reads the field of that name.
func parsePolicy(text string) (p policy, err error) {
	if text == "" {
		return p, invalidPolicy("Expecting '{' but found End-of-Input")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return p, invalidPolicy("invalid Base64 encoding.")
	}
	var fields map[string]json.RawMessage
	if err := strictJSON(b, &fields); err != nil || fields == nil {
		return p, errPolicyJSON
	}
	for name := range fields {
		if name != "expiration" && name != "conditions" {
			return p, invalidPolicy("Unexpected: %q", name)
		}
	}
	var expires string
	switch raw, there := fields["expiration"]; {
	case !there:
		return p, invalidPolicy("Policy missing expiration.")
	case strictJSON(raw, &expires) != nil:
		return p, errPolicyJSON
	}
	if p.expiration, err = time.Parse(time.RFC3339, expires); err != nil {
		return p, invalidPolicy("Invalid 'expiration' value: '%s'", expires)
	}
	var list []json.RawMessage
	switch raw, there := fields["conditions"]; {
	case !there:
		return p, invalidPolicy("Policy missing conditions.")
	case strictJSON(raw, &list) != nil || list == nil:
		return p, invalidPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, raw := range list {
		if err := p.add(raw); err != nil {
			return p, err
		}
	}
	return p, nil
}

// strictJSON decodes one JSON value.
func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errRecord
	}
	return nil
}

// add reads a condition.
func (p *policy) add(raw json.RawMessage) error {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) > 0 && raw[0] == '{':
		var object map[string]any
		if strictJSON(raw, &object) != nil {
			return errPolicyJSON
		}
		if len(object) != 1 {
			return invalidPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for field, v := range object {
			value, ok := v.(string)
			if !ok {
				return invalidPolicy("Invalid Simple-Condition: value must be a string.")
			}
			p.conditions = append(p.conditions, condition{strings.ToLower(field), value, false, `["eq", "$` + field + `", "` + value + `"]`})
		}
		return nil
	case len(raw) == 0 || raw[0] != '[':
		return invalidPolicy("Invalid condition test: must be a List or Object.")
	}
	var parts []any
	if strictJSON(raw, &parts) != nil {
		return errPolicyJSON
	}
	if len(parts) == 0 {
		return invalidPolicy("Invalid Condition: missing operation identifier.")
	}
	operation, ok := parts[0].(string)
	if !ok {
		return errPolicyJSON
	}
	operation = strings.ToLower(operation)
	if !slices.Contains([]string{"eq", "starts-with", "content-length-range"}, operation) {
		return invalidPolicy("Invalid Condition: unknown operation '%s'.", operation)
	}
	if len(parts) != 3 {
		return invalidPolicy("Invalid %s: wrong number of arguments.", operation)
	}
	if operation == "content-length-range" {
		return p.span(parts[1], parts[2])
	}
	field, ok1 := parts[1].(string)
	value, ok2 := parts[2].(string)
	if !ok1 || !ok2 {
		return errPolicyJSON
	}
	var text bytes.Buffer
	if err := json.Compact(&text, raw); err != nil {
		return errPolicyJSON
	}
	name, ok := strings.CutPrefix(field, "$")
	if !ok {
		name = "" // which no field has: the condition fails
	}
	p.conditions = append(p.conditions, condition{strings.ToLower(name), value, operation == "starts-with", text.String()})
	return nil
}

// span reads the bounds of the file's size.
func (p *policy) span(least, most any) error {
	var bounds [2]int64
	for i, v := range []any{least, most} {
		n, ok := v.(json.Number)
		if s, text := v.(string); text {
			n, ok = json.Number(s), true
		}
		var err error
		if bounds[i], err = n.Int64(); !ok || err != nil || bounds[i] < 0 {
			return errPolicyJSON
		}
	}
	p.least, p.most = max(p.least, bounds[0]), bounds[1]
	return nil
}

// check holds a form against the policy. Each field must be named by a condition.
func (p policy) check(fields map[string]string, now time.Time) error {
	if now.After(p.expiration) {
		return deniedByPolicy("Policy expired.")
	}
	named := map[string]bool{}
	for _, c := range p.conditions {
		named[c.field] = true
		value, there := fields[c.field]
		ok := value == c.value
		if c.prefix {
			ok = strings.HasPrefix(value, c.value)
			if c.field == "content-type" { // a list of them
				ok = !slices.ContainsFunc(strings.Split(value, ","), func(one string) bool { return !strings.HasPrefix(strings.TrimSpace(one), c.value) })
			}
		}
		if !ok || !there && c.value != "" || c.field == "" {
			return deniedByPolicy("Policy Condition failed: %s", c.text)
		}
	}
	var extra []string
	for name := range fields {
		if !named[name] && name != "policy" && name != "x-amz-signature" && name != "file" && !strings.HasPrefix(name, "x-ignore-") {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		return deniedByPolicy("Extra input fields: %s", strings.Join(extra, ", "))
	}
	return nil
}
