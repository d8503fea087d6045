"""Training: gradients, resumption and what is learned, on the tiny model and in real processes."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest import approx
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from dc_tools.core.extract import extract_code
from dc_tools.core.records import Problem, Solution, Status, Test, Verdict, encode
from dc_tools.finetune.command import main
from dc_tools.finetune.data import Example
from dc_tools.finetune.train import accumulate, keep_metrics, mean_loss, padded
from dc_tools.learn.policy import LoraSpec, load_policy
from dc_tools.rollout.engine import Sampling
from dc_tools.rollout.prompts import PromptStyle, render
from dc_tools.rollout.transformers import TransformersEngine
from dc_tools.sandbox.judge import JudgePool

CPU = torch.device("cpu")
COMMAND = str(Path(sys.executable).with_name("dc-finetune"))
FEW = [Example("a", [5, 6, 7, 8, 9], 3), Example("b", [9, 4, 7], 1), Example("c", [3, 2, 1, 4, 4, 5, 8], 2)]
TERMS = {"n plus 3": "n + 3", "n times 4": "n * 4", "the square of n": "n * n"}


def problems(verified: bool = True) -> list[Problem]:
    """Three templates, ten problems of each with tests of their own."""
    rng, found = random.Random(1), []
    verdict = Verdict(status=Status.AC, passed=1, total=1) if verified else None
    for index in range(30):
        words, term = list(TERMS.items())[index % 3]
        inputs = rng.sample(range(2, 99), 3)
        tests = [Test(input=f"{n}\n", output=f"{eval(term, {'n': n})}\n") for n in inputs]
        solution = Solution(code=f"n = int(input())\nprint({term})\n", verdict=verdict)
        statement = f"Read an integer n and print {words}."
        found.append(Problem(id=f"p{index}", tests=tests, statement=statement, solutions=[solution]))
    return found


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "problems.jsonl"
    path.write_bytes(b"".join(encode(p) + b"\n" for p in problems()))
    return path


def arguments(lines: Path, model: Path, out: Path, *more: str) -> list[str]:
    common = ["--batch-size", "8", "--epochs", "4", "--lr", "3e-3", "--prompt-style", "fenced", "--save-every", "2"]
    return [str(lines), "--model", str(model), "-o", str(out), *common, *more]


def finetune(*given: Any) -> int:
    """The command in this process; its exit code."""
    with pytest.raises(SystemExit) as end:
        main(arguments(*given))
    return int(end.value.code or 0)


def gradient(model: Any) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def metrics_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_labels_are_the_answers_tokens_and_nothing_else() -> None:
    ids_BT, labels_BT = padded(FEW)
    assert labels_BT.tolist() == [
        [-100, -100, -100, 8, 9, -100, -100], [-100, 4, 7, -100, -100, -100, -100], [-100, -100, 1, 4, 4, 5, 8],
    ]
    assert ids_BT[1].tolist() == [9, 4, 7, 0, 0, 0, 0]


def test_the_loss_is_the_mean_over_answer_tokens_worked_by_hand(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    by_hand, tokens = 0.0, 0
    for example in FEW:
        with torch.no_grad():
            logprobs_TV = model(torch.tensor([example.ids])).logits[0].log_softmax(-1)
        for place in range(example.start, len(example.ids)):
            by_hand -= float(logprobs_TV[place - 1, example.ids[place]])
            tokens += 1
    loss, counted = accumulate(model, FEW, 10_000, CPU)
    assert counted == tokens == 9
    assert loss == approx(by_hand / tokens, rel=1e-5)


@pytest.mark.parametrize("micro_tokens", [1, 8, 15])
def test_the_gradient_is_the_same_however_the_step_is_cut(tiny_model: Path, micro_tokens: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    accumulate(model, FEW, 10_000, CPU)
    whole = gradient(model)
    model.zero_grad()
    accumulate(model, FEW, micro_tokens, CPU)
    assert float((gradient(model) - whole).abs().max()) < 1e-5 * float(whole.abs().max())


def test_gradient_checkpointing_leaves_the_gradient_as_it_is(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).train()
    accumulate(model, FEW, 10_000, CPU)
    whole = gradient(model)
    model.zero_grad()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    accumulate(model, FEW, 10_000, CPU)
    assert torch.equal(gradient(model), whole)


def test_the_held_out_loss_is_that_of_training_and_leaves_no_gradient(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    measured = mean_loss(model, FEW, 8, CPU)
    assert all(p.grad is None for p in model.parameters())
    assert measured == approx(accumulate(model, FEW, 10_000, CPU)[0], rel=1e-5)


def test_weights_to_train_are_held_in_float32_and_the_rest_as_it_came(tiny_model: Path) -> None:
    policy = load_policy(str(tiny_model), device="cpu", lora=LoraSpec(rank=2))
    policy.model.to(torch.bfloat16)
    assert policy.hold_in_float32() is torch.bfloat16
    assert {p.dtype for p in policy.trainable()} == {torch.float32}
    assert {p.dtype for p in policy.model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_tokens_before_the_answer_do_not_move_the_head_by_being_targets(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    losses = [accumulate(model, [Example("x", [first, 6, 7, 8], 3)], 99, CPU)[0] for first in (5, 5)]
    assert losses[0] == losses[1]
    changed = accumulate(model, [Example("x", [5, 6, 7, 9], 3)], 99, CPU)[0]
    assert changed != losses[0]


def test_metrics_of_steps_that_are_taken_again_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2}\n{"step":3}\n{"st')
    keep_metrics(path, 2)
    assert path.read_bytes() == b'{"step":1}\n{"step":2}\n'


def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(
    lines: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = subprocess.Popen([COMMAND, *arguments(lines, tiny_model, killed)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/step-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "model").exists()
    assert finetune(lines, tiny_model, killed, "--resume", "--lr", "1e-3") == 3
    assert "--lr was 0.003, now 0.001" in capsys.readouterr().err
    assert finetune(lines, tiny_model, killed, "--resume") == 0
    assert "going on after step" in capsys.readouterr().err
    assert finetune(lines, tiny_model, whole) == 0
    expected, got = (load_file(folder / "model" / "model.safetensors") for folder in (whole, killed))
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    accounts = [[{**m, "wall_s": 0} for m in metrics_of(folder)] for folder in (whole, killed)]
    assert accounts[0] == accounts[1]
    assert len(accounts[0]) == 15
    assert finetune(lines, tiny_model, killed, "--resume") == 0
    assert "finished already: nothing done" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--quiet", "--resume", "--force"])
def test_a_folder_that_holds_something_else_is_never_overwritten(
    lines: Path, tiny_model: Path, tmp_path: Path, flag: str
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert finetune(lines, tiny_model, tmp_path, flag) == 3
    assert sorted(os.listdir(tmp_path)) == [".lock", "thesis.tex"]


def test_without_a_right_answer_it_says_why_and_counts(
    tiny_model: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unjudged = tmp_path / "unjudged.jsonl"
    unjudged.write_bytes(b"".join(encode(p) + b"\n" for p in problems(verified=False)[:7]))
    assert finetune(unjudged, tiny_model, tmp_path / "out") == 3
    assert "nothing to learn from: 7 no-verdict (dc-sandbox judges them" in capsys.readouterr().err
    assert finetune(lines, tiny_model, tmp_path / "out", "--against", str(unjudged), "--max-length", "20") == 3
    assert "30 in-evaluation-set" in capsys.readouterr().err
    assert finetune(lines, tiny_model, tmp_path / "out", "--max-length", "20", "--limit", "2") == 3
    assert "2 too-long (--max-length allows longer ones)" in capsys.readouterr().err


def test_the_folder_of_a_run_is_kept_from_a_second_one(
    lines: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert finetune(lines, tmp_path / "no-model", out) == 3
    assert "no config.json" in capsys.readouterr().err
    assert finetune(lines, tiny_model, out, "--epochs", "1") == 0
    weights = (out / "model" / "model.safetensors").read_bytes()
    assert finetune(lines, tiny_model, out, "--epochs", "1") == 3
    assert "--resume goes on with a run, --force removes it" in capsys.readouterr().err
    assert (out / "model" / "model.safetensors").read_bytes() == weights
    assert finetune(lines, tiny_model, out, "--epochs", "1", "--seed", "1", "--force") == 0
    assert (out / "model" / "model.safetensors").read_bytes() != weights
    with (out / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert finetune(lines, tiny_model, out, "--epochs", "1", "--seed", "1", "--force") == 3
        assert "another run is writing this folder" in capsys.readouterr().err


def test_training_teaches_the_tiny_model_to_write_right_programs(
    lines: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = tmp_path / "heldout.jsonl"
    right = Verdict(status=Status.AC, passed=1, total=1)
    solutions = [Solution(code="n = int(input())\nprint(n * 7)\n", verdict=right)]
    statement = "Read an integer n and print n times 7."
    held_out.write_bytes(encode(Problem(id="h", tests=[], statement=statement, solutions=solutions)) + b"\n")
    more = ["--epochs", "32", "--show-mask", "1", "--save-every", "60", "--eval", str(held_out)]
    assert finetune(lines, tiny_model, tmp_path / "out", *more) == 0
    losses = [m["loss"] for m in metrics_of(tmp_path / "out")]
    assert losses[0] > 5.0
    assert max(losses[-5:]) < 0.4
    assert r"learned '```python\nn = int(input())" in capsys.readouterr().err
    made = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (made["counts"]["in"], made["examples"], made["steps"]) == (30, 30, 120)
    measured = [m["eval_loss"] for m in metrics_of(tmp_path / "out") if "eval_loss" in m]
    assert len(measured) == 2
    assert measured[1] == approx(made["eval_loss"])
    assert measured[1] < 2.0
    before, after = (share_right(folder) for folder in (tiny_model, tmp_path / "out" / "model"))
    assert before == 0.0
    assert after > 0.5


def share_right(folder: Path) -> float:
    """The share of right programs among 8 samples for each of the first 6 problems."""
    asked = problems()[:6]
    engine = TransformersEngine.load(folder, device="cpu")
    groups = engine.generate([render(p, PromptStyle.FENCED) for p in asked], Sampling(n=8, max_tokens=32, seed=1))
    with JudgePool(2) as pool:
        verdicts = [
            pool.submit(p, extract_code(s.text) or "") for p, group in zip(asked, groups, strict=True) for s in group
        ]
        return sum(v.result().status is Status.AC for v in verdicts) / len(verdicts)


def test_flags_that_make_no_sense_are_usage_errors(lines: Path, tiny_model: Path) -> None:
    assert finetune(lines, tiny_model, Path("-")) == 2
    assert finetune(lines, tiny_model, Path("out"), "--save-adapter") == 2


def test_with_lora_the_base_stays_and_the_adapter_is_saved_beside_the_merged_model(
    lines: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert finetune(lines, tiny_model, out, "--lora", "--rank", "2", "--save-adapter") == 0
    adapter = load_file(out / "adapter" / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 7
    base, merged = (load_file(folder / "model.safetensors") for folder in (tiny_model, out / "model"))
    assert torch.equal(base["model.embed_tokens.weight"], merged["model.embed_tokens.weight"])
    name = "model.layers.0.mlp.up_proj"
    low_rank = [adapter[f"base_model.model.{name}.lora_{side}.weight"] for side in "BA"]
    expected = base[f"{name}.weight"] + 16.0 * low_rank[0] @ low_rank[1]
    assert float((merged[f"{name}.weight"] - expected).abs().max()) < 1e-6
    losses = [m["loss"] for m in metrics_of(out)]
    assert losses[-1] < losses[0] - 0.4


def test_merged_adapter_weights_answer_as_the_adapter_does(tiny_model: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    policy = load_policy(str(tiny_model), lora=LoraSpec(rank=4, alpha=8))
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    policy.save(tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    ids = torch.randint(5, 300, (2, 30), generator=torch.Generator().manual_seed(1))
    policy.model.eval()
    with torch.no_grad():
        adapted, exported, untouched = (model(ids).logits for model in (policy.model, merged, base))
    assert float((adapted - exported).abs().max()) < 1e-5
    assert float((adapted - untouched).abs().max()) > 1e-2
