"""dc-learn whose sampler is vLLM, for real on the CPU; `.ci/vllm` makes the environment."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from linked import join, send
from safetensors.torch import load_file
from tiny_model import make_tiny_model, teach

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/vllm makes an environment that has it")

from dc_tools.core.errors import CannotRun
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.trainer import Trainer
from dc_tools.learn.vllm_sampler import VllmSampler
from dc_tools.rollout.engine import Prompt, Sampling

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]
PROBLEMS = Path(__file__).parents[2] / "examples" / "data" / "train.jsonl"
RECIPE = """
prompt_style = "fenced"
batch = 2
group = 4
max_prompt = 400
max_tokens = 24
temperature = 0.9
lr = 1e-3
save_every = 2
threads = 1
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return teach(make_tiny_model(folder / "wide", heads=2), folder / "taught")


def test_weights_that_were_sent_are_those_that_are_sampled_from(model: Path) -> None:
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    recipe = Recipe(max_prompt=200, max_tokens=40, threads=1)
    sampler, trainer = VllmSampler(str(model), recipe, 1), Trainer(str(model), recipe, "cpu")
    prompt, sampling = Prompt("p", ({"role": "user", "content": "Print n plus 3."},)), Sampling(n=4, max_tokens=20)
    specs = join(trainer, sampler)
    [(_, before)] = sampler.sample([prompt], sampling, "step-0")
    assert max(abs(a - b) for a, b in zip(trainer.probe(), sampler.probe(), strict=True)) < 1e-4
    with torch.no_grad():
        for parameter in trainer.policy.trainable():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    mine = trainer.probe()
    assert max(abs(a - b) for a, b in zip(mine, sampler.probe(), strict=True)) > 0.1
    send(trainer, specs, sampler)
    assert max(abs(a - b) for a, b in zip(mine, sampler.probe(), strict=True)) < 1e-4
    [(_, after)] = sampler.sample([prompt], sampling, "step-1")
    assert [r.text for r in after] != [r.text for r in before]
    assert {r.model for r in after} == {"taught@step-1"}
    is_busy = threading.Event()
    with ThreadPoolExecutor() as threads:
        threads.submit(sampler.engine.call, lambda llm: is_busy.wait())
        asked = threads.submit(sampler.probe)
        threads.submit(sampler.engine.close)
        is_busy.set()
        with pytest.raises(CannotRun, match="the engine was closed"):
            asked.result(timeout=60)


@pytest.mark.parametrize("staleness", [0, 1, 3])
def test_a_run_learns_from_what_vllm_samples(model: Path, tmp_path: Path, staleness: int) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    argv = [
        sys.executable, "-c", "from dc_tools.learn.command import main; main()", PROBLEMS, "--model", model,
        "--recipe", recipe, "--steps", "6", "--workers", "1", "--samplers", "1",
        "--engine", "vllm", "-o", tmp_path / "run",
        "--staleness", staleness,
    ]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"}
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["staleness_max"] for line in lines] == [min(step, staleness) for step in range(6)]
    if not staleness:
        assert max(line["logprob_gap"] for line in lines) < 1e-3
    before, after = (load_file(p / "model.safetensors") for p in (model, tmp_path / "run" / "model"))
    assert max(float((before[name] - after[name]).abs().max()) for name in before if name in after) > 1e-4
