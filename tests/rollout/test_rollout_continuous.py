"""Continuous batching: rows that samples take one after another, on models of several kinds."""

from pathlib import Path

import pytest
import torch
from tiny_model import examples, messages_of
from transformers import AutoModelForCausalLM, GPT2Config, MistralConfig, Qwen3Config

from dc_tools.core.records import Finish
from dc_tools.rollout.decode import Batch
from dc_tools.rollout.engine import Prompt, Sample, Sampling
from dc_tools.rollout.transformers import TransformersEngine

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
CONFIGS = {
    "qwen3": lambda size: Qwen3Config(
        vocab_size=size, **SMALL, num_key_value_heads=2, head_dim=8, max_position_embeddings=400
    ),
    "sliding": lambda size: MistralConfig(
        vocab_size=size, **SMALL, num_key_value_heads=2, sliding_window=16, max_position_embeddings=400
    ),
    "learned positions": lambda size: GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=400),
}


def prompts(count: int) -> list[Prompt]:
    """Short ones before long ones and after."""
    asked = [tuple(messages_of(statement)) for statement, _ in examples(5, count)]
    found = [Prompt(f"p{i}", messages, "```python\n", ("```",)) for i, messages in enumerate(asked)]
    short = [Prompt(f"s{i}", ({"role": "user", "content": "1+" * (i + 1)},)) for i in range(count)]
    return [prompt for pair in zip(short, found, strict=True) for prompt in pair]


def flat(groups: list[list[Sample]]) -> list[Sample]:
    return [sample for group in groups for sample in group]


def check_against_full_passes(engine: TransformersEngine, samples: list[Sample], temperature: float = 1.0) -> None:
    for sample in samples:
        with torch.no_grad():
            ids = torch.tensor([sample.prompt_ids + sample.token_ids])
            logits = engine.model(input_ids=ids, use_cache=False).logits[0, len(sample.prompt_ids) - 1 : -1]
        expected = (logits / temperature).log_softmax(-1)
        chosen = expected[range(len(sample.token_ids)), sample.token_ids]
        assert (chosen - torch.tensor(sample.logprobs)).abs().max() < 1e-4


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_samples_do_not_depend_on_how_many_grow_at_a_time(taught_model: Path, rows: int) -> None:
    engine = TransformersEngine.load(taught_model, device="cpu", rows=1000)
    sampling = Sampling(n=3, max_tokens=90, temperature=1.4, seed=4)
    wide = flat(list(engine.generate(prompts(4), sampling)))
    engine.rows = rows
    narrow = flat(list(engine.generate(prompts(4), sampling)))
    assert [s.token_ids for s in narrow] == [s.token_ids for s in wide]
    assert len({len(s.token_ids) for s in wide}) > 8
    assert {s.finish for s in wide} == {Finish.STOP, Finish.LENGTH}
    check_against_full_passes(engine, narrow, 1.4)


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_models_of_other_kinds_give_the_log_probabilities_of_full_passes(taught_model: Path, kind: str) -> None:
    tokenizer = TransformersEngine.load(taught_model, device="cpu").tokenizer
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[kind](len(tokenizer))).eval()
    engine = TransformersEngine(model, tokenizer, kind, rows=5)
    near_the_end = Prompt("end", ({"role": "user", "content": "é" * 186},))
    room = 400 - len(engine.encode(near_the_end))
    assert 0 < room < 30
    samples = flat(list(engine.generate([near_the_end, *prompts(3)], Sampling(n=2, max_tokens=60))))
    assert len(samples) == 14 and max(len(s.token_ids) for s in samples) == 60
    assert all(len(s.token_ids) <= room for s in samples[:2])
    check_against_full_passes(engine, samples)


def test_a_prompt_is_read_once_for_all_its_samples(taught_model: Path) -> None:
    engine = TransformersEngine.load(taught_model, device="cpu", rows=2)
    read: list[int] = []

    def count(module: object, given: object, named: dict[str, torch.Tensor]) -> None:
        if named["input_ids"].shape[1] > 1:
            read.append(int(named["attention_mask"].sum()))

    engine.model.register_forward_pre_hook(count, with_kwargs=True)
    asked = prompts(3)
    groups = list(engine.generate(asked, Sampling(n=5, max_tokens=20)))
    assert sum(read) == sum(len(group[0].prompt_ids) for group in groups)


def test_columns_that_only_ended_rows_had_are_forgotten(taught_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine.load(taught_model, device="cpu", rows=2)
    widths: list[tuple[int, int]] = []
    advanced = Batch.advanced

    def watched(self: Batch, ids: list[int], alive: list[int]) -> torch.Tensor:
        logits = advanced(self, ids, alive)
        widths.append((self.mask_BT.shape[1], max(self.lengths[row] for row in alive)))
        assert self.cache.get_seq_length() == self.mask_BT.shape[1]
        return logits

    monkeypatch.setattr(Batch, "advanced", watched)
    samples = flat(list(engine.generate(prompts(3), Sampling(n=6, max_tokens=60, temperature=0.9))))
    assert len(widths) > 250
    assert max(width - longest for width, longest in widths) <= 65 + max(longest for _, longest in widths) // 4
    check_against_full_passes(engine, samples, 0.9)
