"""dc-rollout as its users run it."""

import importlib.util
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from chat_server import hangs, serving, status
from processes import BIN, end, run, started, wait_until
from tiny_model import examples

from dc_tools.core.extract import extract_code
from dc_tools.rollout.command import main
from dc_tools.rollout.transformers import TransformersEngine

SMALL = ["--prompt-style", "fenced", "--max-tokens", "40", "--device", "cpu"]


def write_problems(path: Path, count: int = 5) -> Path:
    """`count` lines, with odd spacing and foreign fields that must survive."""
    with path.open("w") as stream:
        for i, (statement, program) in enumerate(examples(31, count)):
            tests = [{"input": "1 2\n", "output": "3"}]
            row = {"id": f"p{i}", "statement": statement, "tests": tests, "solutions": [{"code": program}]}
            stream.write(json.dumps(row)[:-1] + ', "mine": {"b" : 1.50,  "a":[ ]}}\n')
    return path


def rollout(*argv: str | Path) -> int:
    """Run dc-rollout in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in argv])
    return int(ended.value.code or 0)


def rows(path: Path) -> list[dict]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_rollouts_are_added_and_all_else_passes_through(taught_model: Path, tmp_path: Path) -> None:
    problems, out = write_problems(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    assert rollout(problems, "--model", taught_model, *SMALL, "--n", "3", "-o", out) == 0
    found = rows(out)
    assert [row["id"] for row in found] == [f"p{i}" for i in range(5)]
    for raw, before, after in zip(out.read_bytes().splitlines(), rows(problems), found, strict=True):
        rollouts = after.pop("rollouts")
        assert after == before
        assert b'{"b" : 1.50,  "a":[ ]}' in raw
        assert len(rollouts) == 3
        for each in rollouts:
            assert each["text"].startswith("```python\n")
            assert each.get("code") == extract_code(each["text"])
            assert each["model"] == taught_model.name
            assert "tokens" not in each
            assert each["usage"]["prompt"] > 0 < each["usage"]["response"] <= 40
        assert len({each["seed"] for each in rollouts}) == 3
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["counts"]["out"] == 5


def test_rollouts_that_a_line_has_stay_byte_for_byte(taught_model: Path, tmp_path: Path) -> None:
    problems, once, twice = write_problems(tmp_path / "in.jsonl", 2), tmp_path / "once", tmp_path / "twice"
    rollout(problems, "--model", taught_model, *SMALL, "-o", once)
    spaced = once.read_bytes().replace(b'"rollouts":[{', b'"rollouts":[{"mine": {"a" : "b"},')
    (tmp_path / "spaced").write_bytes(spaced)
    rollout(tmp_path / "spaced", "--model", taught_model, *SMALL, "--seed", "1", "-o", twice)
    for before, after in zip(spaced.splitlines(), twice.read_bytes().splitlines(), strict=True):
        assert after.startswith(before.removesuffix(b"]}"))
        assert [len(orjson.loads(each)["rollouts"]) for each in (before, after)] == [1, 2]


def test_tokens_are_kept_on_request_and_decode_to_the_text(taught_model: Path, tmp_path: Path) -> None:
    problems, out = write_problems(tmp_path / "in.jsonl"), tmp_path / "out"
    rollout(problems, "--model", taught_model, *SMALL, "--tokens", "-o", out)
    tokenizer = TransformersEngine.load(taught_model, device="cpu").tokenizer
    for row in rows(out):
        (each,) = row["rollouts"]
        tokens = each["tokens"]
        assert len(tokens["ids"]) == len(tokens["logprobs"])
        assert "```python\n" + tokenizer.decode(tokens["ids"], skip_special_tokens=True) == each["text"]
        assert row["statement"] in tokenizer.decode(tokens["prompt_ids"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny_model: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "in.jsonl")
    made = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        rollout(problems, "--model", tiny_model, *SMALL, "--seed", seed, "-o", tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] != made[2]


def test_lines_that_ask_nothing_are_rejected_and_the_rest_goes_on(
    taught_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = write_problems(tmp_path / "good", 3).read_text().splitlines()
    mixed = tmp_path / "mixed"
    mixed.write_text("\n".join([good[0], '{"id":"silent","tests":[]}', "not json", *good[1:]]) + "\n")
    assert rollout(mixed, "--model", taught_model, *SMALL, "-o", tmp_path / "out", "--batch-prompts", "2") == 1
    assert [row["id"] for row in rows(tmp_path / "out")] == ["p0", "p1", "p2"]
    assert f"{mixed}:2: no `statement`: nothing to ask" in capfd.readouterr().err


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_it_makes_the_same_bytes(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 36)
    lines = problems.read_text().splitlines()
    for place in (7, 8, 30):
        lines.insert(place, '{"id":"silent","tests":[]}')
    problems.write_text("\n".join(lines) + "\n")
    flags = ["--model", tiny_model, *SMALL, "--max-tokens", "80", "--n", "4", "--temperature", "1", "--tokens"]
    flags += ["--batch-prompts", "3", "--max-rejects", "3", "--resume"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert rollout(problems, *flags, "-o", whole, "--rejects", tmp_path / "whole.rejects") == 0
    argv = [problems, *flags, "-o", cut, "--rejects", tmp_path / "cut.rejects"]
    rng, partial = random.Random(0), tmp_path / "cut.partial"
    for number in (signal.SIGKILL, signal.SIGTERM):
        more = 1 + (partial.stat().st_size if partial.exists() else 0)
        with started([BIN / "dc-rollout", *argv]) as process:
            wait_until(partial_of(partial, more))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(rng.random() / 5)
            end(process, number)
    assert not cut.exists()
    assert rollout(*argv) == 0
    assert "going on after" in capfd.readouterr().err
    assert cut.read_bytes() == whole.read_bytes()
    rejects = (tmp_path / "cut.rejects").read_bytes()
    assert rejects == (tmp_path / "whole.rejects").read_bytes()
    assert len(rejects.splitlines()) == 3


def partial_of(path: Path, size: int) -> Callable[[], bool]:
    """Whether `path` has grown to `size` bytes."""
    return lambda: path.exists() and path.stat().st_size >= size


def test_a_server_gives_rollouts_too_and_its_failures_are_said(
    taught_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    problems = write_problems(tmp_path / "in.jsonl")
    with serving(TransformersEngine.load(taught_model, device="cpu")) as server:
        flags = ["--engine", "openai", "--base-url", server.url, "--prompt-style", "fenced", "--max-tokens", "40"]
        server.faults.append(status(404))
        assert rollout(problems, *flags, "--n", "2", "--tokens", "--concurrency", "1", "-o", tmp_path / "out") == 1
    first, *rest = rows(tmp_path / "out")
    assert [each["error"] for each in first["rollouts"]] == ["HTTP 404: not now"] * 2
    assert [each["finish"] for each in first["rollouts"]] == ["error"] * 2
    assert all(each["model"] == "tiny" and each["tokens"]["ids"] for row in rest for each in row["rollouts"])
    assert "2 samples failed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ([], 2, "--engine transformers needs --model FOLDER"),
        (["--model", "no-such-folder"], 3, "no-such-folder: not a model folder (no config.json)"),
        (["--engine", "openai"], 2, "--engine openai needs --base-url"),
        (["--engine", "openai", "--base-url", "ftp://x"], 2, "begins with neither http:// nor https://"),
        (["--prompt-style", "sonnet"], 2, "'sonnet' is not one of 'chat', 'fenced'"),
    ],
)
def test_what_cannot_run_says_what_to_do(
    flags: list[str], code: int, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 1)
    assert rollout(problems, *flags) == code
    assert words in capfd.readouterr().err


def test_help_needs_no_heavy_package() -> None:
    heavy = "{'torch', 'transformers', 'httpx', 'numpy'}"
    script = f"import sys, dc_tools.rollout.command; print({heavy} & set(sys.modules))"
    assert run([sys.executable, "-c", script]).out == b"set()\n"


def test_term_ends_a_run_that_waits_for_its_server(
    taught_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    problems = write_problems(tmp_path / "in.jsonl")
    with serving(TransformersEngine.load(taught_model, device="cpu")) as server:
        server.faults.extend([hangs] * 5)
        argv = ["dc-rollout", problems, "--engine", "openai", "--base-url", server.url, "-o", tmp_path / "out"]
        with started([BIN / argv[0], *argv[1:]]) as process:
            wait_until(lambda: len(server.bodies) == 5)
            code, err = end(process, signal.SIGTERM)
    assert code == 143
    assert "stopped by TERM; run again with --resume" in err
    assert not (tmp_path / "out").exists()


def test_without_vllm_its_engine_says_what_to_install(tiny_model: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("vllm"):
        pytest.skip("vLLM is installed here")
    found = run([BIN / "dc-rollout", write_problems(tmp_path / "in"), "--engine", "vllm", "--model", tiny_model])
    assert (found.code, found.out) == (3, b"")
    assert "dc-tools[vllm]" in found.err
