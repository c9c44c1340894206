// Records what Go makes of CustomResourceDefinitions, for tests/it/compat_json.rs to compare with.
//
// The Go agent names a schema by the SHA-1 of the JSON of a CRD's spec, as encoding/json writes the types of
// k8s.io/apiextensions-apiserver. This program reads a spec as an API server does (defaults, and once through the internal
// version, which brings free values into their normal form), and prints what the server hands out, the text that is hashed,
// and the hash. It is a module of its own, because nothing else here needs Kubernetes' libraries. A new case is a line
// without its answer. To record all again:
//
//	cd syncagent-core/tests/go/schemas && go run . < cases.jsonl > new && mv new cases.jsonl
//
// A case is one JSON object: {"case": what it is about, "in": the spec of a CRD as somebody writes it}. The answer is the case
// with "served" (the spec as a server shows it), "text" (what is hashed, without the newline at its end) and "hash".
//
// With a number, as in `go run . -random 1000 -seed 7`, it makes so many cases up.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

type testCase struct {
	Case   string          `json:"case"`
	In     json.RawMessage `json:"in"`
	Served json.RawMessage `json:"served,omitempty"`
	Text   string          `json:"text,omitempty"`
	Hash   string          `json:"hash,omitempty"`
}

func main() {
	count := flag.Int("random", 0, "how many cases to make up instead of reading them")
	seed := flag.Int64("seed", 1, "which ones")
	flag.Parse()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	record := func(c testCase) {
		if err := answer(scheme, &c); err != nil {
			fmt.Fprintln(os.Stderr, err, c.Case)
			os.Exit(1)
		}
		if err := out.Encode(c); err != nil {
			fmt.Fprintln(os.Stderr, err, c.Case)
			os.Exit(1)
		}
	}
	if *count > 0 {
		dice := rand.New(rand.NewSource(*seed))
		for i := range *count {
			in, err := json.Marshal(randomSpec(dice))
			if err != nil {
				panic(err)
			}
			record(testCase{Case: fmt.Sprintf("random %d %d", *seed, i), In: in})
		}
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var c testCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err, lines.Text())
			os.Exit(1)
		}
		record(c)
	}
}

// answer does with a spec what an API server and the Go agent do.
func answer(scheme *runtime.Scheme, c *testCase) error {
	written := &v1.CustomResourceDefinition{}
	if err := utiljson.Unmarshal([]byte(fmt.Sprintf(`{"spec":%s}`, c.In)), written); err != nil {
		return err
	}
	scheme.Default(written)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(written, internal, nil); err != nil {
		return err
	}
	served := &v1.CustomResourceDefinition{}
	if err := scheme.Convert(internal, served, nil); err != nil {
		return err
	}
	var err error
	if c.Served, err = plain(served.Spec); err != nil {
		return err
	}
	// What the agent reads is this JSON, and what it hashes has no conversion.
	read := v1.CustomResourceDefinitionSpec{}
	if err := utiljson.Unmarshal(c.Served, &read); err != nil {
		return err
	}
	read.Conversion = nil
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(read); err != nil {
		return err
	}
	sum := sha1.Sum(text.Bytes())
	c.Text = string(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	c.Hash = hex.EncodeToString(sum[:])
	return nil
}

// plain is JSON whose texts stand as they are, for people who read the cases.
func plain(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

var texts = []string{
	"", "a", "size", "<b>&amp;'\"\\", "line\nbreak\ttab\r", "\b\f\x01\x7f", "\u2028\u2029", "größe", "😀", "a/b.c", "x-y",
}

var floats = []any{
	0, 1, -1, 0.5, 1e-7, 1e-6, 1e20, 1e21, 1.5e300, -2.25, 9007199254740993, 123456789.125, 0.1, 3.0, -0.0000012, 5e-324,
}

var flags = []string{
	"exclusiveMaximum", "exclusiveMinimum", "uniqueItems", "nullable", "x-kubernetes-preserve-unknown-fields",
	"x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
}

var plainTexts = []string{
	"id", "$schema", "$ref", "description", "type", "format", "title", "pattern", "x-kubernetes-list-type",
	"x-kubernetes-map-type", "unknown",
}

var numbers = []string{"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"}

func pick[T any](dice *rand.Rand, from []T) T { return from[dice.Intn(len(from))] }

func some(dice *rand.Rand, make func() any) []any {
	out := []any{}
	for range dice.Intn(3) {
		out = append(out, make())
	}
	return out
}

func free(dice *rand.Rand, depth int) any {
	switch dice.Intn(8) {
	case 0:
		return nil
	case 1:
		return dice.Intn(2) == 0
	case 2:
		return pick(dice, floats)
	case 3, 4:
		if depth > 0 {
			return some(dice, func() any { return free(dice, depth-1) })
		}
	case 5, 6:
		if depth > 0 {
			out := map[string]any{}
			for range dice.Intn(4) {
				out[pick(dice, texts)] = free(dice, depth-1)
			}
			return out
		}
	}
	return pick(dice, texts)
}

func randomSchema(dice *rand.Rand, depth int) map[string]any {
	out := map[string]any{}
	maybe := func(key string, odds int, make func() any) {
		if dice.Intn(odds) == 0 {
			out[key] = make()
		}
	}
	text := func() any { return pick(dice, texts) }
	for _, key := range plainTexts {
		maybe(key, 5, text)
	}
	for _, key := range flags {
		maybe(key, 6, func() any { return dice.Intn(2) == 0 })
	}
	for _, key := range numbers {
		maybe(key, 8, func() any { return dice.Intn(3) })
	}
	for _, key := range []string{"maximum", "minimum", "multipleOf"} {
		maybe(key, 6, func() any { return pick(dice, floats) })
	}
	maybe("required", 4, func() any { return some(dice, text) })
	maybe("x-kubernetes-list-map-keys", 6, func() any { return some(dice, text) })
	maybe("enum", 6, func() any { return some(dice, func() any { return free(dice, 2) }) })
	maybe("default", 5, func() any { return free(dice, 3) })
	maybe("example", 8, func() any { return free(dice, 3) })
	maybe("externalDocs", 8, func() any { return map[string]any{"description": text(), "url": text()} })
	maybe("x-kubernetes-validations", 6, func() any {
		return some(dice, func() any {
			rule := map[string]any{"rule": text()}
			for _, key := range []string{"message", "messageExpression", "reason", "fieldPath"} {
				if dice.Intn(3) == 0 {
					rule[key] = text()
				}
			}
			if dice.Intn(3) == 0 {
				rule["optionalOldSelf"] = dice.Intn(2) == 0
			}
			return rule
		})
	})
	if depth == 0 {
		return out
	}
	below := func() any { return randomSchema(dice, depth-1) }
	schemas := func() any {
		all := map[string]any{}
		for range dice.Intn(4) {
			all[pick(dice, texts)] = below()
		}
		return all
	}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		maybe(key, 8, func() any { return some(dice, below) })
	}
	maybe("not", 10, below)
	maybe("properties", 2, schemas)
	maybe("patternProperties", 10, schemas)
	maybe("definitions", 10, schemas)
	maybe("items", 4, func() any {
		if dice.Intn(4) == 0 {
			return some(dice, below)
		}
		return below()
	})
	for _, key := range []string{"additionalProperties", "additionalItems"} {
		maybe(key, 5, func() any {
			if dice.Intn(2) == 0 {
				return dice.Intn(2) == 0
			}
			return below()
		})
	}
	maybe("dependencies", 10, func() any {
		all := map[string]any{}
		for range dice.Intn(3) {
			if dice.Intn(2) == 0 {
				all[pick(dice, texts)] = below()
			} else {
				all[pick(dice, texts)] = some(dice, text)
			}
		}
		return all
	})
	return out
}

func randomSpec(dice *rand.Rand) map[string]any {
	text := func() any { return pick(dice, texts) }
	names := map[string]any{"plural": "things", "kind": "Thing"}
	for _, key := range []string{"singular", "listKind"} {
		if dice.Intn(3) == 0 {
			names[key] = text()
		}
	}
	for _, key := range []string{"shortNames", "categories"} {
		if dice.Intn(3) == 0 {
			names[key] = some(dice, text)
		}
	}
	spec := map[string]any{"group": "example.io", "scope": pick(dice, []any{"Cluster", "Namespaced"}), "names": names}
	if dice.Intn(4) == 0 {
		spec["preserveUnknownFields"] = dice.Intn(2) == 0
	}
	if dice.Intn(3) == 0 {
		spec["conversion"] = map[string]any{"strategy": "None"}
	}
	versions := []any{}
	for i := range 1 + dice.Intn(2) {
		version := map[string]any{"name": fmt.Sprintf("v%d", i+1), "served": dice.Intn(2) == 0, "storage": i == 0}
		maybe := func(key string, make func() any) {
			if dice.Intn(3) == 0 {
				version[key] = make()
			}
		}
		version["schema"] = map[string]any{"openAPIV3Schema": randomSchema(dice, 3)}
		maybe("deprecated", func() any { return dice.Intn(2) == 0 })
		maybe("deprecationWarning", text)
		maybe("subresources", func() any {
			out := map[string]any{}
			if dice.Intn(2) == 0 {
				out["status"] = map[string]any{}
			}
			if dice.Intn(2) == 0 {
				scale := map[string]any{"specReplicasPath": text()}
				if dice.Intn(2) == 0 {
					scale["labelSelectorPath"] = text()
				}
				out["scale"] = scale
			}
			return out
		})
		maybe("additionalPrinterColumns", func() any {
			return some(dice, func() any {
				column := map[string]any{"name": text(), "type": text(), "jsonPath": text(), "priority": dice.Intn(3)}
				for _, key := range []string{"format", "description"} {
					if dice.Intn(2) == 0 {
						column[key] = text()
					}
				}
				return column
			})
		})
		maybe("selectableFields", func() any {
			return some(dice, func() any { return map[string]any{"jsonPath": text()} })
		})
		versions = append(versions, version)
	}
	spec["versions"] = versions
	return spec
}
