"""Runs without judging: all calls in one process give what a process each gives, and state or forgery shows."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Checker, CheckerType, Entry, Mode, Problem, Test
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.runs import SandboxFault, all_together, each_alone
from dc_tools.curate.verify import covered
from dc_tools.sandbox.judge import JudgePool

INPUTS = [f"[{x}]" for x in range(6)]
BRANCHY = "def f(x):\n    if x > 3:\n        return [x, {'a': None}]\n    return (x, 'é', 1.5)\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def problem(outputs: list[str] | None = None, mode: Mode = Mode.FUNCTION) -> Problem:
    tests = [Test(given, wanted) for given, wanted in zip(INPUTS, outputs or INPUTS, strict=True)]
    return Problem("p", tests, mode=mode, entry=Entry("f") if mode is Mode.FUNCTION else None)


def together(code: str, pool: JudgePool, inputs: list[str] = INPUTS, probes: int = 0) -> list[str] | None:
    done = all_together(problem(), code, inputs, pool, spent_s=0.1, probes=probes)
    return done and [run.output for run in done.runs]


def alone(code: str, pool: JudgePool, inputs: list[str] = INPUTS) -> list[str]:
    return [run.output for run in each_alone(problem(), code, inputs, pool).runs]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None)
@given(values=st.lists(JSON, min_size=1, max_size=5))
def test_a_stateless_solution_gives_the_same_texts_in_one_process_as_in_many(
    values: list[object], pool: JudgePool
) -> None:
    code = "def f(x):\n    return [x, [x, str(x)]]\n"
    inputs = [json.dumps([value]) for value in values]
    assert together(code, pool, inputs) == alone(code, pool, inputs)


def test_the_probes_of_one_process_are_those_of_many(pool: JudgePool) -> None:
    code = "def f(x):\n    __probes__[0] = 1\n    if x > 3:\n        __probes__[1] = 1\n"
    at_once = all_together(problem(), code, INPUTS, pool, spent_s=0.1, probes=3)
    each = each_alone(problem(), code, INPUTS, pool, probes=3)
    assert at_once is not None
    assert at_once.probes == each.probes == b"\1\1\0"
    assert [run.probes for run in each.runs] == [b"\1\0\0"] * 4 + [b"\1\1\0"] * 2


def test_each_value_is_the_text_of_its_own_call(pool: JudgePool) -> None:
    wanted = [json.dumps([x, "é", 1.5], separators=(",", ":")) for x in range(4)]
    wanted += [json.dumps([x, {"a": None}], separators=(",", ":")) for x in (4, 5)]
    assert together(BRANCHY, pool) == alone(BRANCHY, pool) == wanted


STATEFUL = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)\n"


def test_state_that_a_call_leaves_shows_in_one_process_only(pool: JudgePool) -> None:
    assert together(STATEFUL, pool) == ["1", "2", "3", "4", "5", "6"]
    assert alone(STATEFUL, pool) == ["1"] * 6


def test_where_state_shows_a_process_a_test_decides(pool: JudgePool) -> None:
    found = covered(problem(["1"] * 6), STATEFUL, pool, spent_s=0.1)
    assert isinstance(found, Coverage)
    in_turn = covered(problem(["1", "2", "3", "4", "5", "7"]), STATEFUL, pool, spent_s=0.1)
    assert not isinstance(in_turn, Coverage)
    assert in_turn.detail == "second run, test 2 of 6: value: expected 2, got 1"


@pytest.mark.parametrize(
    "written",
    [
        b"", b"[", b"7", b"[1,2]", b"[1,2,3,4,5,6,7]", b"[1,2,3,4,5,6", b"{}", b"[1,2,3,4,5,6] 7",
        b"[" * 5000 + b"]" * 5000, b"[1,2,3,4,5,0x6]",
    ],
)  # fmt: skip
def test_forged_output_is_none(written: bytes, pool: JudgePool) -> None:
    code = f"import os\ndef f(x):\n    os.write(3, {written!r}); os._exit(0)\n"
    assert together(code, pool) is None


def test_a_forged_list_of_the_right_length_is_seen_by_who_knows_the_answers(pool: JudgePool) -> None:
    code = "import os\ndef f(x):\n    os.write(3, b'[0,1,2,3,4,9]' if x == 0 else b'0'); os._exit(0)\n"
    assert together(code, pool) == ["0", "1", "2", "3", "4", "9"]
    assert not isinstance(covered(problem(["0", "1", "2", "3", "4", "5"]), code, pool, spent_s=0.1), Coverage)


ENDINGS = ["1 // 0", "exit()", "while True: pass", "return {1: 2}", "return f(x)", "return object()"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_call_that_ends_badly_leaves_all_to_a_process_each(ending: str, pool: JudgePool) -> None:
    code = f"def f(x):\n    if x == 4:\n        {ending}\n    return x\n"
    quick = problem()
    quick.limits.time_s = 0.1
    assert all_together(quick, code, INPUTS, pool, spent_s=0.0) is None
    assert [run.output for run in each_alone(quick, code, INPUTS, pool).runs] == ["0", "1", "2", "3", "", "5"]


def test_values_that_are_no_json_are_left_to_a_process_each(pool: JudgePool) -> None:
    assert together("def f(x):\n    return 1e999\n", pool) is None
    assert alone("def f(x):\n    return 1e999\n", pool) == ["Infinity"] * 6


def test_programs_of_text_are_never_run_together(pool: JudgePool) -> None:
    stdin = problem(mode=Mode.STDIN)
    assert all_together(stdin, "print(input())", INPUTS, pool, spent_s=0.1) is None
    assert [run.output for run in each_alone(stdin, "print(input())", INPUTS, pool).runs] == [f"{x}\n" for x in INPUTS]


def test_a_custom_checker_needs_the_same_answers_only_of_the_reference_itself(pool: JudgePool) -> None:
    custom = problem(["anything"] * 6)
    custom.checker = Checker(CheckerType.CUSTOM, code="pass")
    assert isinstance(covered(custom, "def f(x):\n    return x\n", pool, spent_s=0.1), Coverage)
    noisy = "import time\ndef f(x):\n    return time.perf_counter_ns()\n"
    assert not isinstance(covered(custom, noisy, pool, spent_s=0.1), Coverage)


def test_a_pool_that_cannot_run_is_a_fault_and_no_answer() -> None:
    def lost() -> object:
        from dc_tools.sandbox.execution import WorkerLost

        raise WorkerLost("gone")

    with JudgePool(1, connect=lost) as broken, pytest.raises(SandboxFault, match="gone"):
        each_alone(problem(), BRANCHY, INPUTS, broken)
