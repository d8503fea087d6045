"""Programs with the verdict that LiveCodeBench's own grader gave, and where ours differs for a reason."""

import json
from pathlib import Path

import pytest

from dc_tools.core.records import Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.judge import JudgePool

MEASURED = Path(__file__).parents[2].parent / "shared" / "data" / "lcb" / "grader_cases.jsonl"
STATUS = {-2: "WA", -3: "TLE", -4: "RE"}
"""LiveCodeBench's error codes."""


def problem(case: dict) -> Problem:
    data = json.loads(case["input_output"])
    inputs, name = data["inputs"], data["fn_name"]
    if name:  # one argument a line there, a list of arguments here
        inputs = [f"[{','.join(text.splitlines())}]" for text in inputs]
    tests = [Test(*pair) for pair in zip(inputs, data["outputs"], strict=True)]
    entry = Entry(fn_name=name, class_name="Solution") if name else None
    mode = Mode.FUNCTION if name else Mode.STDIN
    return Problem(id=case["name"], tests=tests, mode=mode, entry=entry, limits=Limits(time_s=0.5))


def test_verdicts_are_livecodebenchs_except_for_correct_programs_that_it_rejects():
    if not MEASURED.exists():
        pytest.skip("no measured grader cases here")
    cases = [json.loads(line) for line in MEASURED.read_text().splitlines()]
    with JudgePool(2) as pool:
        futures = {case["name"]: pool.submit(problem(case), case["code"]) for case in cases}
        ours = {name: future.result().status.value for name, future in futures.items()}
    theirs = {c["name"]: "AC" if c["lcb_passed"] else STATUS[c["lcb_error_code"]] for c in cases}
    correct = {case["name"] for case in cases if case["note"].startswith("correct program")}
    assert correct == {"buffer_readlines", "open0", "os_write", "global_kw"}
    assert {name for name in ours if ours[name] != theirs[name]} == correct
    assert {ours[name] for name in correct} == {"AC"}
