package main

// Random cases: inputs of every kind that follow from a seed, in the form of cases.jsonl. What is not sensible to compare is
// not made: numbers of expressions have a fraction, for whole ones are doubles in Go and integers in the Rust agent; whole
// numbers elsewhere fit into a double; maps are never printed in an order that Go leaves to chance.

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strconv"
	"strings"
)

type maker struct {
	*rand.Rand
	// Whether words are ASCII: what cuts texts in templates cuts bytes in Go, and may leave halves of characters.
	ascii bool
	// Whether the pattern in the making has a named group: the Rust agent takes each name once.
	named bool
}

func (m *maker) pick(of ...string) string { return of[m.Intn(len(of))] }

// sometimes is true once in n times.
func (m *maker) sometimes(n int) bool { return m.Intn(n) == 0 }

func (m *maker) key() string {
	return m.pick("a", "b", "c", "name", "items", "x.y", "0", "kind", "ab", "abc")
}

func (m *maker) word() string {
	if m.ascii {
		return m.pick("", "a", "b", "abc", "Hello World", " spaced ", "<b> & \"c\"", "line\nbreak", "1", "12.50", "true", "a-b_c.d",
			"kcp:root:org", "\t", "null", "x=1,y=2", "\\1", "$1", "aab", "bbba")
	}
	return m.pick("", "a", "b", "abc", "Hello World", " spaced ", "<b> & \"c\"", "ünï→😀", "line\nbreak", "1", "12.50", "true",
		"a-b_c.d", "kcp:root:org", "\t", "null", "x=1,y=2", "\u2028", "\\1", "$1", "aab", "bbba")
}

func (m *maker) number() any {
	switch m.Intn(5) {
	case 0:
		return m.Intn(2000) - 1000
	case 1:
		return m.Int63n(1 << 50)
	case 2:
		return float64(m.Intn(4000)-2000) / 8
	case 3:
		return 1.5e12
	default:
		return m.Intn(4)
	}
}

func (m *maker) value(depth int) any {
	if depth > 0 {
		switch m.Intn(6) {
		case 0, 1:
			return m.object(depth - 1)
		case 2, 3:
			list := make([]any, m.Intn(4))
			same := m.Intn(3)
			for i := range list {
				switch same {
				case 0:
					list[i] = m.object(depth - 1)
				case 1:
					list[i] = m.word()
				default:
					list[i] = m.value(depth - 1)
				}
			}
			return list
		}
	}
	switch m.Intn(8) {
	case 0:
		return nil
	case 1:
		return m.sometimes(2)
	case 2, 3, 4:
		return m.number()
	default:
		return m.word()
	}
}

func (m *maker) object(depth int) map[string]any {
	out := map[string]any{}
	for range m.Intn(5) {
		out[m.key()] = m.value(depth)
	}
	return out
}

func raw(value any) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err)
	}
	return json.RawMessage(strings.TrimSpace(b.String()))
}

// segment is one part of a path that leads somewhere in an object of this maker.
func (m *maker) segment() string {
	return m.pick("a", "b", "c", "name", "items", `x\.y`, "0", "1", "2", "kind", "ab", "abc", "missing")
}

func (m *maker) query() string {
	value := m.pick(`"a"`, `"abc"`, "1", "2", "true", "null", `"a*"`, "0.5")
	operator := m.pick("==", "!=", "<", "<=", ">", ">=", "%", "!%")
	inner := m.pick("a", "b", "name", "kind", "c") + operator + value
	if m.sometimes(5) {
		inner = m.pick("a", "b", "name")
	}
	return "#(" + inner + ")" + m.pick("", "#")
}

func (m *maker) readPath() string {
	parts := []string{m.segment()}
	for range m.Intn(4) {
		switch m.Intn(8) {
		case 0:
			parts = append(parts, "#")
		case 1:
			parts = append(parts, m.query())
		case 2:
			parts = append(parts, m.pick("a*", "*", "?", "??", "*b*", "n*e"))
		default:
			parts = append(parts, m.segment())
		}
	}
	path := strings.Join(parts, ".")
	if m.sometimes(6) {
		path += "|" + m.pick("@reverse", "@flatten", "@keys", "@values", "@this", "@tostr", "@join", "@ugly", "0", "#", "a")
	}
	return path
}

func (m *maker) writePath() string {
	parts := []string{}
	for range 1 + m.Intn(4) {
		parts = append(parts, m.pick("a", "b", "c", "name", "items", `x\.y`, "0", "1", "3", "-1", ":0", "new", "ab"))
	}
	if m.sometimes(8) {
		parts[m.Intn(len(parts))] = m.pick("#", "*", m.query())
	}
	return strings.Join(parts, ".")
}

func (m *maker) atom(depth int) string {
	if depth > 0 && m.sometimes(4) {
		open := m.pick("(", "(", "(?:", "(?i:", "(?P<n>", "(?s:")
		if open == "(?P<n>" {
			if m.named {
				open = "("
			}
			m.named = true
		}
		return open + m.pattern(depth-1) + ")"
	}
	return m.pick("a", "b", "c", "1", ".", `\d`, `\w`, `\s`, `\D`, `\W`, `\S`, "[ab]", "[^a]", "[a-c1]", "[[:alpha:]]", `\b`, `\B`,
		`\.`, `\x61`, `\pL`, `\p{Greek}`, "-", `[\d.]`, `\Q.*\E`, "^", "$", `\A`, `\z`, "H", "ü", `[\]a]`, " ", `\n`, "[a&&b]", "[a-]")
}

func (m *maker) pattern(depth int) string {
	var out strings.Builder
	for range 1 + m.Intn(4) {
		out.WriteString(m.atom(depth))
		if m.sometimes(3) {
			out.WriteString(m.pick("*", "+", "?", "*?", "+?", "??", "{1}", "{0,2}", "{2,}", "{1,2}?", "{,2}", "**"))
		}
		if m.sometimes(7) {
			out.WriteString("|")
		}
	}
	return out.String()
}

func (m *maker) replacement() string {
	var out strings.Builder
	for range m.Intn(4) {
		out.WriteString(m.pick("$1", "${1}", "$0", "$n", "${n}", "$$", "$", "${", "x", "-", `\1`, "$1x", "$2", "$-", "${9}", "é"))
	}
	return out.String()
}

// text is a pipeline that gives a string, for what came before gives one.
func (m *maker) textFunction() string {
	if !m.ascii {
		return m.pick("upper", "lower", "trim", "quote", "squote", "b64enc", "sha1sum", "shortHash", "initials", "toJson", "html", "js",
			"urlquery", "toString", `default "x"`, "nospace", "repeat 2", `cat "z"`, `replace "a" "bc"`, `printf "%v"`)
	}
	return m.pick("upper", "lower", "trim", "title", "untitle", "swapcase", "initials", "nospace", "quote", "squote", "b64enc",
		"b32enc", "sha1sum", "sha256sum", "sha3sum", "sha3short", "sha3short 8", "shortHash", "trunc 3", "trunc -2", "indent 2",
		"nindent 1", `replace "a" "bc"`, `trimSuffix "c"`, `trimPrefix "a"`, `trimAll "ab"`, `default "x"`, "toString", "toJson",
		`cat "z"`, "repeat 2", "plural \"one\" \"many\" | printf \"%s\"", `regexReplaceAll "a(b?)" "x" | printf "%v"`, "substr 0 2",
		"html", "js", "urlquery", `toString | printf "%q"`, `toString | printf "%5s|"`, `toString | printf "%-6s|"`,
		`toString | printf "%x"`, `printf "%s"`, `printf "%q"`, "abbrev 5", "adler32sum")
}

func (m *maker) numberFunction() string {
	return m.pick("add 2", "sub 3", "mul 3", "max 5", "min 5", "int", "int64", "float64", "toString", "add1", `printf "%d"`,
		`int | printf "%05d"`, `printf "%v"`, "quote", `default 7`, "ceil", "floor", "round 1", "mod 7", "div 3", "toJson")
}

func (m *maker) field() string {
	path := ".LocalObject"
	if m.sometimes(6) {
		path = ".RemoteObject"
	}
	for range 1 + m.Intn(2) {
		path += "." + m.pick("a", "b", "c", "name", "items", "kind", "missing")
	}
	return path
}

func (m *maker) pipeline() string {
	switch m.Intn(8) {
	case 0:
		return m.field()
	case 1:
		return strconv.Quote(m.word()) + " | " + m.textFunction()
	case 2:
		return strconv.Quote(m.word()) + " | " + m.textFunction() + " | " + m.textFunction()
	case 3:
		return fmt.Sprintf("%d | %s", m.Intn(100)-20, m.numberFunction())
	case 4:
		return m.field() + " | " + m.numberFunction()
	case 5:
		return m.pick(".Value", ".Value.String", ".Value.Int", ".Value.Exists", ".Value.Type", ".Value.Float", ".Value.IsArray")
	case 6:
		return m.field() + " | toJson"
	default:
		return m.field() + " | " + m.textFunction()
	}
}

func (m *maker) condition() string {
	comparison := m.pick("eq", "ne", "lt", "le", "gt", "ge")
	switch m.Intn(5) {
	case 0:
		return m.field()
	case 1:
		return fmt.Sprintf("%s %s %q", comparison, m.field(), m.word())
	case 2:
		return fmt.Sprintf("%s %d %d", comparison, m.Intn(3), m.Intn(3))
	case 3:
		return fmt.Sprintf("and %s (not %s)", m.field(), m.field())
	default:
		return fmt.Sprintf("or (empty %s) (hasKey .LocalObject %q)", m.field(), m.key())
	}
}

func (m *maker) template(depth int) string {
	var out strings.Builder
	for range 1 + m.Intn(3) {
		out.WriteString(m.pick("", "", "x", " - ", "\n", "<p>"))
		kind := m.Intn(6)
		if depth == 0 {
			kind = 5
		}
		left, right := m.pick("{{ ", "{{ ", "{{- "), m.pick(" }}", " }}", " -}}")
		switch kind {
		case 0:
			fmt.Fprintf(&out, "%sif %s%s%s{{ else }}%s{{ end }}", left, m.condition(), right, m.template(depth-1), m.template(depth-1))
		case 1:
			fmt.Fprintf(&out, "%srange $i, $e := %s%s{{ $i }}={{ $e | toJson }};{{ end }}", left, m.field(), right)
		case 2:
			fmt.Fprintf(&out, "%swith %s%s{{ . | toJson }}{{ else }}none{{ end }}", left, m.field(), right)
		case 3:
			fmt.Fprintf(&out, "{{ $v := %s }}{{ $v }}", m.pipeline())
		default:
			out.WriteString(left + m.pipeline() + right)
		}
	}
	return out.String()
}

// celObject has numbers with a fraction only.
func (m *maker) celObject() map[string]any {
	some := func() any { return float64(2*m.Intn(20)-19) / 4 }
	words := []any{}
	for range m.Intn(4) {
		words = append(words, m.word())
	}
	numbers := []any{}
	for range m.Intn(4) {
		numbers = append(numbers, some())
	}
	return map[string]any{
		"n": some(), "m": some(), "s": m.word(), "t": m.word(), "yes": m.sometimes(2), "words": words, "numbers": numbers,
		"map": map[string]any{"a": some(), "b": some()}, "none": nil,
	}
}

func (m *maker) celNumber(depth int) string {
	if depth == 0 {
		return m.pick("self.n", "self.m", "1.5", "2.0", "-0.25", "self.map.a", "self.map['b']")
	}
	switch m.Intn(6) {
	case 0:
		if m.sometimes(4) {
			// What comes out even has few digits.
			return fmt.Sprintf("(%s / %s)", m.celNumber(depth-1), m.pick("2.0", "-4.0", "0.5"))
		}
		// Of two unknown types cel-go guesses one when it compiles.
		return fmt.Sprintf("(0.0 + %s %s %s)", m.celNumber(depth-1), m.pick("+", "-", "*"), m.celNumber(depth-1))
	case 1:
		return fmt.Sprintf("double(size(%s))", m.celText(depth-1))
	case 2:
		return fmt.Sprintf("(%s ? %s : %s)", m.celBool(depth-1), m.celNumber(depth-1), m.celNumber(depth-1))
	case 3:
		return fmt.Sprintf("double(int(0.0 + %s))", m.celNumber(depth-1))
	case 4:
		return fmt.Sprintf("self.numbers[%d]", m.Intn(3))
	default:
		return "-" + m.celNumber(0)
	}
}

func (m *maker) celText(depth int) string {
	if depth == 0 {
		return m.pick("self.s", "self.t", "'a'", `"b\"c"`, "r'\\d'", "'ü'", "self['s']", "''")
	}
	switch m.Intn(5) {
	case 0:
		return fmt.Sprintf("('' + %s + %s)", m.celText(depth-1), m.celText(depth-1))
	case 1:
		// cel-go has no text for a number that is reached by an index.
		return fmt.Sprintf("string(0.0 + %s)", m.celNumber(depth-1))
	case 2:
		return fmt.Sprintf("(%s ? %s : %s)", m.celBool(depth-1), m.celText(depth-1), m.celText(depth-1))
	case 3:
		return fmt.Sprintf("self.words[%d]", m.Intn(3))
	default:
		return fmt.Sprintf("string(%s)", m.celBool(depth-1))
	}
}

func (m *maker) celBool(depth int) string {
	if depth == 0 {
		return m.pick("self.yes", "true", "false", "has(self.n)", "has(self.missing)", "(self.none == null)", "(other == null)", "(value == null)")
	}
	switch m.Intn(9) {
	case 0:
		return fmt.Sprintf("(%s %s %s)", m.celNumber(depth-1), m.pick("<", "<=", ">", ">=", "==", "!="), m.celNumber(depth-1))
	case 1:
		return fmt.Sprintf("(%s %s %s)", m.celText(depth-1), m.pick("<", "<=", ">", ">=", "==", "!="), m.celText(depth-1))
	case 2:
		return fmt.Sprintf("%s.%s(%s)", m.celText(depth-1), m.pick("contains", "startsWith", "endsWith"), m.celText(depth-1))
	case 3:
		return fmt.Sprintf("%s.matches('%s')", m.celText(depth-1), m.pick("a+", "^b", "[0-9]$", ".*", "(?i)HELLO"))
	case 4:
		return fmt.Sprintf("(%s %s %s)", m.celBool(depth-1), m.pick("&&", "||"), m.celBool(depth-1))
	case 5:
		return fmt.Sprintf("!%s", m.celBool(depth-1))
	case 6:
		return fmt.Sprintf("(%s in self.words)", m.celText(depth-1))
	case 7:
		return fmt.Sprintf("self.words.%s(w, w.startsWith(%s))", m.pick("all", "exists", "exists_one"), m.celText(0))
	default:
		return fmt.Sprintf("('%s' in self.map)", m.pick("a", "b", "c"))
	}
}

func (m *maker) cel() string {
	switch m.Intn(7) {
	case 0:
		return m.celNumber(3)
	case 1:
		return m.celText(3)
	case 2:
		return m.celBool(3)
	case 3:
		return fmt.Sprintf("self.words.map(w, '' + w + %s)", m.celText(1))
	case 4:
		return fmt.Sprintf("self.numbers.filter(n, n > %s).map(n, n * %s)", m.celNumber(0), m.celNumber(0))
	case 5:
		return fmt.Sprintf("{'k': %s, %s: [%s, %s]}", m.celNumber(1), m.celText(0), m.celBool(1), m.celText(1))
	default:
		return fmt.Sprintf("[%s, %s] + self.words", m.celText(2), m.celText(1))
	}
}

func (m *maker) testCase() testCase {
	whole := func() json.RawMessage { return raw(m.object(3)) }
	ref := func(s string) *string { return &s }
	switch m.Intn(12) {
	case 0, 1:
		return testCase{Get: ref(m.readPath()), In: whole()}
	case 2, 3:
		return testCase{Set: ref(m.writePath()), In: whole(), Value: raw(m.value(1))}
	case 4:
		return testCase{Delete: ref(m.writePath()), In: whole()}
	case 5, 6, 7:
		text := m.word() + m.word() + m.word()
		m.named = false
		return testCase{Regex: ref(m.pattern(2)), Replacement: m.replacement(), Text: text}
	case 8, 9:
		m.ascii = !m.sometimes(4)
		c := testCase{Local: whole(), Remote: whole()}
		c.Template = ref(m.template(2))
		if m.sometimes(2) {
			c.Value = raw(m.value(1))
		}
		m.ascii = false
		return c
	default:
		c := testCase{Cel: ref(m.cel()), Self: raw(m.celObject())}
		if m.sometimes(2) {
			c.Other = raw(m.celObject())
		}
		return c
	}
}

// random makes so many cases that follow from a seed.
func random(count int, seed int64) []testCase {
	m := maker{Rand: rand.New(rand.NewSource(seed))}
	all := make([]testCase, count)
	for i := range all {
		all[i] = m.testCase()
	}
	return all
}
