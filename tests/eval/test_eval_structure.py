"""The outline of a program."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.eval.structure import LARGEST, MOST, Kind, Part, structure

PROGRAM = """\
import sys
class Solution:
    def solve(self, n):
        if n < 2:
            return n
        return self.solve(n - 1) + self.solve(n - 2)

def main():
    for i in range(3):
        while i:
            try:
                i -= 1
            except (ValueError, IndexError):
                pass
    def inner():
        for _ in (): pass
if __name__ == "__main__":
    main()
"""
PIECES = [*" \n\t:()=*@\\'\"", "def f", "if ", "for x in y", "0", "\0"]


def test_parts_come_in_the_order_of_the_text_with_what_is_known_of_them() -> None:
    assert structure(PROGRAM) == [
        Part(Kind.CLASS, "Solution", 2, 6),
        Part(Kind.FUNCTION, "solve", 3, 6, 1, "complexity 2, recursive"),
        Part(Kind.FUNCTION, "main", 8, 16, 0, "complexity 4"),
        Part(Kind.LOOP, "for i in range(3):", 9, 14, 1),
        Part(Kind.LOOP, "while i:", 10, 14, 2, "inside of 1"),
        Part(Kind.TRY, "ValueError, IndexError", 11, 14, 3),
        Part(Kind.FUNCTION, "inner", 15, 16, 1, "complexity 2"),
        Part(Kind.LOOP, "for _ in (): pass", 16, 16, 2),
    ]


@pytest.mark.parametrize(
    ("code", "recursive"),
    [
        ("def f(n): return n and f(n - 1)", True), ("def f():\n def g(): f()", True),
        ("def f(d): return d.f()", False), ("def f(): return f", False), ("def f(): g()\ndef g(): f()", False),
    ],
)
def test_a_function_that_calls_its_own_name_is_recursive(code: str, recursive: bool) -> None:
    assert structure(code)[0].note.endswith("recursive") is recursive


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("a = 1\nif a\n  b\n", "expected ':'", 2), ("a\0b", "source code string cannot contain null bytes", 1),
        ("(" * 300, "too many nested parentheses", 1), ("-" * 100_000 + "1", "nested too deeply", 1),
        ("x = 1\n" * 800_000, f"4800000 characters, more than the {LARGEST} that are looked at", 1),
    ],
)
def test_what_cannot_be_parsed_is_one_part_that_says_why(code: str, message: str, line: int) -> None:
    assert structure(code) == [Part(Kind.ERROR, message, line, line)]


def test_a_long_outline_is_cut() -> None:
    parts = structure("for x in y: pass\n" * 1000)
    assert parts[MOST - 1:] == [
        Part(Kind.LOOP, "for x in y: pass", MOST, MOST), Part(Kind.MORE, "800 more", MOST + 1, 1000)
    ]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_are_those_of_python(end: str) -> None:
    assert structure(f"a = '\u2028\f'{end}for x in a:{end}  pass") == [Part(Kind.LOOP, "for x in a:", 2, 3)]


@settings(deadline=None, max_examples=200)
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_nothing_makes_it_raise(code: str) -> None:
    assert all(part.line >= 1 for part in structure(code))
