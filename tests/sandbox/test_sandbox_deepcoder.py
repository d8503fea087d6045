"""The eleven defects of DeepCoder's published reward code, each shown to be absent here."""

import os
import re
from pathlib import Path

import pytest
from processes import alive, descendants, wait_until
from programs import FRAME_HUNT, SECRET

from dc_tools.core.extract import extract_code
from dc_tools.core.records import Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.judge import JudgePool

QUICK = Limits(time_s=0.5, memory_mb=512)


@pytest.fixture(scope="module")
def pool():
    with JudgePool(2) as pool:
        yield pool


def problem(*tests: tuple[str, str], **more: object) -> Problem:
    return Problem(id="p", tests=[Test(*test) for test in tests], limits=QUICK, **more)


def test_1_words_that_differ_are_wrong(pool):
    for expected, printed in (("YES", "NO"), ("abc def", "xyz qqq")):
        assert pool.judge(problem(("", expected)), f"print({printed!r})").status == "WA"


def test_2_integers_are_compared_exactly(pool):
    assert pool.judge(problem(("", "1000000")), "print(1000001)").status == "WA"


def test_3_a_function_problem_of_many_tests_stays_one(pool):
    tests = [(f"[{n}]", str(n * n)) for n in range(30)]
    many = problem(*tests, mode=Mode.FUNCTION, entry=Entry(fn_name="square"))
    assert pool.judge(many, "def square(n): return n * n").passed == 30


def test_4_an_object_equal_to_everything_does_not_pass(pool):
    called = problem(("[1]", "2"), mode=Mode.FUNCTION, entry=Entry(fn_name="f"))
    assert pool.judge(called, "class A:\n    def __eq__(self, o): return True\ndef f(x): return A()").status == "RE"


def test_5_the_expected_output_is_in_no_frame(pool):
    assert pool.judge(problem(("", SECRET)), FRAME_HUNT + "print(*ours)").status == "WA"


def test_6_a_program_that_swallows_exceptions_is_stopped_in_time(pool):
    code = "while True:\n    try:\n        while True: pass\n    except Exception: pass"
    verdict = pool.judge(problem(("", "1")), code)
    assert (verdict.status, verdict.time_s < 1.5) == ("TLE", True)


def test_7_no_child_survives_and_none_makes_a_timeout():
    with JudgePool(1) as pool:
        before = pool.judge(problem(("", "6")), "print(6)")
        around = descendants(os.getpid())
        verdict = pool.judge(problem(("", "6")), "import os, time\ntry:\n    if os.fork() == 0: time.sleep(60)\n"
                             "except OSError: pass\nprint(6)")
        assert (before.status, verdict.status) == ("AC", "AC")
        wait_until(lambda: alive(descendants(os.getpid())) <= around, 5)


def test_8_binary_stdin_works_and_recursion_goes_deep(pool):
    read = "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))"
    assert pool.judge(problem(("2 4", "6")), read).status == "AC"
    deep = "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(20_000))"
    assert pool.judge(problem(("", "20000")), deep).status == "AC"


def test_9_a_block_of_the_prompt_is_no_answer():
    prompt = "Use this:\n```python\nTEMPLATE = 1\n```\n"
    assert extract_code("I do not know.") is None
    assert extract_code(prompt) == "TEMPLATE = 1\n", "which is why the prompt is never passed in"


def test_10_a_program_costs_no_interpreter_start_and_leaves_no_file():
    places = [Path("/tmp"), Path.cwd()]
    before = {place: set(os.listdir(place)) for place in places}
    with JudgePool(1) as pool:
        verdict = pool.judge(problem(*[("", "6")] * 30), "open('/tmp/left', 'w').close()\nprint(6)")
    assert (verdict.status, len(verdict.tests)) == ("AC", 30)
    assert verdict.time_s / 30 < 0.0138, "starting a bare interpreter costs 13.8 ms"
    made = {name for place in places for name in set(os.listdir(place)) - before[place]}
    assert "left" not in made
    assert not [name for name in made if re.search(r"\.py$|solution|sandbox|judge", name)]


def test_11_nothing_is_left_after_many_programs():
    descriptors, around = len(os.listdir("/proc/self/fd")), descendants(os.getpid())
    for _ in range(3):
        with JudgePool(2) as pool:
            futures = [pool.submit(problem(("", "6")), "print(6)") for _ in range(40)]
            assert {future.result().status for future in futures} == {"AC"}
    assert len(os.listdir("/proc/self/fd")) == descriptors
    wait_until(lambda: descendants(os.getpid()) <= around, 5)
