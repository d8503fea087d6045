"""AIME as a benchmark: rows, prompts, verdicts, the majority and the second opinion."""

import json
from pathlib import Path

import pytest
from processes import BIN, run

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish, Rollout, Status
from dc_tools.eval.benchmarks import Benchmark, load
from dc_tools.rollout.prompts import PromptStyle
from dc_tools.sandbox.judge import JudgePool

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "eval"


def written(tmp_path: Path, *rows: dict) -> Path:
    file = tmp_path / "aime.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return file


def loaded(tmp_path: Path, *answers: str) -> Benchmark:
    with JudgePool(1) as pool:  # which starts no worker
        return load("aime", written(tmp_path, *({"problem": f"p{a}", "answer": a} for a in answers)), pool)


def test_the_real_problems_are_read_with_their_numbers() -> None:
    if not (DATA / "aime.json").exists():
        pytest.skip(f"{DATA} has no aime.json")
    with JudgePool(1) as pool:
        problems = load("aime", DATA, pool).problems
    assert len(problems) == 30 and len({problem.id for problem in problems}) == 30
    assert (problems[0].id, problems[0].tests[0].output) == ("aime/2024-1-1", "204")
    assert problems[1].tests[0].output == "25"  # 025 in the file


def test_the_prompt_asks_for_a_box(tmp_path: Path) -> None:
    benchmark = loaded(tmp_path, "7")
    (message,) = benchmark.prompt(benchmark.problems[0], PromptStyle.CHAT).messages
    assert message["content"].startswith("p7\n\n") and message["content"].endswith("within \\boxed{}.")


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [("007", Status.AC, ""), ("8", Status.WA, "expected 7, got 8"), ("x", Status.WA, "no whole number from 0 to 999")],
)
def test_numbers_are_compared(tmp_path: Path, answer: str, status: Status, message: str) -> None:
    benchmark = loaded(tmp_path, "007")
    with JudgePool(1) as pool:
        found = benchmark.grader(pool).submit(benchmark.problems[0], answer).result()
    assert (found.status, found.message, found.total) == (status, message, 1)


def test_the_majority_and_the_second_opinion_are_scores(tmp_path: Path) -> None:
    pytest.importorskip("math_verify", reason="math-verify is not installed")
    benchmark = loaded(tmp_path, "7")
    (problem,) = benchmark.problems
    texts = ("\\boxed{7}", "\\boxed{8}", "\\boxed{\\frac{14}{2}}", "the answer is 7.")
    problem.rollouts = [Rollout(text=text, code=benchmark.extract(text)) for text in texts]
    problem.rollouts.append(Rollout(finish=Finish.ERROR))
    assert benchmark.scores(problem, [1]) == {"maj@4": 1.0, "math-verify/pass@1": 0.75}


@pytest.mark.parametrize("answer", ["1000", "-1", "7.5", ""])
def test_an_answer_that_cannot_be_is_said(tmp_path: Path, answer: str) -> None:
    with pytest.raises(CannotRun, match=r"problem 2: the answer '.*' is no whole number from 0 to 999"):
        loaded(tmp_path, "7", answer)


def test_the_command_scores_samples(tmp_path: Path) -> None:
    data = written(tmp_path, {"problem": "p", "answer": "7"}, {"problem": "q", "answer": "012"})
    program = "so 12\n```python\nprint(12)\n```"
    texts = [("aime/1", "\\boxed{7}"), ("aime/1", "<think> \\boxed{7}"), ("aime/2", program), ("aime/2", "\\boxed{12}")]
    samples = tmp_path / "samples.jsonl"
    samples.write_text("".join(json.dumps({"task_id": name, "completion": text}) + "\n" for name, text in texts))
    done = run([BIN / "dc-eval", samples, "--datasets", "aime", "--data", data, "--min", "maj@2=1"])
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["pass@1"]["value"] == 0.5
    assert found["verdicts"] == {"AC": 2, "CE": 2}
    assert found["scores"]["maj@2"]["value"] == 1.0
    assert found["no_code"]["count"] == 2, "a program is no answer"
    assert "answers without a final answer, counted as failures: 2" in done.err


def test_lines_with_rollouts_are_read_anew(tmp_path: Path) -> None:
    data = written(tmp_path, {"problem": "p", "answer": "7"})
    verdict = {"status": "AC", "passed": 1, "total": 1}
    rollouts = [
        {"text": "\\boxed{7}\n```python\nprint(1)\n```", "code": "print(1)", "verdict": {**verdict, "status": "WA"}},
        {"text": "\\boxed{8}", "code": "7", "verdict": verdict, "usage": {"prompt": 5, "response": 3}},
    ]
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"id": "aime/1", "rollouts": rollouts}) + "\n")
    done = run([BIN / "dc-eval", lines, "--datasets", "aime", "--data", data])
    found = json.loads(done.out)
    assert (found["verdicts"], found["cost"]["response_tokens"]) == ({"AC": 1, "WA": 1}, 3)
    lines.write_text(json.dumps({"id": "aime/1", "rollouts": [{"text": 5}]}) + "\n")
    bad = run([BIN / "dc-eval", lines, "--datasets", "aime", "--data", data, "--partial"])
    assert (bad.code, "rollouts: Expected `str`, got `int`" in bad.err) == (1, True), bad.err
