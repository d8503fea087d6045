"""The shapes of rows: which keys tell a dataset, for those that are read and those that are only recognised."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from dc_tools.core.records import Fields


class Format(StrEnum):
    """The formats that are read; `auto` decides row by row."""

    AUTO = "auto"
    HUMANEVAL = "humaneval"
    HUMANEVAL_PLUS = "humaneval+"
    MBPP = "mbpp"
    LEETCODE = "leetcode"
    RLLM_LEETCODE = "rllm_leetcode"
    KODCODE = "kodcode"
    RSTAR = "rstar"
    LIVECODEBENCH = "livecodebench"
    SANDBOXFUSION = "sandboxfusion"
    TACO = "taco"
    APPS = "apps"
    CODECONTESTS = "codecontests"
    CODEFORCES = "codeforces"
    SYNTHETIC1 = "synthetic1"
    DEEPCODER = "deepcoder"
    PLAIN = "plain"


SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (Format.HUMANEVAL_PLUS, ("task_id", "prompt", "entry_point", "base_input")),
    (Format.HUMANEVAL, ("task_id", "prompt", "entry_point", "canonical_solution", "test")),
    (Format.LEETCODE, ("task_id", "completion", "entry_point", "test")),
    (Format.MBPP, ("text", "code", "test_list")),
    (Format.KODCODE, ("question", "solution", "test", "test_info")),
    (Format.RSTAR, ("question_id", "question", "inputs", "outputs")),
    (Format.LIVECODEBENCH, ("question_content", "public_test_cases")),
    (Format.SYNTHETIC1, ("prompt", "verification_info")),
    (Format.CODECONTESTS, ("public_tests", "private_tests")),
    (Format.CODEFORCES, ("id", "official_tests")),
    (Format.CODEFORCES, ("id", "official_tests_complete")),
    (Format.APPS, ("problem_id", "question", "input_output")),
    (Format.TACO, ("question", "input_output")),
    (Format.SANDBOXFUSION, ("content", "test")),
    (Format.RLLM_LEETCODE, ("problem", "tests.functional")),
    (Format.DEEPCODER, ("problem", "tests")),
    (Format.PLAIN, ("tests",)),
)
"""Name and telling keys, the more telling shapes first; `tests.functional` is the key of an object in `tests`."""
SHOWN_KEYS = 8


def keys_of(fields: Fields) -> list[str]:
    """The keys of a row, and those of an object in its `tests`."""
    is_object = bytes(memoryview(fields.get("tests", b""))[:1]) == b"{"
    inner = fields.get_as("tests", dict[str, msgspec.Raw], {}) if is_object else {}
    return [*fields, *(f"tests.{key}" for key in inner)]


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
