"""Samples and answers as they should not be: what is said of them, and exact counts."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from processes import BIN, Ended, run

TESTS = [{"input": "3\n", "output": "9\n"}, {"input": "-2\n", "output": "4\n"}]
SQUARE = "print(int(input()) ** 2)"
FENCED = f"```python\n{SQUARE}\n```"
WRONG = "```python\nprint(0)\n```"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    problems = [{"id": name, "statement": "Square it.", "tests": TESTS} for name in ("a", "b", "c")]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(each) + "\n" for each in problems))
    return tmp_path


def evaluated(data: Path, samples: list[dict[str, Any]], *flags: str) -> Ended:
    file = data / "samples.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in samples))
    return run([BIN / "dc-eval", file, "--datasets", "plain", "--data", data, *flags])


def answered(*texts: str) -> Ended:
    """Three problems whose rollouts have these texts."""
    rollouts = [{"text": text} for text in texts]
    rows = [{"id": name, "statement": "Square it.", "tests": TESTS, "rollouts": rollouts} for name in "abc"]
    return run([BIN / "dc-eval"], b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def each(completion: str, *more: str) -> list[dict[str, Any]]:
    """The same completions for all problems."""
    return [{"task_id": name, "completion": text} for name in "abc" for text in (completion, *more)]


def test_samples_for_unknown_problems_are_rejected_and_counted(data: Path) -> None:
    done = evaluated(data, [*each(FENCED), {"task_id": "z", "completion": FENCED}, {"completion": FENCED}])
    assert done.code == 1
    assert "samples.jsonl:4: no problem 'z' among the 3 of the data" in done.err
    assert "rejected 2" in done.err
    assert json.loads(done.out)["passed"] == 3


def test_fewer_samples_than_k_are_refused(data: Path) -> None:
    done = evaluated(data, each(FENCED, WRONG), "--k", "5")
    assert (done.code, done.out) == (2, b"")
    assert "pass@5 needs n >= k rollouts of each problem: a has n = 2" in done.err


def test_samples_given_twice_are_counted_and_said(data: Path) -> None:
    done = evaluated(data, each(FENCED, FENCED, WRONG))
    found = json.loads(done.out)
    assert (found["rollouts"], found["repeated"]["count"], found["passed"]) == (9, 3, 6)
    assert "samples that their problem had before, counted like any other: 3" in done.err


@pytest.mark.parametrize(
    ("text", "verdicts", "counts"),
    [
        ("I cannot say.", {"CE": 3}, {"no_code": 3}),
        (f"<think>Perhaps\n{FENCED}\nor", {"CE": 3}, {"no_code": 3, "unended_thinking": 3}),
        (f"<think>Perhaps\n{WRONG}\n</think>\n{FENCED}", {"AC": 3}, {}),
        (f"First\n{WRONG}\nand\n{WRONG}\nno:\n{FENCED}\n", {"AC": 3}, {}),
        (f"So:\n```python\n{SQUARE}", {"AC": 3}, {}),
    ],
    ids=["no code", "unfinished think", "think with code", "three fences", "open fence"],
)
def test_odd_answers(text: str, verdicts: dict[str, int], counts: dict[str, int]) -> None:
    done = answered(text)
    found = json.loads(done.out)
    assert done.code == 0, done.err
    assert found["verdicts"] == verdicts
    assert {name: found[name]["count"] for name in ("no_code", "unended_thinking") if found[name]["count"]} == counts


def test_answers_of_five_megabytes_are_judged_and_the_report_stays_small(data: Path) -> None:
    long = "words " * 850_000
    report = data / "report.html"
    done = evaluated(data, each(f"{long}\n{FENCED}", f"```python\n{SQUARE}  # {long}\n```"), "--report", str(report))
    assert done.code == 0, done.err
    assert json.loads(done.out)["passed"] == 6
    assert report.stat().st_size < 1_000_000


def test_where_most_answers_have_no_code_a_cause_is_named() -> None:
    done = answered("user: Square it.", "assistant: Square it.", "user:")
    assert "the chat template, --prompt-style or --max-tokens may be wrong: 100%" in done.err


def test_what_was_left_out_is_said_in_the_report(data: Path) -> None:
    report = data / "report.html"
    done = evaluated(data, each(FENCED)[:1], "--partial", "--report", str(report))
    assert done.code == 0
    assert "problems without rollouts, not in the mean (b, c): 2" in done.err
    page = report.read_text()
    assert "partial: not all problems have rollouts" in page
    assert "2 of the benchmark's 3 problems have no rollouts" in page


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this machine")
def test_an_answer_in_another_language_is_judged_in_that_language() -> None:
    program = "#include <iostream>\nint main() { long n; std::cin >> n; std::cout << n * n; }"
    done = answered(f"```cpp\n{program}\n```", FENCED, f"```python\n{program}\n```")
    assert json.loads(done.out)["verdicts"] == {"AC": 6, "CE": 3}


def test_what_was_not_judged_is_not_called_a_failure() -> None:
    row = {"id": "a", "tests": TESTS, "rollouts": [{"text": "I cannot say."}, {"text": FENCED}]}
    done = run([BIN / "dc-eval", "--no-judge"], json.dumps(row).encode() + b"\n")
    assert json.loads(done.out)["scored"] == 0
    assert "answers without code: 1" in done.err and "failures" not in done.err
