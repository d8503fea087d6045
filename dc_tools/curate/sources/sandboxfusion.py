"""SandboxFusion's packings: CodeContests with tests as JSON text, LiveCodeBench v1 with a prompt and packed tests.

Neither has solutions: the `canonical_solution` of the latter is a placeholder that only exits.
"""

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from dc_tools.core.records import Limits, Line, Mode, Problem, Solution, Source, Test, TestKind
from dc_tools.curate.draft import Draft
from dc_tools.curate.reading.functional import call_tests, checker_for, entry_for
from dc_tools.curate.reading.unpack import Unreadable, read_json, unpacked
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.sources.livecodebench import TIME_S
from dc_tools.curate.statements.statement import checker_of

DATASET = "sandboxfusion"
PLACEHOLDER = "import sys; sys.exit(0)"
CODEFORCES = re.compile(r"(\d+)_(\w+)(?:\. .*)?", re.DOTALL)
PROMPT = re.compile(r"### Question:\n(.*?)(?=\n### Format: |\Z)", re.DOTALL)
STARTER = re.compile(r"### Format: .*?```python\n(.*?)```", re.DOTALL)


class Stdin(msgspec.Struct):
    """A test's input."""

    stdin: str


class Stdout(msgspec.Struct):
    """What is expected of it."""

    stdout: str


class Case(msgspec.Struct):
    """One test of CodeContests."""

    input: Stdin
    output: Stdout


class Tests(msgspec.Struct):
    """The tests of LiveCodeBench, unpacked."""

    inputs: list[str]
    outputs: list[str]
    fn_name: str | None = None


class Labels(msgspec.Struct):
    """What is read of `labels`."""

    difficulty: str = ""
    name: str = ""
    source: str = ""
    task_id: str = ""
    category: str = ""


class Row(msgspec.Struct):
    """What is read of a row."""

    id: str | int
    content: str
    test: str
    labels: str = "{}"
    canonical_solution: str = ""


def draft(line: Line) -> Draft | Refusal:
    """The problem of one row."""
    row = line.decode(Row)
    try:
        labels = read_json(row.labels, Labels, "labels")
        if row.test.lstrip().startswith("["):
            cases = read_json(row.test, list[Case], "test")
            problem = _problem(row, labels, row.content)
            problem.tests = [Test(each.input.stdin, each.output.stdout, TestKind.PRIVATE) for each in cases]
            problem.checker = checker_of(problem.statement, problem.tests)
            return Draft(problem)
        return _live_code_bench(row, labels, _unpacked_tests(row.test))
    except Unreadable as error:
        return error.refusal


def _unpacked_tests(text: str) -> Tests:
    held = unpacked(text, "test")
    found = held.get("input_output") if isinstance(held, dict) else held
    if not isinstance(found, str):
        raise Unreadable(Reason.PARSE_ERROR, "test: packed without the text input_output")
    return read_json(found, Tests, "test")


def _live_code_bench(row: Row, labels: Labels, tests: Tests) -> Draft | Refusal:
    if len(tests.inputs) != len(tests.outputs):
        return Refusal(Reason.PARSE_ERROR, f"{len(tests.inputs)} inputs and {len(tests.outputs)} outputs")
    question, starter = PROMPT.search(row.content), STARTER.search(row.content)
    problem = _problem(row, labels, (question[1] if question else row.content).strip())
    if tests.fn_name is None:
        problem.tests = [Test(*case) for case in _cases(tests)]
        problem.checker = checker_of(problem.statement, problem.tests)
        return Draft(problem)
    entry = entry_for(tests.fn_name, "", starter[1] if starter else "")
    if isinstance(entry, Refusal):
        return entry
    left_out: Counter[str] = Counter()
    problem.mode, problem.entry, problem.tests = Mode.FUNCTION, entry, call_tests(_cases(tests), left_out)
    problem.checker = checker_for(problem)
    return Draft(problem, left_out=left_out)


def _cases(tests: Tests) -> Iterator[tuple[str, str, TestKind]]:
    for given, wanted in zip(tests.inputs, tests.outputs, strict=True):
        yield given, wanted, TestKind.PRIVATE


def _problem(row: Row, labels: Labels, statement: str) -> Problem:
    collection = "live_code_bench" if labels.task_id else "code_contests"
    given = row.canonical_solution.strip()
    return Problem(
        id=f"{DATASET}/{collection}/{row.id}",
        tests=[],
        statement=statement,
        limits=Limits(time_s=TIME_S) if labels.task_id else Limits(),
        solutions=[Solution(row.canonical_solution)] if given not in ("", PLACEHOLDER) else [],
        source=Source(f"{DATASET}/{collection}", "", str(row.id), _url(labels)),
        difficulty=labels.difficulty.lower() or None,
        meta={key: value for key, value in msgspec.structs.asdict(labels).items() if value and key != "difficulty"},
    )


def _url(labels: Labels) -> str | None:
    platform, name = labels.source.lower(), labels.name
    if labels.task_id:
        platform, _, name = labels.task_id.partition("/")
    task = CODEFORCES.fullmatch(name)
    if platform != "codeforces" or not task:
        return None
    return f"https://codeforces.com/problemset/problem/{task[1]}/{task[2]}"
