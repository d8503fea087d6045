"""The engine beside a trainer: wrapped and sharded weights, scarce memory, and a GPU where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_model import examples, messages_of
from torch.distributed import HashStore, destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from dc_tools.core.errors import CannotRun
from dc_tools.rollout.decode import sampling_from
from dc_tools.rollout.engine import Prompt, Sampling
from dc_tools.rollout.transformers import TransformersEngine, load_model, memory_errors

SAMPLING = Sampling(n=3, max_tokens=30, temperature=0.9)
PROMPTS = [Prompt(f"p{i}", tuple(messages_of(s)), "```python\n", ("```",)) for i, (s, _) in enumerate(examples(41, 4))]


def ids_of(engine: TransformersEngine) -> list[list[int]]:
    return [sample.token_ids for group in engine.generate(PROMPTS, SAMPLING) for sample in group]


@pytest.fixture
def one_rank() -> Iterator[None]:
    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    destroy_process_group()


def test_a_fresh_adapter_samples_as_its_base_and_trains_on(taught_model: Path) -> None:
    model, tokenizer = load_model(taught_model, "cpu")
    plain = ids_of(TransformersEngine(model, tokenizer, "plain"))
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    assert ids_of(TransformersEngine(adapted, tokenizer, "adapted")) == plain
    ids = torch.tensor(plain[:1])
    adapted(input_ids=ids, labels=ids).loss.backward()
    assert sum(p.grad is not None for p in adapted.parameters()) == 8


def test_sharded_weights_sample_the_same_and_train_on(taught_model: Path, one_rank: None) -> None:
    model, tokenizer = load_model(taught_model, "cpu")
    plain = ids_of(TransformersEngine(model, tokenizer, "plain"))
    mesh = init_device_mesh("cpu", (1,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    engine, ids = TransformersEngine(model.train(), tokenizer, "sharded"), torch.tensor(plain[:1])
    for _ in range(2):
        assert ids_of(engine) == plain
        model(input_ids=ids, labels=ids).loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_running_out_of_memory_says_what_to_lower() -> None:
    with pytest.raises(CannotRun, match="16 samples at a time: lower --rows"), memory_errors(16):
        torch.empty(1 << 60)
    with pytest.raises(RuntimeError, match="shape"), memory_errors(16):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_log_probabilities_are_those_of_a_full_pass(taught_model: Path) -> None:
    engine = TransformersEngine.load(taught_model)
    assert engine.model.dtype is torch.bfloat16
    engine.model.float()
    with sampling_from(engine.model):
        assert engine.model.config._attn_implementation == "sdpa"
    for group in engine.generate(PROMPTS, SAMPLING):
        for sample in group:
            ids = torch.tensor([sample.prompt_ids + sample.token_ids], device="cuda")
            with torch.no_grad():
                logits = engine.model(input_ids=ids).logits[0, len(sample.prompt_ids) - 1 : -1] / 0.9
            expected = logits.log_softmax(-1)[range(len(sample.token_ids)), sample.token_ids].cpu()
            assert (expected - torch.tensor(sample.logprobs)).abs().max() < 1e-4
