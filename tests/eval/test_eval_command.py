"""dc-eval as its users run it."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import BIN, Ended, run

from dc_tools.eval.benchmarks import MODULES
from dc_tools.eval.command import NAMES, main

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "eval"
TESTS = [{"input": "3\n", "output": "9\n"}, {"input": "-2\n", "output": "4\n"}]
SQUARE = "print(int(input()) ** 2)"


def dc_eval(*args: object, cwd: Path | None = None, stdin: bytes = b"") -> Ended:
    return run([BIN / "dc-eval", *map(str, args)], stdin, cwd)


def lines(*problems: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"tests": TESTS, **p}).encode() + b"\n" for p in problems)


def rollouts(*statuses: str) -> list[dict[str, Any]]:
    return [{"code": "x", "verdict": {"status": s, "passed": 0, "total": 1}} for s in statuses]


def test_unjudged_rollouts_are_judged_and_kept_on_request(tmp_path: Path) -> None:
    answers = [{"text": f"```python\n{SQUARE}\n```"}, {"code": "print(9)"}, {"text": "?", "finish": "length"}]
    done = dc_eval("--samples-out", tmp_path / "judged.jsonl", stdin=lines({"id": "a", "rollouts": answers}))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["pass@1"]["value"] == pytest.approx(1 / 3)
    assert found["verdicts"] == {"AC": 1, "WA": 1, "CE": 1}
    assert (found["no_code"]["count"], found["truncated"]["count"]) == (1, 1)
    kept = json.loads((tmp_path / "judged.jsonl").read_bytes())
    assert [r["verdict"]["passed"] for r in kept["rollouts"]] == [2, 1, 0]
    again = json.loads(dc_eval("--no-judge", tmp_path / "judged.jsonl").out)
    assert again == found


def test_no_judge_leaves_them_unscored() -> None:
    done = dc_eval("--no-judge", stdin=lines({"id": "a", "rollouts": [{"code": SQUARE}, *rollouts("WA")]}))
    found = json.loads(done.out)
    assert (found["scored"], found["unjudged"]) == (1, 1)
    assert "rollouts without a verdict, not scored: 1" in done.err


def test_a_missed_gate_ends_with_4_and_a_whole_output(tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    done = dc_eval("--min", "pass@1=0.9", "-o", out, stdin=lines({"id": "a", "rollouts": rollouts("AC", "WA")}))
    assert done.code == 4
    assert "dc-eval: stdin: pass@1 is 0.5, wanted at least 0.9" in done.err
    assert json.loads(out.read_bytes())["pass@1"]["value"] == 0.5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.json", "scores.json.manifest.json"]


def test_a_reached_gate_ends_with_0() -> None:
    assert dc_eval("--min", "pass@1=0.5", stdin=lines({"id": "a", "rollouts": rollouts("AC", "WA")})).code == 0


def test_several_files_are_several_rows(tmp_path: Path) -> None:
    for name, status in (("before", "WA"), ("after", "AC")):
        (tmp_path / f"{name}.jsonl").write_bytes(lines({"id": "a", "rollouts": rollouts(status)}))
    done = dc_eval("before.jsonl", "after.jsonl", "--min", "after:pass@1=1", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {n: s["pass@1"]["value"] for n, s in json.loads(done.out)["runs"].items()} == {"before": 0.0, "after": 1.0}


def test_quiet_prints_nothing_but_the_scores() -> None:
    done = dc_eval("-q", stdin=lines({"id": "a", "rollouts": rollouts("AC")}))
    assert (done.err, done.code, len(done.lines)) == ("", 0, 1)


def test_the_same_seed_gives_the_same_bytes() -> None:
    given = lines(*({"id": str(i), "rollouts": rollouts(*["AC", "WA", "AC"][: 1 + i % 3])} for i in range(20)))
    first, second, other = (dc_eval("--seed", s, "-q", stdin=given).out for s in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--k", "2"], "pass@2 needs n >= k rollouts of each problem: a has n = 1"),
        (["--group-by", "size"], "--group-by size: choose from"),
        (["--format", "html"], "--format html: choose json, markdown or latex"),
        (["--min", "pass@3=1"], "there is pass@1 (--k names the k)"),
        (["--data", "folder"], "--data is for --datasets NAME"),
        (["--model", "m", "--n", "2", "--k", "4"], "pass@4 needs n >= k: --n is 2"),
        (["--model", "m", "--prompt-style", "loud"], "'loud' is not one of 'chat', 'fenced'"),
        (["--samples-out", "-"], "--samples-out needs a file"),
        (["--report", "same", "-o", "same"], "--report and -o cannot be the same file"),
    ],
)
def test_flags_that_cannot_be_are_usage_errors(flags: list[str], says: str) -> None:
    done = dc_eval(*flags, stdin=lines({"id": "a", "rollouts": rollouts("AC")}))
    assert (done.code, done.out) == (2, b"")
    assert says in done.err


def test_a_report_that_could_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    done = dc_eval("--report", tmp_path / "absent" / "r.html", stdin=lines({"id": "a", "rollouts": [{"code": "x"}]}))
    assert (done.code, done.out) == (3, b"")
    assert "absent does not exist" in done.err


def test_bad_and_repeated_lines_are_rejected_and_the_rest_is_scored() -> None:
    given = lines({"id": "a", "rollouts": rollouts("AC")}) + b"{\n" + lines({"id": "a", "rollouts": rollouts("WA")})
    done = dc_eval(stdin=given)
    assert done.code == 1
    assert json.loads(done.out)["pass@1"]["value"] == 1.0
    assert "-:2:" in done.err
    assert "-:3: the id 'a' came before" in done.err


def samples(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_samples_are_matched_to_plain_problems(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_bytes(lines({"id": "a"}, {"id": "b"}))
    file = samples(
        tmp_path, {"task_id": "a", "completion": f"Here:\n```python\n{SQUARE}\n```"}, {"id": "a", "code": "print(9)"},
        {"task_id": "zz", "completion": "x"}, {"task_id": "a"},
    )
    done = dc_eval(file, "--datasets", "plain", "--data", tmp_path, "--partial")
    assert done.code == 1
    assert "samples.jsonl:3: no problem 'zz' among the 2 of the data" in done.err
    assert "samples.jsonl:4: a sample needs task_id and the text of one of completion, solution, code" in done.err
    found = json.loads(done.out)
    assert found["pass@1"] == {"value": 0.5, "low": None, "high": None, "se": None, "n_problems": 1}
    assert found["without_rollouts"] == {"count": 1, "ids": ["b"]}


def test_humaneval_samples_are_judged(tmp_path: Path) -> None:
    if not (DATA / "HumanEval.jsonl.gz").exists():
        pytest.skip(f"{DATA} has no HumanEval.jsonl.gz")
    with gzip.open(DATA / "HumanEval.jsonl.gz") as stream:
        rows = [json.loads(line) for line in stream][:12]
    given = [{"task_id": r["task_id"], "completion": r["canonical_solution"]} for r in rows]
    given[3]["completion"] = "    return None\n"
    given[4] = {"task_id": rows[4]["task_id"], "solution": rows[4]["prompt"] + rows[4]["canonical_solution"]}
    done = dc_eval(
        samples(tmp_path, *given), "--datasets", "humaneval", "--data", DATA, "--partial", "-o", tmp_path / "out"
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out").read_bytes())
    assert found["pass@1"]["value"] == pytest.approx(11 / 12)
    assert (found["problems"], found["without_rollouts"]["count"]) == (164, 152)
    assert found["groups"]["source"]["humaneval"]["problems"] == 164


def test_wrong_data_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "HumanEval.jsonl").write_text('{"task_id": 2, "text": "t", "test_list": []}\n')
    done = dc_eval(samples(tmp_path), "--datasets", "humaneval", "--data", tmp_path, "-o", tmp_path / "out.json")
    assert done.code == 3
    assert "HumanEval.jsonl:1: not HumanEval data: it looks like MBPP" in done.err
    assert not (tmp_path / "out.json").exists()


def test_a_model_is_sampled_judged_and_scored(tmp_path: Path, taught_model: Path) -> None:
    asked = [f"Read an integer n and print {what}." for what in ("n plus 3", "twice n", "the square of n")]
    problems = tmp_path / "problems.jsonl"
    problems.write_bytes(lines(*({"id": text, "statement": text} for text in asked), {"id": "mute"}))
    flags = ["--model", taught_model, "--n", 4, "--k", "1,4", "--max-tokens", 48, "--prompt-style", "fenced"]
    kept = tmp_path / "judged.jsonl"
    done = dc_eval(problems, *flags, "--samples-out", kept)
    assert done.code == 1, "the line without a statement is rejected"
    assert "problems.jsonl:4: no `statement`: nothing to ask" in done.err
    found = json.loads(done.out)
    assert (found["problems"], found["rollouts"], found["scored"]) == (3, 12, 12)
    assert 1 <= found["response_tokens"]["mean"] <= 48
    judged = [json.loads(line) for line in kept.read_bytes().splitlines()]
    assert [len(p["rollouts"]) for p in judged] == [4, 4, 4]
    assert all("tokens" not in r and r["verdict"] for p in judged for r in p["rollouts"])
    scored = json.loads(dc_eval(kept, "--k", "1,4").out)
    assert (scored["pass@1"], scored["pass@4"]) == (found["pass@1"], found["pass@4"])


def test_a_benchmark_is_sampled_without_a_file(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "problems.jsonl").write_bytes(lines({"id": "a", "statement": "Print n squared."}))
    flags = ["--model", str(tiny_model), "--datasets", "plain", "--data", str(tmp_path), "--max-tokens", "8"]
    with pytest.raises(SystemExit, match="0"):  # in this process, which has imported torch
        main([*flags, "-o", str(tmp_path / "scores.json")])
    assert json.loads((tmp_path / "scores.json").read_bytes())["rollouts"] == 1
    assert "plain" in capfd.readouterr().err
    extra = dc_eval(tmp_path / "problems.jsonl", *flags)
    assert (extra.code, "not from FILE" in extra.err) == (2, True)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, dc_tools.eval.command\n"
        "print([m for m in ('numpy', 'jinja2', 'torch', 'transformers') if m in sys.modules])"
    )
    assert run([sys.executable, "-c", code]).out.strip() == b"[]"


def test_to_compare_one_file_is_a_usage_error() -> None:
    done = dc_eval("--compare", stdin=lines({"id": "a", "rollouts": rollouts("AC")}))
    assert (done.code, done.out) == (2, b"")
    assert "--compare wants two or more FILEs" in done.err


def test_samples_that_leave_problems_out_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_bytes(lines(*({"id": name} for name in "abcde")))
    file = samples(tmp_path, {"task_id": "b", "solution": SQUARE})
    done = dc_eval(file, "--datasets", "plain", "--data", tmp_path)
    assert (done.code, done.out) == (2, b"")
    assert "samples: 4 of 5 problems have no sample (a, c, d, ...); --partial scores the others" in done.err


def test_help_names_all_benchmarks() -> None:
    assert NAMES.split(", ") == list(MODULES)
