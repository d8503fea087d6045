"""LiveCodeBench: its windows, its extraction, and its grader's verdicts beside the right ones."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import pytest
from processes import BIN, run

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Entry, Limits, Mode, Problem, Rollout, Status, Test
from dc_tools.eval.benchmarks.lcb import LiveCodeBench, Options, between_last_fences, in_window, read
from dc_tools.eval.benchmarks.lcb_releases import SIZES, span
from dc_tools.eval.stdin_calls import as_function
from dc_tools.sandbox.judge import JudgePool

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "lcb"
CODES = {None: {Status.AC}, -2: {Status.WA}, -3: {Status.TLE}, -4: {Status.RE, Status.CE}}
"""The original's error codes."""
CORRECT = {"buffer_readlines", "open0", "os_write", "global_kw"}
"""Right programs that the original refuses."""


def cases(name: str) -> list[dict]:
    file = DATA / f"{name}_cases.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(2) as made:
        yield made


def problem_of(case: dict) -> Problem:
    """As the reader makes it."""
    data = json.loads(case["input_output"])
    pairs = zip(data["inputs"], data["outputs"], strict=True)
    if data["fn_name"] is None:
        return Problem(case["name"], [Test(*pair) for pair in pairs], limits=Limits(1.0))
    tests = [Test(f"[{','.join(given.splitlines())}]", wanted) for given, wanted in pairs]
    entry = Entry(fn_name=data["fn_name"], class_name="Solution")
    return Problem(case["name"], tests, mode=Mode.FUNCTION, entry=entry, limits=Limits(1.0))


@pytest.mark.parametrize("case", cases("grader"), ids=lambda case: case["name"])
def test_the_original_grader_and_the_right_one_say_what_they_are_known_to_say(pool: JudgePool, case: dict) -> None:
    problem = problem_of(case)
    benchmark = LiveCodeBench([problem], Options(grader="real,lcb"))
    verdict = benchmark.grader(pool).submit(problem, case["code"]).result()
    original = verdict.others[0]
    assert (original.status is Status.AC) == case["lcb_passed"]
    assert original.status in CODES[case["lcb_error_code"]], original.message
    assert original.backend == "lcb"
    assert (verdict.status is Status.AC) == (case["lcb_passed"] or case["name"] in CORRECT)
    problem.rollouts = [Rollout(code=case["code"], verdict=verdict)]
    assert benchmark.scores(problem, [1]) == {"lcb/pass@1": float(case["lcb_passed"])}


@pytest.mark.parametrize("case", cases("extraction"), ids=lambda case: case["name"])
def test_the_original_extraction_is_reproduced(case: dict) -> None:
    assert between_last_fences(case["text"]) == case["lcb"]


SUM = Problem("sum", [Test("3\n1 2 3\n", "6\n"), Test("2\n5 5\n", "10\n")], limits=Limits(2.0))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys\nL = list(sys.stdin)\nprint(sum(map(int, L[1].split())))", Status.RE),
        ("import sys\nL = sys.stdin.readlines()\nprint(sum(map(int, L[1].split())))", Status.AC),
        ("import sys\nsys.stdin.readline()\nprint(sum(map(int, sys.stdin.readline().split())))", Status.AC),
        ("import sys\nb = sys.stdin.buffer\nb.readline()\nprint(sum(map(int, b.readline().split())))", Status.WA),
        ("import sys\ninput()\nsys.stdout.buffer.write(str(sum(map(int, input().split()))).encode())", Status.RE),
        ("input()\nprint(sum(map(int, input().split())))\nquit()", Status.RE),
        ("class Solution: pass\ninput()\nprint(sum(map(int, input().split())))", Status.RE),
        ("input()\nprint(sum(map(int, input().split()))", Status.RE),
        ("import os", Status.RE),
        ("s = '''a\n  b'''\nassert s == 'a\\n  b'\ninput()\nprint(sum(map(int, input().split())))", Status.AC),
        ("input()\nprint(reduce(add, map(int, input().split())))", Status.AC),
    ],
)
def test_what_the_original_makes_of_a_way_to_read_and_write(pool: JudgePool, code: str, status: Status) -> None:
    grader = LiveCodeBench([SUM], Options(grader="lcb")).grader(pool)
    found = grader.submit(SUM, code).result()
    assert found.status is status, found.message


def test_a_guard_at_the_end_is_taken_away_and_another_stays() -> None:
    assert "if __name__" not in as_function("x = 1\nif __name__ == '__main__':\n    print(x)")
    assert "if __name__" in as_function("if __name__ == '__main__':\n    print(1)\nx = 1")


@pytest.mark.parametrize(
    ("date", "window", "is_in"),
    [
        ("2024-08-01", ("2024-08-01", "2025-02-01"), True), ("2025-02-01", ("2024-08-01", "2025-02-01"), True),
        ("2024-07-31", ("2024-08-01", ""), False), ("2025-02-02", ("", "2025-02-01"), False), (None, ("", ""), True),
        (None, ("2024-08-01", ""), False),
    ],
)
def test_both_ends_of_a_window_belong_to_it(date: str | None, window: tuple[str, str], is_in: bool) -> None:
    assert in_window(date, *window) is is_in


def test_means_of_published_results_by_window() -> None:
    file = DATA / "published_2024_02_26.json.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    rows = json.loads(gzip.decompress(file.read_bytes()))["performances"]
    by_model: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        day = datetime.fromtimestamp(row["date"] / 1000, UTC).date().isoformat()
        by_model.setdefault(row["model"], []).append((day, row["pass@1"]))
    assert len(by_model) == 16 and len(by_model["GPT-4-Turbo-1106"]) == 349
    turbo = by_model["GPT-4-Turbo-1106"]
    since = [score for day, score in turbo if in_window(day, "2023-09-01", "")]
    assert (len(since), fmean(since)) == (188, pytest.approx(41.7553, abs=1e-4))
    assert fmean(score for day, score in turbo if in_window(day, "", "")) == pytest.approx(41.6332, abs=1e-4)
    days = sorted({day for day, _ in turbo})
    assert [day for day in days if in_window(day, "2023-05-13", "2023-05-20")] == days[1:4]  # both ends


def row(**changed: str) -> dict[str, str]:
    test = [{"input": "1\n", "output": "1\n", "testtype": "stdin"}]
    return {
        "question_content": "Print it.", "question_id": "1_A", "public_test_cases": json.dumps(test),
        "contest_date": "2024-08-01T00:00:00", "difficulty": "easy", "platform": "codeforces", **changed,
    }


def written(tmp_path: Path, *rows: dict[str, str]) -> Path:
    (tmp_path / "lcb.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return tmp_path


def test_rows_of_the_window_are_read(tmp_path: Path, pool: JudgePool) -> None:
    data = written(tmp_path, row(), row(question_id="2_A", contest_date="2025-01-01"))
    assert [p.id for p in read(data, pool).problems] == ["livecodebench/1_A", "livecodebench/2_A"]
    assert [p.id for p in read(data, pool, end_date="2024-12-31").problems] == ["livecodebench/1_A"]
    with pytest.raises(CannotRun, match="no problems in the window"):
        read(data, pool, start_date="2026-01-01")


def test_a_row_that_cannot_be_used_is_said(tmp_path: Path, pool: JudgePool) -> None:
    with pytest.raises(CannotRun, match=r"lcb.jsonl:2: parse_error: "):
        read(written(tmp_path, row(), row(public_test_cases="[1")), pool)
    with pytest.raises(CannotRun, match=r"lcb.jsonl:1: not a row of LiveCodeBench"):
        read(written(tmp_path, {"a": "b"}), pool)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"grader": "real,mine"}, "--grader real,mine"), ({"extraction": "all"}, "--extraction all"),
        ({"start_date": "2025-01-01", "end_date": "2024-01-01"}, "--start-date 2025-01-01 is after"),
        ({"start_date": "20240801"}, "--start-date 20240801: a day"),
        ({"end_date": "2024-8-1"}, "--end-date 2024-8-1: a day"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Options(**options)


def test_the_command_scores_samples_by_both_graders(tmp_path: Path) -> None:
    data = written(tmp_path, row(), row(question_id="2_A", contest_date="2025-01-01"))
    samples = tmp_path / "samples.jsonl"
    answer = "Here:\n```python\nprint(open(0).read())\n```"
    samples.write_text(json.dumps({"task_id": "livecodebench/1_A", "completion": answer}) + "\n")
    argv = [BIN / "dc-eval", samples, "--datasets", "lcb", "--data", data, "--end-date", "2024-12-31"]
    done = run([*argv, "--grader", "real,lcb", "--min", "lcb/pass@1=0.5"])
    assert done.code == 4, done.err
    found = json.loads(done.out)
    assert (found["problems"], found["pass@1"]["value"], found["scores"]["lcb/pass@1"]["value"]) == (1, 1.0, 0.0)


def test_its_options_are_refused_for_other_benchmarks(tmp_path: Path) -> None:
    done = run([BIN / "dc-eval", "--datasets", "aime", "--data", tmp_path, "--grader", "lcb"], b"")
    assert done.code == 2 and "--grader is for --datasets lcb" in done.err


def test_problems_with_errata_are_named_and_a_score_leaves_them_out(tmp_path: Path) -> None:
    data = written(tmp_path, row(question_id="abc350_c"), row(question_id="abc350_d", platform="atcoder"))
    lists = [{"question_id": "abc350_c", "code_list": ["print(1)", ""]}, {"question_id": "abc350_d", "code_list": []}]
    lists[1]["code_list"] = ["print(1)", "print(1)"]
    (tmp_path / "lists.json").write_text(json.dumps(lists))  # as LiveCodeBench's custom evaluator reads them
    argv = [BIN / "dc-eval", tmp_path / "lists.json", "--datasets", "lcb", "--data", data, "--group-by", "platform"]
    done = run(argv)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["errata"] == {"livecodebench/abc350_c": "wrong tests"}
    assert (found["pass@1"]["value"], found["scores"]["sound/pass@1"]["value"]) == (0.75, 1.0)
    assert {name: each["pass@1"]["value"] for name, each in found["groups"]["platform"].items()} == {
        "atcoder": 1.0, "codeforces": 0.5,
    }
    assert found["no_code"]["count"] == 1


def test_a_release_is_some_of_the_files() -> None:
    assert [span(name) for name in ("release_v1", "release_v6", "v5", "v4_v6", "v2_v2")] == [
        (1, 1), (1, 6), (5, 5), (4, 6), (2, 2),
    ]
    assert [sum(SIZES[:upto]) for upto in range(1, 7)] == [400, 511, 612, 713, 880, 1055]
    for wrong in ("5", "v0", "v7", "v5_v4", "release_v4_v5", ""):
        with pytest.raises(UsageError, match="as release_v5"):
            span(wrong)


def test_the_command_reads_a_release_and_refuses_what_is_not_all_of_it(tmp_path: Path) -> None:
    def put(name: str, count: int) -> None:
        rows = [row(question_id=f"{name}-{i}") for i in range(count)]
        (tmp_path / "lcb").mkdir(exist_ok=True)
        (tmp_path / "lcb" / name).write_text("".join(json.dumps(each) + "\n" for each in rows))

    put("test.jsonl", 2)
    put("test2.jsonl", 111)
    samples = tmp_path / "samples.jsonl"
    samples.write_text(json.dumps({"question_id": "test2.jsonl-5", "code_list": ["print(1)"]}) + "\n")
    argv = [BIN / "dc-eval", samples, "--datasets", "lcb", "--data", tmp_path, "--partial", "--release"]
    done = run([*argv, "v2"])
    assert done.code == 0, done.err
    assert json.loads(done.out)["problems"] == 111
    short = run([*argv, "v1"])
    assert (short.code, short.out) == (3, b"")
    assert "--release v1: 400 problems were published, the files have 2" in short.err
    absent = run([*argv, "release_v3"])
    assert (absent.code, "there is no test3.jsonl in" in absent.err) == (3, True)
    everything = run(argv[:-1])
    assert json.loads(everything.out)["problems"] == 113


def test_samples_of_problems_outside_the_window_are_left_out_and_said(tmp_path: Path) -> None:
    data = written(tmp_path, row(question_id="old_A", contest_date="2023-01-01"), row(question_id="new_A"))
    samples = tmp_path / "samples.jsonl"
    lines = [{"question_id": name, "code_list": ["print(input())"]} for name in ("old_A", "new_A")]
    samples.write_text("".join(json.dumps(each) + "\n" for each in lines))
    done = run([BIN / "dc-eval", samples, "--datasets", "lcb", "--data", data, "--start-date", "2024-01-01"])
    assert done.code == 0, done.err
    assert "samples of problems that are not asked for, left out: 1" in done.err
    assert json.loads(done.out)["problems"] == 1
