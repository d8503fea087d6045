"""An evaluation in a folder: several benchmarks, killed and resumed, with a server that comes and goes."""

import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, answers, hangs, serving, status
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import BIN, Ended, end, run, started, wait_until

from dc_tools.core.records import Line, Problem
from dc_tools.eval.command import main
from dc_tools.eval.judging import Item
from dc_tools.eval.parts import spliced
from dc_tools.rollout.transformers import TransformersEngine

SEVERAL = 6
MADE = ["judged", "manifest.json", "report.html", "scores.json", "timing.jsonl"]
ASKED = [f"Read an integer n and print n plus {i}." for i in range(SEVERAL)]


@pytest.fixture
def server(taught_model: Path) -> Iterator[ChatServer]:
    with serving(TransformersEngine.load(taught_model, device="cpu")) as serves:
        yield serves


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Problems of two benchmarks."""
    folder = tmp_path / "data"
    folder.mkdir()
    with (folder / "problems.jsonl").open("w") as file:
        for i, statement in enumerate(ASKED):
            tests = [{"input": "1\n", "output": f"{1 + i}\n"}]
            file.write(json.dumps({"id": f"p{i}", "statement": statement, "tests": tests}) + "\n")
    rows = [{"problem": f"What is 1 + {i}?", "answer": str(1 + i)} for i in range(SEVERAL)]
    (folder / "aime.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def flags(data: Path, *more: object) -> list[str]:
    asked = ["--datasets", "plain,aime", "--data", data, "--n", 2, "--max-tokens", 24, "--prompt-style", "fenced"]
    return [str(each) for each in (*asked, *more)]


def dc_eval(*args: object) -> Ended:
    return run([BIN / "dc-eval", *map(str, args)])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def judged(folder: Path, row: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "judged" / f"{row}.jsonl").read_bytes().splitlines()]


def without_times(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """All judged lines but for what programs took of the machine."""
    found = {row: judged(folder, row) for row in ("plain", "aime")}
    for problem in itertools.chain(*found.values()):
        for rollout in problem["rollouts"]:
            for each in (rollout["verdict"], *rollout["verdict"]["tests"]):
                each.pop("time_s", None)
                each.pop("memory_mb", None)
    return found


def test_several_benchmarks_are_asked_and_all_is_in_one_folder(tmp_path: Path, data: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="0"):
        main(flags(data, "--model", tiny_model, "-o", f"{out}/", "--min", "plain:pass@1=0"))
    assert files(out) == MADE
    scores = json.loads((out / "scores.json").read_bytes())
    assert list(scores["runs"]) == ["plain", "aime"]
    for row in ("plain", "aime"):
        cost = scores["runs"][row]["cost"]
        assert [len(line["rollouts"]) for line in judged(out, row)] == [2] * SEVERAL
        assert cost["response_tokens"] == sum(r["usage"]["response"] for p in judged(out, row) for r in p["rollouts"])
        assert cost["sampling_s"] >= cost["latency_s"]["p95"] >= cost["latency_s"]["median"] > 0
        assert cost["tokens_per_s"] == pytest.approx(cost["response_tokens"] / cost["sampling_s"])
    assert "maj@2" in scores["runs"]["aime"]["scores"]
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["problems"] == {"plain": SEVERAL, "aime": SEVERAL}
    assert (manifest["counts"]["in"], manifest["counts"]["out"]) == (2 * SEVERAL, 2 * SEVERAL)
    again = dc_eval(*flags(data, "--model", tiny_model, "-o", f"{out}/", "--min", "plain:pass@1=0", "--resume"))
    assert (again.code, "is finished already" in again.err) == (0, True)
    refused = dc_eval(*flags(data, "--model", tiny_model, "-o", f"{out}/"))
    assert (refused.code, "holds something already" in refused.err) == (3, True)


@pytest.mark.slow
def test_killed_and_resumed_it_asks_only_for_what_is_left(tmp_path: Path, data: Path, server: ChatServer) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    given = flags(data, "--model", server.url, "--concurrency", 1)
    assert dc_eval(*given, "-o", f"{whole}/").code == 0
    asked = len(server.bodies)
    server.faults.extend([*[None] * SEVERAL, *[None] * 2, hangs])
    with started([BIN / "dc-eval", *given, "-o", f"{out}/"]) as process:
        wait_until(lambda: len(server.bodies) == asked + SEVERAL + 3)
        wait_until(lambda: (out / "judged" / "aime.jsonl").read_bytes().count(b"\n") == 2)
        end(process, signal.SIGKILL)
    server.released.set()
    with (out / "judged" / "aime.jsonl").open("ab") as file:
        file.write(b'{"id": "aime/3", "rollouts": [{"te')
    before = len(server.bodies)
    done = dc_eval(*given, "-o", f"{out}/", "--resume")
    assert done.code == 0, done.err
    assert len(server.bodies) - before == SEVERAL - 2
    assert without_times(out) == without_times(whole)
    scores, expected = (json.loads((each / "scores.json").read_bytes())["runs"] for each in (out, whole))
    for row in ("plain", "aime"):
        assert (scores[row]["pass@1"], scores[row]["scores"]) == (expected[row]["pass@1"], expected[row]["scores"])
        assert scores[row]["cost"]["response_tokens"] == expected[row]["cost"]["response_tokens"]
        assert scores[row]["cost"]["latency_s"]["p95"] > 0
    timings = [json.loads(line)["id"] for line in (out / "timing.jsonl").read_bytes().splitlines()]
    assert len(timings) == len(set(timings)) == 2 * SEVERAL


@pytest.mark.slow
def test_a_server_that_fails_half_way_is_asked_again_on_resume(
    tmp_path: Path, data: Path, server: ChatServer
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    given = flags(data, "--model", server.url, "--concurrency", 1)
    assert dc_eval(*given, "-o", f"{whole}/").code == 0
    server.faults.extend([None, None, *[status(401)] * 3])
    failed = dc_eval(*given, "-o", f"{out}/")
    assert failed.code == 1
    assert "plain: rollouts that failed in the engine, not scored: 6" in failed.err
    before = len(server.bodies)
    done = dc_eval(*given, "-o", f"{out}/", "--resume")
    assert done.code == 0, done.err
    assert len(server.bodies) - before == 3
    assert without_times(out) == without_times(whole)
    assert [line["id"] for line in judged(out, "plain")] == [f"p{i}" for i in range(SEVERAL)]
    assert dc_eval(*given, "-o", f"{out}/", "--resume").err.count("is finished already") == 1


def test_lines_that_were_judged_before_are_not_judged_again(tmp_path: Path) -> None:
    problems = tmp_path / "lines.jsonl"
    tests = [{"input": "1\n", "output": "2\n"}]
    slow = "import time\nprint(2)"
    rows = [{"id": f"p{i}", "tests": tests, "rollouts": [{"code": slow + f"  # {i}"}]} for i in range(4)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    assert dc_eval(problems, "-o", f"{out}/").code == 0
    first = (out / "judged" / "lines.jsonl").read_bytes()
    (out / "judged" / "lines.jsonl").write_bytes(b"".join(first.splitlines(keepends=True)[:3])[:-10])
    account = json.loads((out / "manifest.json").read_bytes())
    (out / "manifest.json").write_text(json.dumps({**account, "finished": False}))
    assert dc_eval(problems, "-o", f"{out}/", "--resume").code == 0
    again = (out / "judged" / "lines.jsonl").read_bytes().splitlines()
    assert again[:2] == first.splitlines()[:2]
    assert [json.loads(line)["rollouts"][0]["verdict"]["status"] for line in again] == ["AC"] * 4


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--report", "r.html"], "--report r.html: the folder"),
        (["--samples-out", "s.jsonl"], "--samples-out s.jsonl: the folder"),
        (["--shard-records", "5"], "takes the files of an evaluation"),
    ],
)
def test_a_folder_has_its_own_files(tmp_path: Path, more: list[str], says: str) -> None:
    done = dc_eval("/dev/null", "-o", f"{tmp_path}/out/", *more)
    assert (done.code, says in done.err) == (2, True), done.err


def test_several_benchmarks_are_only_for_a_model_and_a_folder_of_data(tmp_path: Path, data: Path) -> None:
    done = dc_eval("/dev/null", "--datasets", "plain,aime", "--data", data)
    assert (done.code, "several are for --model" in done.err) == (2, True)
    one = dc_eval("--model", "m", "--datasets", "plain,aime", "--data", data / "aime.json")
    assert (one.code, "need a folder with a file for each" in one.err) == (2, True)


@settings(deadline=None)
@given(st.lists(st.sampled_from("kfr"), max_size=20), st.integers(1, 4))
def test_what_is_done_already_takes_its_place(kinds: list[str], piece: int) -> None:
    """Of items that are kept (k), fresh (f), and rejected by the work (r)."""
    names = [f"{kind}{i}" for i, kind in enumerate(kinds)]
    items = [(Line(b"{}", "-", i + 1, i), Problem(name, [])) for i, name in enumerate(names)]
    worked: list[str] = []

    def done(line: Line, problem: Problem) -> Line | None:
        return Line(json.dumps({"id": problem.id, "tests": []}).encode()) if problem.id[0] == "k" else None

    def work(given: Iterator[Item]) -> Iterator[Item]:
        for line, problem in given:
            worked.append(problem.id)
            if problem.id[0] != "r":
                yield line, problem

    found = [(line.index, problem.id) for line, problem in spliced(iter(items), done, work, piece)]
    assert found == [(i, name) for i, name in enumerate(names) if name[0] != "r"]
    pieces = [names[at : at + piece] for at in range(0, len(names), piece)]
    assert worked == [name for each in pieces if any(name[0] != "k" for name in each) for name in each]


def scripted(server: ChatServer, text: str, requests: int) -> None:
    """Let the next requests be answered with this text."""
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    server.faults.extend([answers({"choices": [choice, choice]})] * requests)


def test_what_a_model_answers_is_read_by_the_benchmarks_own_rule(
    tmp_path: Path, data: Path, server: ChatServer
) -> None:
    scripted(server, "So \\boxed{1}:\n```python\nprint(7)\n```", SEVERAL)
    argv = ["--datasets", "aime", "--data", data, "--n", "2", "--model", server.url]
    done = dc_eval(*argv, "-o", f"{tmp_path}/out/")
    assert done.code == 0, done.err
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert scores["verdicts"] == {"AC": 2, "WA": 2 * SEVERAL - 2}
    assert judged(tmp_path / "out", "aime")[0]["rollouts"][0]["code"] == "1"


def test_another_model_does_not_go_on_with_a_run(tmp_path: Path, data: Path, server: ChatServer) -> None:
    given = [*flags(data, "--base-url", server.url, "--concurrency", 1), "-o", f"{tmp_path}/out/"]
    server.faults.extend([None, status(401), status(401)])
    assert dc_eval(*given, "--limit", "3").code == 1
    server.models = ["other"]
    done = dc_eval(*given, "--limit", "3", "--resume")
    assert (done.code, "tiny answered before, not other" in done.err) == (3, True), done.err


def test_a_line_that_came_before_is_not_asked(tmp_path: Path, server: ChatServer) -> None:
    problems = tmp_path / "lines.jsonl"
    row = json.dumps({"id": "a", "statement": ASKED[0], "tests": [{"input": "1\n", "output": "1\n"}]})
    problems.write_text(f"{row}\n{row}\n")
    done = dc_eval(problems, "--model", server.url, "--prompt-style", "fenced", "-o", f"{tmp_path}/out/")
    assert (done.code, len(server.bodies)) == (1, 1)
    assert "lines.jsonl:2: the id 'a' came before" in done.err
    assert [len(line["rollouts"]) for line in judged(tmp_path / "out", "lines")] == [1]


def test_all_data_is_looked_for_before_anything_is_asked(tmp_path: Path, data: Path, server: ChatServer) -> None:
    argv = ["--datasets", "plain,humaneval", "--data", data, "--model", server.url, "-o", f"{tmp_path}/out/"]
    done = dc_eval(*argv)
    assert (done.code, server.bodies) == (3, [])
    assert "there is no HumanEval.jsonl" in done.err
    inside = dc_eval(*argv[:-1], f"{data}/out/")
    assert (inside.code, "that is in --data" in inside.err) == (2, True)


def test_force_removes_only_what_such_a_run_made(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    (mine / "manifest.json").write_text('{"name": "a web page"}')
    done = dc_eval("/dev/null", "-o", mine, "--force")
    assert (done.code, "holds no earlier run of dc-eval" in done.err) == (3, True), done.err
    assert (mine / "thesis.tex").read_text() == "years of work"


@pytest.mark.slow
def test_a_finished_run_is_scored_anew_without_asking_again(tmp_path: Path, data: Path, server: ChatServer) -> None:
    given = [*flags(data, "--model", server.url), "-o", f"{tmp_path}/out/"]
    assert dc_eval(*given).code == 0
    asked = len(server.bodies)
    again = dc_eval(*given, "--resume", "--k", "1,2", "--min", "aime:pass@2=0.9")
    assert (again.code, len(server.bodies)) == (4, asked), again.err
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())["runs"]
    assert scores["plain"]["pass@2"]["n_problems"] == SEVERAL
    assert scores["plain"]["cost"]["latency_s"]["median"] > 0
    other = dc_eval(*given, "--resume", "--temperature", "1")
    assert (other.code, "--temperature was 0.6, now 1.0" in other.err) == (3, True)


@pytest.mark.slow
def test_latency_is_without_the_time_that_a_request_waits_for_its_turn(
    tmp_path: Path, data: Path, server: ChatServer
) -> None:
    argv = flags(data, "--model", server.url, "--concurrency", 1)
    assert dc_eval(*argv, "-o", f"{tmp_path}/out/").code == 0
    cost = json.loads((tmp_path / "out" / "scores.json").read_bytes())["runs"]["plain"]["cost"]
    assert SEVERAL * cost["latency_s"]["median"] < 2 * cost["sampling_s"]


def test_rows_of_the_same_name_have_timings_and_files_of_their_own(tmp_path: Path, server: ChatServer) -> None:
    for name in ("a/lines.jsonl", "b/lines.jsonl"):
        (tmp_path / name).parent.mkdir()
        row = {"id": "x", "statement": ASKED[0], "tests": [{"input": "1\n", "output": "1\n"}]}
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    argv = [tmp_path / "a" / "lines.jsonl", tmp_path / "b" / "lines.jsonl", "--model", server.url]
    done = dc_eval(*argv, "--prompt-style", "fenced", "-o", f"{tmp_path}/out/")
    assert done.code == 0, done.err
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())["runs"]
    assert list(scores) == ["a/lines.jsonl", "b/lines.jsonl"]
    assert all(each["cost"]["sampling_s"] is not None for each in scores.values())
    assert sorted(path.name for path in (tmp_path / "out" / "judged").iterdir()) == [
        "a%2Flines.jsonl.jsonl", "b%2Flines.jsonl.jsonl",
    ]


def test_what_could_not_be_judged_is_judged_again(tmp_path: Path) -> None:
    problems, out = tmp_path / "lines.jsonl", tmp_path / "out"
    tests = [{"input": "1\n", "output": "2\n"}]
    rows = [{"id": f"p{i}", "tests": tests, "rollouts": [{"code": f"print(2)  # {i}"}]} for i in range(2)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dc_eval(problems, "-o", f"{out}/").code == 0
    first, second = judged(out, "lines")
    second["rollouts"][0]["verdict"] |= {"status": "IE", "passed": 0}
    (out / "judged" / "lines.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    manifest = json.loads((out / "manifest.json").read_bytes())
    (out / "manifest.json").write_text(json.dumps(manifest | {"counts": {"faults": 1}}))
    done = dc_eval(problems, "-o", f"{out}/", "--resume")
    assert done.code == 0, done.err
    assert [line["rollouts"][0]["verdict"]["status"] for line in judged(out, "lines")] == ["AC", "AC"]
    assert json.loads((out / "scores.json").read_bytes())["passed"] == 2
