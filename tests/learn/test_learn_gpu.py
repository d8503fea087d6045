"""What needs GPUs: learning in bfloat16 from float32 masters, rows as long as they get, weights sent over NCCL."""

import sys
from pathlib import Path

import pytest
import torch
from test_learn_trainer import sampled_groups, with_changes

from dc_tools.learn.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
BFLOAT16 = 0.05
"""How far log-probabilities may be apart that are computed in it."""


def test_masters_are_float32_and_small_steps_are_not_lost(taught_model):
    trainer = Trainer(str(taught_model), with_changes(lr=1e-6, max_logprob_gap=BFLOAT16), "cuda")
    assert {p.dtype for p in trainer.policy.trainable()} == {torch.float32}
    before = [p.clone() for p in trainer.policy.trainable()]
    found = trainer.learn(sampled_groups(trainer))
    assert (found["grad_norm"] > 0 and found["mfu"] is None) or found["mfu"] > 0
    assert any((a != b).any() for a, b in zip(before, trainer.policy.trainable(), strict=True))


def test_a_gpu_says_nearly_what_a_cpu_says(taught_model):
    theirs, mine = (Trainer(str(taught_model), with_changes(), device).probe() for device in ("cpu", "cuda"))
    assert mine == pytest.approx(theirs, abs=BFLOAT16)


def test_the_budget_grows_into_the_memory_that_is_there(taught_model):
    trainer = Trainer(str(taught_model), with_changes(token_budget=0, max_logprob_gap=BFLOAT16, batch=4), "cuda")
    groups = sampled_groups(trainer)
    trainer.budget.tokens = 64
    assert trainer.learn(groups)["token_budget"] > 64


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tokens", [16_384, 32_768])
def test_a_model_of_a_billion_weights_learns_from_long_rows(tmp_path, tokens):
    import learn_gpu

    shape = learn_gpu.Shape()
    found = learn_gpu.learned(learn_gpu.random_model(tmp_path, shape, "cuda"), shape, tokens, 2, "cuda")
    assert found.mfu is None or found.mfu > 0.1
    assert found.peak_gb < torch.cuda.get_device_properties(0).total_memory / 1e9


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="it needs two GPUs")
def test_weights_go_from_gpu_to_gpu(taught_model):
    import learn_gpu

    seconds, size = learn_gpu.sent(taught_model, "cuda", "localhost:29418")
    assert seconds < 60 and size > 0
