"""CodeContests' rows become drafts: enumerations get names, kinds of tests and limits are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.lines import read_lines
from dc_tools.core.records import CheckerType, Line, Mode
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.filters import references_of
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal

ROW: dict[str, Any] = {
    "name": "1548_C. The Three Little Pigs",
    "description": "Count pigs.\n\nInput\n\nOne integer.\n\nExample\n\n<image>",
    "public_tests": {"input": ["1\n"], "output": ["2\n"]},
    "private_tests": {"input": [], "output": []},
    "generated_tests": {"input": ["3\n", "4\n"], "output": ["6\n", "8\n"]},
    "source": 2,
    "difficulty": 9,
    "solutions": {
        "language": [1, 2, 4, 3, 0, 9],
        "solution": ["print 1", "int main(){}", "class A{}", "print(2)", "?", "!"],
    },
    "incorrect_solutions": {"language": [3], "solution": ["print(0)"]},
    "cf_contest_id": 1548,
    "cf_index": "C",
    "cf_points": 1500.0,
    "cf_rating": 2500,
    "cf_tags": ["dp", "math", ""],
    "is_description_translated": False,
    "untranslated_description": "",
    "time_limit": {"seconds": 1, "nanos": 500000000},
    "memory_limit_bytes": 256000000,
    "input_file": "",
    "output_file": "",
}


def read(**change: Any) -> Draft | Refusal:
    return sources.draft(Line(json.dumps({**ROW, **change}).encode(), "code_contests_valid.jsonl"), Format.AUTO)


def draft(**change: Any) -> Draft:
    found = read(**change)
    assert isinstance(found, Draft), found
    return found


def test_a_row_keeps_what_codecontests_says_of_it() -> None:
    found = draft().problem
    assert (found.id, found.mode) == ("codecontests/1548_C. The Three Little Pigs", Mode.STDIN)
    assert [(t.input, t.output, t.kind.value) for t in found.tests] == [
        ("1\n", "2\n", "public"), ("3\n", "6\n", "generated"), ("4\n", "8\n", "generated")
    ]  # fmt: skip
    assert (found.difficulty, found.tags, found.meta) == ("c", ["dp", "math"], {"site": "codeforces", "rating": 2500})
    assert (found.limits.time_s, found.limits.memory_mb) == (1.5, 245)
    assert (found.source.split, found.source.license) == ("valid", "CC-BY-4.0")
    assert found.source.url == "https://codeforces.com/problemset/problem/1548/C"


def test_the_published_parquet_file_gives_the_same_problem(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{**ROW, "time_limit": {"seconds": 1, "nanos": 500000000}}, {**ROW, "time_limit": None, "cf_tags": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "valid-00000-of-00001.parquet")
    lines = list(read_lines([str(tmp_path / "valid-00000-of-00001.parquet")]))
    found = [sources.draft(line, Format.AUTO) for line in lines]
    assert isinstance(found[0], Draft)
    assert found[0].problem == draft().problem
    assert isinstance(found[1], Draft)
    assert (found[1].problem.limits.time_s, found[1].problem.tags) == (4.0, [])


def test_languages_are_named_and_python_2_is_not_taken_for_python() -> None:
    found = draft().problem
    assert [each.lang for each in found.solutions] == ["python2", "cpp", "java", "python", "unknown", "unknown"]
    assert references_of(found, 1) == [3]
    only = references_of(draft(solutions={"language": [1, 2], "solution": ["print 1", "x"]}).problem, 1)
    assert isinstance(only, Refusal)
    assert only.detail == "only in cpp, python2"


@pytest.mark.parametrize(
    ("time", "memory", "limits"),
    [
        (None, 0, (4.0, 1024)),
        ({"seconds": 2, "nanos": None}, 1, (2.0, 1)),
        ({"seconds": None, "nanos": 250000000}, 512 << 20, (0.25, 512)),
        ({"seconds": 0, "nanos": 0}, -5, (4.0, 1024)),
        ({"seconds": 10**9}, 1 << 60, (3600.0, 1 << 20)),
        (3.5, "268435456", (3.5, 256)),
        ("2s", None, (2.0, 1024)),
        ("{'seconds': 5, 'nanos': 0}", None, (5.0, 1024)),
    ],
)
def test_limits_are_read_in_every_spelling_and_clamped(time: Any, memory: Any, limits: tuple[float, int]) -> None:
    found = draft(time_limit=time, memory_limit_bytes=memory).problem.limits
    assert (found.time_s, found.memory_mb) == limits


def test_what_is_unknown_is_left_open() -> None:
    absent = dict.fromkeys(("generated_tests", "solutions", "source", "difficulty", "cf_contest_id", "cf_tags"))
    found = draft(**absent, cf_rating=0).problem
    assert (found.difficulty, found.tags, found.meta, found.solutions, found.source.url) == (None, [], {}, [], None)
    assert draft(difficulty=0, source=99).problem.difficulty is None


def test_the_statement_chooses_the_checker_where_the_outputs_bear_it_out() -> None:
    error = "Print it with absolute or relative error at most 10^{-4} (or 10 - 9)."
    outputs = {"input": ["1"], "output": ["0.50"]}
    found = draft(description=error, private_tests=outputs).problem.checker
    assert (found.type, found.tolerance) == (CheckerType.FLOAT, 1e-9)
    assert draft(description=error).problem.checker.type is CheckerType.DEFAULT
    vague = draft(description="A small relative error is allowed.", private_tests=outputs).problem.checker
    assert (vague.type, vague.tolerance) == (CheckerType.FLOAT, 1e-6)
    case = "You can print each letter in any case."
    yes = {"input": ["1"], "output": ["YES\n"]}
    assert draft(description=case, private_tests=yes).problem.checker.type is CheckerType.YESNO
    assert draft(description=case).problem.checker.type is CheckerType.DEFAULT


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"input_file": "input.txt"}, Reason.PARSE_ERROR, "the program works on the file input.txt"),
        ({"output_file": "out"}, Reason.PARSE_ERROR, "the program works on the file out"),
        ({"description": "Given <image> find x."}, Reason.IMAGE, "the statement shows a picture: <image> find x."),
        ({"description": "This is an interactive problem."}, Reason.INTERACTIVE, "interactive"),
        ({"public_tests": {"input": ["1"], "output": []}}, Reason.PARSE_ERROR, "public_tests: 1 inputs and 0 outputs"),
        ({"solutions": {"language": [3], "solution": []}}, Reason.PARSE_ERROR, "0 programs and 1 languages"),
        ({"time_limit": "{'seconds': __import__('os')}"}, Reason.UNSAFE_PAYLOAD, "code where data belongs"),
    ],
)
def test_a_row_that_cannot_become_a_problem_has_its_reason(change: dict[str, Any], reason: Reason, said: str) -> None:
    found = read(**change)
    assert isinstance(found, Refusal)
    assert (found.reason, said in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"public_tests": {"input": [1], "output": ["1"]}}, r"\$\.public_tests\.input\[0\]"),
        ({"solutions": {"language": ["PYTHON3"], "solution": ["x"]}}, r"\$\.solutions\.language\[0\]"),
        ({"public_tests": []}, r"\$\.public_tests"),
        ({"name": None}, r"\$\.name"),
    ],
)
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadLine, match=path):
        read(**change)
