"""The shapes of rows: which keys tell a dataset, for those that are read and those that are only recognised."""

from collections.abc import Iterable
from enum import StrEnum


class Format(StrEnum):
    """The formats that are read; `auto` decides row by row."""

    AUTO = "auto"
    HUMANEVAL = "humaneval"
    HUMANEVAL_PLUS = "humaneval+"
    MBPP = "mbpp"
    LEETCODE = "leetcode"
    LIVECODEBENCH = "livecodebench"
    SANDBOXFUSION = "sandboxfusion"
    PLAIN = "plain"


SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (Format.HUMANEVAL_PLUS, ("task_id", "prompt", "entry_point", "base_input")),
    (Format.HUMANEVAL, ("task_id", "prompt", "entry_point", "canonical_solution", "test")),
    (Format.LEETCODE, ("task_id", "completion", "entry_point", "test")),
    (Format.MBPP, ("text", "code", "test_list")),
    ("KodCode", ("question", "solution", "test", "test_info")),
    ("rStar-Coder", ("question_id", "starter_code", "inputs", "outputs")),
    (Format.LIVECODEBENCH, ("question_content", "public_test_cases")),
    ("SYNTHETIC-1", ("verification_info",)),
    ("CodeContests", ("public_tests", "private_tests")),
    ("open-r1/codeforces", ("official_tests",)),
    ("TACO or APPS", ("question", "input_output")),
    (Format.SANDBOXFUSION, ("content", "test")),
    ("DeepCoder-Preview or rllm", ("problem", "tests")),
    (Format.PLAIN, ("tests",)),
)
"""Name and telling keys, the more telling shapes first."""
SHOWN_KEYS = 8


def shape_of(keys: Iterable[str]) -> str | None:
    """The name of the shape that a row with these keys has, or None."""
    present = set(keys)
    return next((str(name) for name, telling in SHAPES if present.issuperset(telling)), None)


def described(keys: Iterable[str]) -> str:
    """What a row with these keys looks like, in words."""
    names = list(keys)
    shape = shape_of(names)
    if shape:
        telling = next(telling for name, telling in SHAPES if name == shape)
        return f"looks like {shape} ({', '.join(telling)})"
    shown = ", ".join(names[:SHOWN_KEYS]) + (", ..." if len(names) > SHOWN_KEYS else "")
    return f"has the keys {shown}" if names else "is an empty object"


def chosen(wanted: Format, keys: Iterable[str]) -> Format | str:
    """The format to read a row with these keys as; else, in words, why it cannot be read."""
    names = list(keys)
    shape = shape_of(names)
    if wanted is not Format.AUTO and shape != wanted:
        return f"not a {wanted} row: it {described(names)}"
    if shape is None:
        return f"no known format: the row {described(names)}"
    if shape not in set(Format):
        return f"{described(names)}: not supported yet"
    return Format(shape)
