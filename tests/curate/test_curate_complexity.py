"""Complexity of programs in many languages, and of what is no program."""

import random
import time

import pytest

from dc_tools.curate.complexity import DEFINITION, LARGEST, LIZARD, Complexity, Unmeasured, complexity_of

LOOP = "for (int i = 0; i < n; i++) { if (i % 2 && n > 3) { n--; } else { n++; } }"
"""Complexity 4 with its function: the loop, the condition, and its `&&`."""
PROGRAMS = {
    "c++": f"#include <vector>\nint g() {{ return 1; }}\nint main() {{ int n = 9; {LOOP} return n; }}",
    "c": f"int g(void) {{ return 1; }}\nint main(void) {{ int n = 9; {LOOP} return n; }}",
    "java": f"class A {{ int g() {{ return 1; }} int main(int n) {{ {LOOP} return n; }} }}",
    "c#": f"class A {{ int g() {{ return 1; }} int main(int n) {{ {LOOP} return n; }} }}",
    "javascript": f"function main(n) {{ {LOOP.replace('int', 'let')} return n; }}",
    "typescript": f"function main(n: number): number {{ {LOOP.replace('int', 'let')} return n; }}",
    "go": "func main() {\n for i := 0; i < n; i++ {\n  if i > 2 && n > 3 {\n   n--\n  }\n }\n}\n",
    "rust": "fn main() { for i in 0..n { if i > 2 && n > 3 { n -= 1; } } }",
    "kotlin": "fun main() {\n for (i in 0..n) {\n  if (i > 2 && n > 3) { n-- }\n }\n}\n",
    "ruby": "def main(n)\n while n > 0\n  if n > 2 && n > 3\n   n -= 1\n  end\n end\nend\n",
    "php": "<?php\nfunction main($n) { while ($n) { if ($n > 2 && $n > 3) { $n--; } } }\n?>",
    "swift": "func main() { for i in 0..<n { if i > 2 && n > 3 { n -= 1 } } }",
    "scala": "object A {\n def main(n: Int): Int = {\n  while (n > 0) { if (n > 2 && n > 3) { n } }\n  n\n }\n}\n",
    "python2": "def main(n):\n    for i in n:\n        if i and n:\n            print i\n",
}


@pytest.mark.parametrize("lang", PROGRAMS)
def test_the_highest_function_is_named_in_every_language(lang):
    found = complexity_of(PROGRAMS[lang], lang)
    assert (found.value, found.block.replace("::", ".").split(".")[-1], found.definition) == (4, "main", LIZARD)


def test_the_record_says_who_counted():
    assert complexity_of(PROGRAMS["java"], "java").to_dict() == {
        "value": 4, "block": "A::main", "definition": "lizard cyclomatic, highest function",
    }
    assert complexity_of("if x: y = 1").to_dict() == {"value": 2, "block": "<module>", "definition": DEFINITION}


@pytest.mark.parametrize(
    ("names", "same_as"),
    [
        (["cpp", "CPP17", "GNU C++17 (64)", "C++20 (GCC 13-64)", "MS C++ 2017", "g++", "gnu++17"], "c++"),
        (["GNU C11", "gcc"], "c"), (["Java 11 (64)", "JAVA"], "java"), (["Node.js (15.8.0)", "js"], "javascript"),
        (["C# 8, .NET Core 3.1", "csharp"], "c#"), (["golang", "Go 1.19.5"], "go"), (["Rust 2021"], "rust"),
        (["Kotlin 1.7"], "kotlin"), (["Python 2", "python2", "PyPy 2-64"], "python2"),
    ],
)
def test_languages_go_by_many_names(names, same_as):
    for name in names:
        assert complexity_of(PROGRAMS[same_as], name) == complexity_of(PROGRAMS[same_as], same_as), name


@pytest.mark.parametrize("name", ["python", "Python 3", "PyPy 3-64", "py3", " Python "])
def test_python_is_counted_by_radon(name):
    assert complexity_of("def f(x):\n    return [i for i in x if i]", name) == Complexity(3, "f", DEFINITION)


def test_where_the_two_count_python_differently():
    code = "def f(x):\n    assert x\n    for i in x:\n        pass\n    else:\n        pass\n"
    assert complexity_of(code, "python3") == Complexity(4, "f", DEFINITION)
    assert complexity_of(code, "python2") == Complexity(2, "f", LIZARD)


@pytest.mark.parametrize("name", ["haskell", "unknown", "", "D", "7", "Delphi 7", "Cobol"])
def test_of_an_unknown_language_there_is_no_number(name):
    with pytest.raises(Unmeasured, match=r"^nothing counts the complexity of"):
        complexity_of("main = print 1", name)


def test_statements_outside_of_functions_are_a_block_of_their_own():
    assert complexity_of("if (a) { b(); }\nif (c) { d(); }", "js") == Complexity(3, "<module>", LIZARD)
    assert complexity_of("", "c++") == Complexity(1, "<module>", LIZARD)


def test_what_is_too_long_is_not_looked_at():
    began = time.perf_counter()
    for lang, definition in (("c++", LIZARD), ("python", DEFINITION)):
        limit = LARGEST[definition]
        with pytest.raises(Unmeasured, match=f"^{limit + 1} characters, more than the {limit}"):
            complexity_of("\n" * (limit + 1), lang)
    with pytest.raises(Unmeasured, match=r"^1000000 characters"):
        complexity_of("x = 1;\n" * 142_857 + "\n", "java")
    assert time.perf_counter() - began < 0.5
    assert complexity_of("\n" * LARGEST[LIZARD], "c++").value == 1


JUNK = "".join(map(chr, (random.Random(5).randrange(1, 0x300) for _ in range(4096))))
HOSTILE = {
    "braces": "int f(){" + "{a" * 2000, "templates": "${<a>" * 800, "escapes": '"\\' * 2000, "comments": "/*1" * 1400,
    "surrogates": "\ud800\0" * 99, "junk": JUNK,
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_ends_soon_and_quietly(code, capfd):
    began = time.perf_counter()
    for lang in ("c++", "js", "rust", "ruby"):
        try:
            assert complexity_of(code, lang).value >= 1
        except Unmeasured as error:
            assert str(error).startswith("lizard cannot read it: ")
    assert time.perf_counter() - began < 5
    assert capfd.readouterr() == ("", "")
