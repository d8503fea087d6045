"""open-r1's Codeforces rows become drafts; their checkers, called otherwise than ours, judge in the real sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.lines import read_lines
from dc_tools.core.records import CheckerType, Line, Mode, Problem, Status
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.sandbox.judge import JudgePool

ROW: dict[str, Any] = {
    "id": "852/A",
    "aliases": None,
    "contest_id": "852",
    "contest_name": "Bubble Cup X - Finals",
    "contest_type": "ICPC",
    "contest_start": 1504432800,
    "contest_start_year": 2017,
    "index": "A",
    "time_limit": 1.0,
    "memory_limit": 256.0,
    "title": "Digits",
    "description": "Split the number.",
    "input_format": "One integer.",
    "output_format": "Two integers with that sum.",
    "interaction_format": None,
    "note": "Sums count.",
    "examples": [{"input": "5", "output": "2 3"}],
    "editorial": None,
    "rating": 2500,
    "tags": ["brute force", "math"],
    "testset_size": 2,
    "official_tests": [{"input": "5\n", "output": "2 3\n"}, {"input": "9\n", "output": "4 5\n"}],
    "official_tests_complete": True,
    "input_mode": "stdio",
    "generated_checker": None,
    "executable": True,
    "generated_tests": 0,
}
CHECKER = """
import sys
from dataclasses import dataclass

@dataclass
class Pair:
    first: int
    second: int

def main():
    given, answer, output = (open(name).read().split() for name in sys.argv[1:4])
    assert len(answer) == 2, answer
    pair = Pair(*map(int, output))
    print("looked at the pair")
    print(1 if pair.first + pair.second == int(given[0]) else 0)

if __name__ == "__main__":
    main()
"""


def read(**change: Any) -> Draft | Refusal:
    return sources.draft(Line(json.dumps({**ROW, **change}).encode(), "test-00000.parquet"), Format.AUTO)


def problem(**change: Any) -> Problem:
    found = read(**change)
    assert isinstance(found, Draft), found
    return found.problem


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as opened:
        yield opened


def test_a_row_keeps_what_codeforces_says_of_it() -> None:
    found = problem()
    assert (found.id, found.mode, found.solutions) == ("codeforces/852/A", Mode.STDIN, [])
    assert [(t.input, t.output, t.kind.value) for t in found.tests] == [
        ("5", "2 3", "public"), ("9\n", "4 5\n", "private")
    ]  # fmt: skip
    assert (found.limits.time_s, found.limits.memory_mb) == (1.0, 256)
    assert (found.difficulty, found.tags) == ("2500", ["brute force", "math"])
    assert (found.source.split, found.source.date, found.source.native_id) == ("test", "2017-09-03", "852/A")
    assert found.source.url == "https://codeforces.com/problemset/problem/852/A"
    assert found.meta == {"title": "Digits", "official_tests_complete": True}
    assert found.checker.type is CheckerType.DEFAULT


def test_the_published_parquet_file_gives_the_same_problem(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([ROW, {**ROW, "official_tests": None}]), tmp_path / "test-0.parquet")
    found = [sources.draft(line, Format.AUTO) for line in read_lines([str(tmp_path / "test-0.parquet")])]
    assert isinstance(found[0], Draft)
    assert found[0].problem == problem()
    assert isinstance(found[1], Draft)
    assert [test.output for test in found[1].problem.tests] == ["2 3"]


def test_the_statement_has_its_parts_under_headings() -> None:
    assert problem().statement == (
        "Split the number.\n\n## Input\n\nOne integer.\n\n## Output\n\nTwo integers with that sum.\n\n"
        "## Examples\n\nInput\n```\n5\n```\nOutput\n```\n2 3\n```\n\n## Note\n\nSums count."
    )
    assert problem(input_format=None, output_format="", examples=[], note=None).statement == "Split the number."


def test_what_is_absent_is_left_open() -> None:
    absent = dict.fromkeys(key for key in ROW if key not in {"id"})
    found = problem(**absent)
    assert (found.tests, found.difficulty, found.tags) == ([], None, [])
    assert (found.source.date, found.source.url) == (None, None)
    assert (found.limits.time_s, found.limits.memory_mb) == (4.0, 1024)


def test_an_example_with_another_answer_than_the_official_test_stays_beside_it() -> None:
    found = problem(examples=[{"input": "5", "output": "1 4"}])
    assert [(t.input.strip(), t.output.strip()) for t in found.tests] == [("5", "1 4"), ("5", "2 3"), ("9", "4 5")]


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("n = int(input()); print(1, n - 1)", Status.AC),
        ("n = int(input()); print(n // 2, n - n // 2)", Status.AC),
        ("print(1, 1)", Status.WA),
        ("print('no number', 'at all')", Status.WA),
        ("print(1, 2, 3)", Status.WA),
        ("print()", Status.WA),
        ("1 / 0", Status.RE),
    ],
)
def test_a_generated_checker_judges_in_the_sandbox(pool: JudgePool, program: str, status: Status) -> None:
    found = problem(generated_checker=CHECKER)
    assert found.checker.type is CheckerType.CUSTOM
    assert pool.judge(found, program).status is status


@pytest.mark.parametrize(
    ("checker", "status"),
    [
        ("print(1)", Status.AC),
        ("print('1.0\\n')", Status.AC),
        ("print(100)", Status.AC),
        ("print(0)", Status.WA),
        ("print(0.5)", Status.WA),
        ("print('nan')", Status.WA),
        ("import sys; print(1); sys.exit(0)", Status.AC),
        ("import sys; print(1); sys.exit(1)", Status.IE),
        ("print('fine')", Status.IE),
        ("pass", Status.IE),
        ("1 / 0", Status.IE),
        ("import no_such_module", Status.IE),
        ("import sys\nprint(1 if open(sys.argv[2]).read() == '2 3' else 0)", Status.AC),
    ],
)
def test_a_checker_says_one_or_less_or_is_broken(pool: JudgePool, checker: str, status: Status) -> None:
    found = problem(generated_checker=checker, official_tests=[])
    assert pool.judge(found, "print(5, 0)").status is status


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"interaction_format": "Ask me."}, Reason.INTERACTIVE, "the row has an interaction_format"),
        ({"input_mode": "file"}, Reason.PARSE_ERROR, "input_mode is 'file'"),
        ({"generated_checker": "#include <testlib.h>\nint main() {}"}, Reason.NEEDS_CHECKER, "is no Python"),
        ({"description": "See ![](https://espresso.codeforces.com/x.png)"}, Reason.IMAGE, "shows a picture"),
    ],
)
def test_a_row_that_cannot_become_a_problem_has_its_reason(change: dict[str, Any], reason: Reason, said: str) -> None:
    found = read(**change)
    assert isinstance(found, Refusal)
    assert (found.reason, said in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"official_tests": [{"input": "1"}]}, r"\$\.official_tests\[0\]"),
        ({"examples": [{"input": 1, "output": "1"}]}, r"\$\.examples\[0\]\.input"),
        ({"id": 7}, r"\$\.id"),
        ({"tags": "dp"}, r"\$\.tags"),
    ],
)
def test_a_field_of_the_wrong_type_is_a_bad_line_with_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadLine, match=path):
        read(**change)
