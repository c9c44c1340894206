// Records what Go's libraries make of the cases in cases.jsonl, for tests/it/mutation.rs to compare with.
//
// The versions of the libraries are pinned in go.mod: they are those of the Go agent. A new case is a line without its
// answer. To record all again:
//
//	cd syncagent-core/tests/go && go run . < cases.jsonl > new && mv new cases.jsonl
//
// Inputs that nobody thought of are made at random, and follow from a seed; random.jsonl holds a few hundred of them, and
// .ci/run compares 10,000:
//
//	go run . -random 600 -seed 1 > random.jsonl
//
// A case is one JSON object. Its kind is told by its first key:
//
//	{"name": "@order", "is": object}                                an object for others to name
//	{"get": path, "in": object}                                     gjson
//	{"set": path, "in": object, "value": any}                       sjson
//	{"delete": path, "in": object}                                  sjson
//	{"regex": pattern, "replacement": text, "text": text}           regexp
//	{"template": text, "value": any, "local": object, "remote": object}  text/template with sprig
//	{"cel": expression, "self": object, "other": object, "value": any}  cel-go
//
// The answer is the case with "out" (absent: nothing was found) or "error".
package main

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/google/cel-go/cel"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

type testCase struct {
	Name        string          `json:"name,omitempty"`
	Is          json.RawMessage `json:"is,omitempty"`
	Get         *string         `json:"get,omitempty"`
	Set         *string         `json:"set,omitempty"`
	Delete      *string         `json:"delete,omitempty"`
	Regex       *string         `json:"regex,omitempty"`
	Template    *string         `json:"template,omitempty"`
	Cel         *string         `json:"cel,omitempty"`
	In          json.RawMessage `json:"in,omitempty"`
	Value       json.RawMessage `json:"value,omitempty"`
	Replacement string          `json:"replacement,omitempty"`
	Text        string          `json:"text,omitempty"`
	Local       json.RawMessage `json:"local,omitempty"`
	Remote      json.RawMessage `json:"remote,omitempty"`
	Self        json.RawMessage `json:"self,omitempty"`
	Other       json.RawMessage `json:"other,omitempty"`
	Out         json.RawMessage `json:"out,omitempty"`
	Error       string          `json:"error,omitempty"`
}

var named = map[string]json.RawMessage{}

// resolve puts a named object in the place of its name.
func resolve(raw json.RawMessage) json.RawMessage {
	if bytes.HasPrefix(raw, []byte(`"@`)) {
		return named[strings.Trim(string(raw), `"`)]
	}
	return raw
}

func main() {
	count := flag.Int("random", 0, "make so many cases at random")
	seed := flag.Int64("seed", 1, "what they follow from")
	flag.Parse()
	if *count > 0 {
		out := json.NewEncoder(os.Stdout)
		out.SetEscapeHTML(false)
		for _, c := range random(*count, *seed) {
			result, err := run(c)
			c.Out = result
			if err != nil {
				c.Error = err.Error()
			}
			if err := out.Encode(c); err != nil {
				fmt.Fprintln(os.Stderr, err, c)
				os.Exit(1)
			}
		}
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var c testCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err, lines.Text())
			os.Exit(1)
		}
		if c.Name != "" {
			named[c.Name] = c.Is
		} else {
			result, err := run(c)
			c.Out, c.Error = result, ""
			if err != nil {
				c.Error = err.Error()
			}
		}
		if err := out.Encode(c); err != nil {
			fmt.Fprintln(os.Stderr, err, lines.Text())
			os.Exit(1)
		}
	}
}

func text(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return bytes.TrimSpace(b.Bytes())
}

func run(c testCase) (json.RawMessage, error) {
	switch {
	case c.Get != nil:
		found := gjson.Get(compact(c.In), *c.Get)
		if !found.Exists() {
			return nil, nil
		}
		if found.Raw == "" {
			return text(found.String()), nil
		}
		return json.RawMessage(found.Raw), nil
	case c.Set != nil:
		var value any
		if err := json.Unmarshal(c.Value, &value); err != nil {
			return nil, err
		}
		out, err := sjson.Set(compact(c.In), *c.Set, value)
		if err != nil {
			return nil, err
		}
		return json.RawMessage(out), nil
	case c.Delete != nil:
		out, err := sjson.Delete(compact(c.In), *c.Delete)
		if err != nil {
			return nil, err
		}
		return json.RawMessage(out), nil
	case c.Regex != nil:
		pattern, err := regexp.Compile(*c.Regex)
		if err != nil {
			return nil, err
		}
		return text(pattern.ReplaceAllString(c.Text, c.Replacement)), nil
	case c.Template != nil:
		return renderTemplate(c)
	case c.Cel != nil:
		return evaluate(c)
	}
	return nil, errors.New("a case of no kind")
}

func compact(raw json.RawMessage) string {
	raw = resolve(raw)
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		panic(err)
	}
	out, _ := json.Marshal(value)
	return string(out)
}

// object reads JSON as the API machinery does: whole numbers are int64.
func object(raw json.RawMessage) map[string]any {
	out := map[string]any{}
	raw = resolve(raw)
	if len(raw) == 0 {
		return out
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil {
		panic(err)
	}
	return numbers(out).(map[string]any)
}

func numbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			value[k] = numbers(v)
		}
	case []any:
		for i, v := range value {
			value[i] = numbers(v)
		}
	case json.Number:
		if i, err := value.Int64(); err == nil {
			return i
		}
		f, _ := value.Float64()
		return f
	}
	return value
}

func sha3Hex(s string) string {
	sum := sha3.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func renderTemplate(c testCase) (json.RawMessage, error) {
	functions := sprig.TxtFuncMap()
	functions["sha3sum"] = sha3Hex
	functions["sha3short"] = func(s string, lengths ...int) (string, error) {
		length := 20
		if len(lengths) > 1 {
			return "", errors.New("at most one length")
		}
		if len(lengths) == 1 {
			length = lengths[0]
		}
		if length <= 0 {
			return "", errors.New("the length must be positive")
		}
		return sha3Hex(s)[:min(length, 64)], nil
	}
	functions["shortHash"] = func(value any) string {
		var sum [20]byte
		if s, ok := value.(string); ok {
			sum = sha1.Sum([]byte(s))
		} else {
			var b bytes.Buffer
			_ = json.NewEncoder(&b).Encode(value)
			sum = sha1.Sum(b.Bytes())
		}
		return hex.EncodeToString(sum[:])[:20]
	}
	parsed, err := template.New("inline").Funcs(functions).Parse(*c.Template)
	if err != nil {
		return nil, err
	}
	data := struct {
		Value        gjson.Result
		LocalObject  map[string]any
		RemoteObject map[string]any
	}{LocalObject: object(c.Local), RemoteObject: object(c.Remote)}
	if len(c.Value) > 0 {
		data.Value = gjson.Parse(compact(c.Value))
	}
	var out strings.Builder
	if err := parsed.Execute(&out, data); err != nil {
		return nil, err
	}
	return text(strings.TrimSpace(out.String())), nil
}

func evaluate(c testCase) (json.RawMessage, error) {
	env, err := cel.NewEnv(
		cel.Variable("self", cel.DynType),
		cel.Variable("other", cel.DynType),
		cel.Variable("value", cel.DynType),
	)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(*c.Cel)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	program, err := env.Program(ast)
	if err != nil {
		return nil, err
	}
	plain := func(raw json.RawMessage) any {
		if len(raw) == 0 {
			return nil
		}
		var value any
		if err := json.Unmarshal(resolve(raw), &value); err != nil {
			panic(err)
		}
		return value
	}
	out, _, err := program.Eval(map[string]any{
		"self":  plain(c.Self),
		"other": plain(c.Other),
		"value": plain(c.Value),
	})
	if err != nil {
		return nil, err
	}
	native, err := out.ConvertToNative(reflect.TypeOf(&structpb.Value{}))
	if err != nil {
		return nil, err
	}
	raw, err := protojson.Marshal(native.(*structpb.Value))
	if err != nil {
		return nil, err
	}
	return json.RawMessage(compact(raw)), nil
}
