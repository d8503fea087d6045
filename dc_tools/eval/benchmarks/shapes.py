"""Recognizing data files by the keys of their first row, so that a wrong file is named for what it is."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.lines import read_lines
from dc_tools.core.records import Fields

_SHAPES: tuple[tuple[str, frozenset[str]], ...] = (
    ("HumanEval+", frozenset({"task_id", "prompt", "entry_point", "plus_input"})),
    ("HumanEval", frozenset({"task_id", "prompt", "entry_point", "test"})),
    ("MBPP", frozenset({"task_id", "text", "test_list"})),
    ("LiveCodeBench", frozenset({"question_content", "public_test_cases"})),
    ("TACO", frozenset({"question", "input_output"})),
    ("SYNTHETIC-1", frozenset({"prompt", "verification_info"})),
    ("LeetCodeDataset", frozenset({"task_id", "starter_code", "input_output"})),
    ("AIME", frozenset({"problem", "answer"})),
    ("human-eval samples", frozenset({"task_id", "completion"})),
    ("EvalPlus samples", frozenset({"task_id", "solution"})),
    ("dc/1 problems", frozenset({"id", "tests"})),
)

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json")


def shape_of(keys: Sequence[str]) -> str | None:
    """The name of the format whose rows have these keys, or None."""
    return next((name for name, needed in _SHAPES if needed <= set(keys)), None)


def find_file(data: Path, stem: str) -> Path:
    """`data` itself, or in a folder `stem` with one of SUFFIXES. Errors: `CannotRun`."""
    if data.is_file():
        return data
    if not data.is_dir():
        raise CannotRun(f"--data {data}: no such file or folder")
    for suffix in SUFFIXES:
        if (data / f"{stem}{suffix}").is_file():
            return data / f"{stem}{suffix}"
    raise CannotRun(f"--data {data}: there is no {stem}{' or '.join(SUFFIXES)} in it")


def read_rows(file: Path, wanted: str) -> Iterator[dict[str, Any]]:
    """The rows of `file`, which must be in the format called `wanted`. Errors: `CannotRun` says what it looks like."""
    empty = True
    for line in read_lines([str(file)]):
        keys = _keys(line.raw)
        if shape_of(keys) != wanted:
            raise CannotRun(f"{file}:{line.number}: not {wanted} data: it {_looks(keys)}")
        empty = False
        yield json.loads(line.raw)  # orjson makes floats of integers beyond 64 bits
    if empty:
        raise CannotRun(f"{file}: no rows")


def _keys(raw: bytes) -> list[str]:
    try:
        return list(Fields.parse(raw))
    except BadLine:
        return []


def _looks(keys: Sequence[str]) -> str:
    found = shape_of(keys)
    if found:
        return f"looks like {found}"
    return f"has the keys {', '.join(keys)}" if keys else "holds no JSON objects, one a line"
