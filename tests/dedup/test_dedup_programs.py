"""The same program by other names, and programs that only look alike."""

import pytest

from dc_tools.dedup.programs import MOST_PROGRAMS, fingerprint, fingerprints

SUM = (
    "def total(numbers, k):\n    found = 0\n    for x in numbers:\n        if x > k:\n            found += x\n"
    "    return found\n"
)
METHODS = (
    "class S:\n    def solve(self, n):\n        return self.step(n) + n * 2 + 1\n"
    "    def step(self, n):\n        return n - 1\n"
)


def test_names_docstrings_annotations_and_layout_do_not_matter() -> None:
    other = (
        'def f(a: list[int], limit: int) -> int:\n    """Add."""\n    s = 0   # none yet\n\n    for each in a:\n'
        "        if each > limit: s += each\n    return s"
    )
    assert fingerprint(SUM) == fingerprint(other) is not None


@pytest.mark.parametrize(
    ("old", "new"), [("x > k", "x < k"), ("+= x", "-= x"), ("found = 0", "found = 1"), ("x in", "k in")]
)
def test_what_a_program_does_matters(old: str, new: str) -> None:
    assert fingerprint(SUM) != fingerprint(SUM.replace(old, new))


def test_builtins_modules_and_foreign_attributes_keep_their_names() -> None:
    body = "def f(a, b):\n    c = {name}(a) + {name}(b)\n    return c * c + {name}(a) if c else a\n"
    assert fingerprint(body.format(name="min")) != fingerprint(body.format(name="max"))
    assert fingerprint("import math\n" + body.format(name="math.floor")) != fingerprint(
        "import math\n" + body.format(name="math.ceil")
    )


def test_methods_are_followed_through_attributes() -> None:
    renamed = METHODS.replace("step", "go").replace("solve", "run").replace("S:", "T:")
    assert fingerprint(METHODS) == fingerprint(renamed) is not None


@pytest.mark.parametrize("code", ["", "x = 1", "print 1", "(" * 5000, "\0", "a" * 70_000, "-" * 30_000 + "1"])
def test_what_is_no_program_of_some_size_has_none(code: str) -> None:
    assert fingerprint(code) is None


def test_only_so_many_solutions_are_looked_at() -> None:
    assert len(fingerprints([SUM.replace("0", str(i)) for i in range(99)])) == MOST_PROGRAMS
    assert fingerprints(["print 1", SUM]) == {fingerprint(SUM)}
