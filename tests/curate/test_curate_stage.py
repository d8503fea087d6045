"""Whole rows through the stage, with the real sandbox: each reason once, nothing lost, the same for any workers."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sortedcontainers

from dc_tools.core.records import Line
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.reading.recording import learned
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.stage import curate, curated
from dc_tools.sandbox.judge import Execution, JudgePool

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SQUARE = "def f(x):\n    return x * x\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def function(code: str, pairs: Iterable[tuple[Any, Any]], **more: Any) -> dict[str, Any]:
    """A record of our own: function `f` with one argument."""
    tests = [{"input": json.dumps([given]), "output": json.dumps(value)} for given, value in pairs]
    entry = {"fn_name": "f"}
    return {"id": "p", "mode": "function", "entry": entry, "tests": tests, "solutions": [code], **more}


def squares(code: str = SQUARE, count: int = 5, **more: Any) -> dict[str, Any]:
    return function(code, [(x, x * x) for x in range(count)], **more)


def mbpp(code: str, asserts: list[str], setup: str = "") -> dict[str, Any]:
    return {"task_id": 1, "text": "t", "code": code, "test_list": asserts, "test_setup_code": setup}


def lines_of(rows: Iterable[dict[str, Any] | bytes]) -> list[Line]:
    raws = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return [Line(raw, "rows", index + 1, index) for index, raw in enumerate(raws)]


def outcome(row: dict[str, Any] | bytes, pool: JudgePool, **settings: Any) -> Outcome:
    return curated(lines_of([row])[0], Settings(**settings), pool).outcome


def kept(row: dict[str, Any], pool: JudgePool, **settings: Any) -> dict[str, Any]:
    found = outcome(row, pool, **settings)
    assert isinstance(found, Kept), found
    record: dict[str, Any] = json.loads(found.line.to_bytes())
    return record


def dropped(row: dict[str, Any], pool: JudgePool, **settings: Any) -> tuple[str, str]:
    """Reason and detail."""
    found = outcome(row, pool, **settings)
    assert isinstance(found, Dropped), found
    curation = json.loads(found.line.to_bytes())["curation"]
    assert curation["reason"] == found.reason
    return curation["reason"], curation["detail"]


def test_a_good_record_is_kept_with_what_was_measured(pool: JudgePool) -> None:
    code = "def f(x):\n    if x > 2:\n        return x * x\n    return x * x or 0\n"
    record = kept(squares(code, note={"mine": 1.50}), pool)
    definition = record["curation"]["complexity"].pop("definition")
    assert definition.startswith("radon")
    assert record["curation"] == {
        "complexity": {"value": 3, "block": "f"},
        "reference": {"solution": 0, "status": "AC", "passed": 5, "total": 5, "runs": 2},
        "coverage": {"covered": 2, "branches": 2, "ratio": 1.0, "conditions": {"covered": 2, "total": 2}},
    }
    assert record["note"] == {"mine": 1.5}
    assert record["solutions"] == [{"code": code}]


def test_a_stdin_record_is_verified_too(pool: JudgePool) -> None:
    row = {
        "id": "p", "tests": [{"input": f"{x}\n", "output": f"{2 * x}\n"} for x in range(5)],
        "solutions": ["x = int(input())\nif x > 100:\n    print(1)\nelse:\n    print(2 * x)\n"],
    }
    assert dropped(row, pool)[0] == "coverage_low"
    assert kept(row, pool, min_coverage=0.5)["curation"]["coverage"]["ratio"] == 0.5


def test_a_custom_checker_decides_and_the_reference_must_still_say_the_same_twice(pool: JudgePool) -> None:
    near = "import sys\no, a = (int(open(n).read()) for n in sys.argv[2:])\nsys.exit(abs(o - a) > 1)\n"
    row = {
        "id": "p", "tests": [{"input": f"{x}\n", "output": f"{2 * x}\n"} for x in range(40)],
        "checker": {"type": "custom", "code": near}, "solutions": ["print(2 * int(input()) + 1)\n"],
    }
    assert kept(row, pool)["curation"]["coverage"]["ratio"] == 1.0
    assert dropped({**row, "solutions": ["print(2 * int(input()) + 2)\n"]}, pool)[0] == "solution_fails"
    noisy = "import time\nprint(2 * int(input()) + time.perf_counter_ns() % 2)\n"
    assert dropped({**row, "solutions": [noisy]}, pool)[0] == "nondeterministic"


def test_solutions_are_tried_in_turn_until_one_passes_and_what_failed_is_on_record(pool: JudgePool) -> None:
    wrong, tangled = "def f(x):\n    return x\n", TANGLE
    solutions = [{"code": wrong}, {"code": "x", "lang": "cpp"}, {"code": tangled}, {"code": SQUARE}]
    found = kept(squares(solutions=solutions), pool)["curation"]
    assert found["refused"] == [{"solution": 0, "status": "WA", "passed": 2, "total": 5}]
    assert found["reference"] == {"solution": 3, "status": "AC", "passed": 5, "total": 5, "runs": 2}
    assert found["complexity"]["value"] == 1
    assert found["other_languages"]["cpp"]["solutions"] == 1
    reason, detail = dropped(squares(solutions=solutions), pool, max_solutions=2)
    assert reason == "solution_fails"
    assert detail.endswith("expected 4, got 2; 1 further fail, too")


LOOP = "def f(x):\n    while True: pass\n"
UNTAKEN = "def f(x):\n    if x > 9:\n        return 0\n    return x * x\n"
TANGLE = "def f(x):\n" + "".join(f"    if x == {i}: return x * x\n" for i in range(20)) + "    return x * x\n"
NOISY_FLOAT = "import time\ndef f(x):\n    return x + 1e-9 * (time.perf_counter_ns() % 100003) / 100003\n"


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (squares(count=4), "few_tests", "4 distinct tests, 5 are asked for"),
        (squares(TANGLE), "complexity_high", "f has complexity 21, above 15"),
        (squares(solutions=[]), "no_solution", "no solution is listed"),
        (squares(solutions=[{"code": "x", "lang": "cpp"}]), "no_solution", "only in cpp"),
        (squares("def f(x): return x"), "solution_fails", "WA on test 3 of 5 (input [2]): value: expected 4, got 2"),
        (squares("def f(x): 1 // x"), "solution_fails", "RE on test 1 of 5 (input [0]): ZeroDivisionError"),
        (squares("def f(x:"), "parse_error", "the solution is not Python that can be read"),
        (squares(LOOP, limits={"time_s": 0.3}), "timeout", "TLE on test 1 of 5 (input [0]): over 0.3 s of CPU"),
        (
            function(NOISY_FLOAT, [(float(x), float(x)) for x in range(5)], checker={"type": "float"}),
            "nondeterministic", "second run, test ",
        ),
        (squares(UNTAKEN), "coverage_low", "the tests take 1 of 2 branches (50%), 80% are asked for"),
        (function("def f(x): x.sort()", [([x], None) for x in range(5)]), "needs_checker", "every expected value is"),
        (function(SQUARE, [(x % 3, x) for x in range(6)]), "parse_error", "tests contradict each other: input [0]"),
        (mbpp(SQUARE, ["assert f({1}) == 1"]), "parse_error", "no test can be said in JSON: a value of type set (1)"),
        (mbpp(SQUARE, ["assert f(2) > 1"]), "needs_checker", "more than one value may be right: f(2) > 1"),
        (mbpp(SQUARE, ["assert f(3)"]), "needs_checker", "an assert of truth alone"),
        (mbpp(SQUARE, ["assert f(1 + 1) == 5"]), "solution_fails", "the row's own test code: AssertionError in line 2"),
    ],
)
def test_each_reason(row: dict[str, Any], reason: str, detail: str, pool: JudgePool) -> None:
    found = dropped(row, pool)
    assert found[0] == reason
    assert found[1].startswith(detail)


def test_a_solution_that_passes_only_sometimes_is_nondeterministic(pool: JudgePool) -> None:
    code = "import os\ndef f(x):\n    return x * x if os.urandom(1)[0] < 128 else -1\n"
    reasons = {dropped(squares(code, 30), pool)[0] for _ in range(3)}
    assert "nondeterministic" in reasons


def test_a_dropped_record_keeps_what_was_measured_before(pool: JudgePool) -> None:
    found = outcome(squares(UNTAKEN), pool)
    assert isinstance(found, Dropped)
    curation = json.loads(found.line.to_bytes())["curation"]
    assert curation["coverage"]["covered"] == 1
    assert curation["complexity"]["value"] == 2
    assert curation["refused"] == [{"solution": 0, "status": "AC", "passed": 5, "total": 5}]


def test_test_code_that_does_not_end_is_a_timeout_without_the_seconds_measured() -> None:
    draft = sources.draft(lines_of([mbpp(LOOP, ["assert f(1 + 1) == 5"])])[0], Format.AUTO)
    assert isinstance(draft, Draft)
    run = Execution("TLE", message="idle: 18.1 s of wall time, 0.01 s of CPU")
    assert learned(draft, run) == Refusal(Reason.TIMEOUT, "the row's own test code: TLE: idle")


@pytest.mark.parametrize(
    ("asserts", "setup", "found"),
    [
        (["assert f([0] * 3) == [0, 0, 0]"], "", [("[[0, 0, 0]]", "[0, 0, 0]")]),
        (["for x in ([1], [2]):\n    assert f(x) == x"], "", [("[[1]]", "[1]"), ("[[2]]", "[2]")]),
        (["assert tuple(f([1])) == (1,)"], "", [("[[1]]", "[1]")]),
        (["assert f((1, 2)) == (1, 2)"], "", [("[[1, 2]]", "[1, 2]")]),
        (["assert f(x=base) == base"], "base = list(range(3))", [("[[0, 1, 2]]", "[0, 1, 2]")]),
    ],
)
def test_test_code_that_is_not_literal_is_played_in_the_sandbox(
    asserts: list[str], setup: str, found: list[tuple[str, str]], pool: JudgePool
) -> None:
    record = kept(mbpp("def f(x):\n    return x\n", asserts, setup), pool, min_tests=1)
    assert [(test["input"], test["output"]) for test in record["tests"]] == found


def test_a_reference_that_calls_itself_is_not_recorded_from_within(pool: JudgePool) -> None:
    code = "def f(x):\n    return 1 if x < 2 else x * f(x - 1)\n"
    record = kept(mbpp(code, ["assert f(2 + 3) == 120"]), pool, min_tests=1)
    assert [(test["input"], test["output"]) for test in record["tests"]] == [("[5]", "120")]


def test_an_argument_is_recorded_as_it_was_before_the_call(pool: JudgePool) -> None:
    code = "def f(x):\n    x.append(0)\n    return len(x)\n"
    record = kept(mbpp(code, ["assert f([7] * 2) == 3"]), pool, min_tests=1)
    assert record["tests"] == [{"input": "[[7, 7]]", "output": "3"}]


def test_a_tuple_argument_that_matters_is_left_out(pool: JudgePool) -> None:
    code = "def f(x):\n    return x + (1,)\n"
    reason, detail = dropped(mbpp(code, ["assert f((1, 2)) == (1, 2, 1)"]), pool)
    assert (reason, detail) == (
        "parse_error", "no test can be said in JSON: a tuple argument that a list cannot stand for (1)"
    )


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('touch {path}')",
        "open('{path}', 'w').write('x')",
        "__import__('subprocess').run(['touch', '{path}'])",
        "__import__('pathlib').Path('{path}').touch()",
    ],
)
def test_hostile_test_code_does_nothing(attack: str, pool: JudgePool, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    mark = tmp_path / "mark"
    attack = attack.format(path=mark)
    for row in (
        mbpp(SQUARE, [f"assert f({attack}) == 1"]),
        mbpp(SQUARE, ["assert f(1) == 1"], attack),
        mbpp(f"{attack}\n{SQUARE}", ["assert f(1) == 1"]),
    ):
        assert isinstance(outcome(row, pool, min_tests=1), Dropped | Kept)
        assert not mark.exists()


FORGED_CALL = """import gc
calls = [x for x in gc.get_objects() if type(x) is list and x and type(x[0]) is list and len(x[0]) == 3]
for each in calls:
    each[0][:] = {forged}
"""


@pytest.mark.parametrize(
    "code",
    [
        "import os\nassert f(1) == 1\nos._exit(0)",
        "assert f(1) == 1\n" + FORGED_CALL.format(forged="['{', '1', '']"),
        "assert f(1) == 1\n" + FORGED_CALL.format(forged="['1', '1', '']"),
        "assert f(1) == 1\n" + FORGED_CALL.format(forged="['[1]', 'NaN', '']"),
        "assert f(1) == 1\n" + FORGED_CALL.format(forged="[1, 2]"),
    ],
)
def test_test_code_that_tampers_with_its_recording_is_an_unsafe_payload(code: str, pool: JudgePool) -> None:
    assert dropped(mbpp(SQUARE, [code]), pool, min_tests=1)[0] == "unsafe_payload"


def test_a_forged_recording_is_still_judged(pool: JudgePool) -> None:
    code = "assert f(1) == 1\n" + FORGED_CALL.format(forged="['[1]', '7', '']")
    assert dropped(mbpp(SQUARE, [code]), pool, min_tests=1)[0] == "solution_fails"


def test_without_verification_nothing_is_run(pool: JudgePool) -> None:
    record = kept(squares("def f(x):\n    return 'wrong'\n"), pool, verify=False)
    assert set(record["curation"]) == {"complexity"}
    assert kept(squares(solutions=[]), pool, verify=False)["curation"] == {}


def test_solutions_in_other_languages_are_counted_and_measured_but_not_run(pool: JudgePool) -> None:
    cpp = "int f(int x) { if (x > 1 && x < 9) return 1; for (int i = 0; i < x; i++) x += i; return x; }"
    row = squares(solutions=[{"code": cpp, "lang": "GNU C++17"}, {"code": "?", "lang": "Befunge"}])
    assert dropped(row, pool) == ("no_solution", "only in Befunge, GNU C++17")
    found = kept(row, pool, verify=False)["curation"]
    measured = {"value": 4, "block": "f", "definition": "lizard cyclomatic, highest function"}
    said = {"Befunge": {"solutions": 1}, "GNU C++17": {"solutions": 1, "complexity": measured}}
    assert found == {"complexity": measured, "other_languages": said}
    assert dropped(row, pool, verify=False, max_complexity=3)[0] == "complexity_high"


def test_a_package_is_importable_where_it_is_asked_for(pool: JudgePool) -> None:
    if sortedcontainers.__file__.startswith("/tmp/"):
        pytest.skip("the package lies in /tmp, of which programs have their own")
    row = squares("import sortedcontainers\ndef f(x):\n    return sortedcontainers.SortedList([x * x])[0]\n")
    assert dropped(row, pool)[0] == "solution_fails"
    with JudgePool(1, packages=["sortedcontainers"]) as richer:
        assert kept(row, richer)["curation"]["reference"]["passed"] == 5


def test_equal_tests_are_merged_and_counted(pool: JudgePool) -> None:
    row = function(SQUARE, [(x % 5, (x % 5) ** 2) for x in range(8)], meta={"mine": 1})
    record = kept(row, pool)
    assert [test["input"] for test in record["tests"]] == ["[0]", "[1]", "[2]", "[3]", "[4]"]
    assert record["meta"] == {"mine": 1, "tests_left_out": {"duplicate": 3}}
    row["meta"] = {"tests_left_out": {"duplicate": 2, "x": 1}}
    assert kept(row, pool)["meta"] == {"tests_left_out": {"duplicate": 5, "x": 1}}
    row["meta"] = {"tests_left_out": "many"}
    assert kept(row, pool)["meta"] == {"tests_left_out": {"duplicate": 3}}


def test_a_float_answer_gets_the_float_checker(pool: JudgePool) -> None:
    record = kept(mbpp("def f(x):\n    return x / 3\n", ["assert f(1) == 0.3333333333333333"]), pool, min_tests=1)
    assert record["checker"] == {"type": "float", "tolerance": 1e-6}


def test_an_absolute_tolerance_never_accepts_more_than_the_assert(pool: JudgePool) -> None:
    asserts = ["assert abs(f(1) - 0.5) < 0.01", "assert abs(f(400) - 200) < 0.1"]
    record = kept(mbpp("def f(x):\n    return x / 2\n", asserts), pool, min_tests=1)
    assert record["checker"] == {"type": "float", "tolerance": 0.01 / 200}
    recorded = kept(mbpp("def f(x):\n    return x\n", ["assert abs(f(1 + 1) - 2) < 0.01"]), pool, min_tests=1)
    assert (recorded["tests"][0]["output"], recorded["checker"]["tolerance"]) == ("2.0", 0.005)


@pytest.mark.parametrize(
    "expression", ["-" * 100_000 + "1", "+".join(["1"] * 5_000), "a" + ".b" * 100_000, "(" * 300, "lambda:" * 50_000]
)
def test_code_that_is_nested_too_deeply_is_a_parse_error(expression: str, pool: JudgePool) -> None:
    assert dropped(mbpp(SQUARE, [f"assert f({expression}) == 1"]), pool)[0] == "parse_error"
    assert dropped(mbpp(f"def f(x):\n    return {expression}\n", ["assert f(1) == 1"]), pool)[0] == "parse_error"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"{", "truncated"),
        (b"[1]", "a JSON array where one object a line is read"),
        (b'"x"', "Expected `object`"),
        (b'{"id": "x", "tests": [{"input": 1}]}', "$.tests[0].input"),
        (b'{"query": "", "reply": ""}', "no known format: the row has the keys query, reply"),
    ],
)
def test_a_bad_line_is_a_reject(raw: bytes, error: str, pool: JudgePool) -> None:
    found = outcome(raw, pool)
    assert isinstance(found, Rejected)
    assert error in found.error


def written(found: Iterable[Outcome]) -> list[bytes]:
    return [type(each).__name__.encode() + each.line.to_bytes() for each in found]


def real_lines() -> list[Line]:
    rows: list[dict[str, Any] | bytes] = []
    for name in ("eval/HumanEval.jsonl.gz", "raw/mbpp.jsonl.gz", "raw/leetcode_dataset_v0.1.0_train.jsonl.gz"):
        if not (DATA / name).exists():
            pytest.skip(f"{DATA / name} is not there")
        with gzip.open(DATA / name) as stream:
            rows += [next(stream) for _ in range(12)]
    return lines_of([*rows, b"{", b"{}"])


def test_every_row_is_kept_dropped_or_rejected_once_and_workers_do_not_matter() -> None:
    settings = Settings(min_tests=2)
    one = list(curate(real_lines(), settings, 1))
    assert [each.line.index for each in one] == list(range(38))
    assert sum(isinstance(each, Kept) for each in one) > 15
    assert written(one) == written(curate(real_lines(), settings, 3))


def test_curating_twice_changes_nothing() -> None:
    settings = Settings(min_tests=2)
    once = [each.line.to_bytes() for each in curate(real_lines(), settings, 2) if isinstance(each, Kept)]
    assert [each.line.to_bytes() for each in curate(lines_of(once), settings, 2)] == once
