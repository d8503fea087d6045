"""What several prompts begin with is read once, and nobody can tell."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralForCausalLM

from dc_tools.rollout.decode import read
from dc_tools.rollout.prefix import WORTH_TOKENS, common_prefix
from dc_tools.rollout.transformers import load_model

BEGIN = list(range(20, 20 + WORTH_TOKENS))


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), min_size=2, max_size=5))
def test_the_common_prefix_is_the_longest_that_leaves_each_a_token(ends: list[list[int]]) -> None:
    prompts = [BEGIN + end for end in ends]
    most = min(map(len, prompts)) - 1
    expected = max(n for n in range(most + 1) if all(p[:n] == prompts[0][:n] for p in prompts))
    assert common_prefix(prompts) == prompts[0][:expected]


def test_a_short_prefix_or_a_single_prompt_is_left_alone() -> None:
    assert common_prefix([[*BEGIN, 1]]) == common_prefix([]) == []
    assert common_prefix([[*BEGIN[1:], 1], [*BEGIN[1:], 2]]) == []
    assert common_prefix([BEGIN, BEGIN]) == []  # each must have a token more
    assert common_prefix([[*BEGIN, 1], [*BEGIN, 1]]) == BEGIN


@pytest.mark.parametrize("ends", [[[5, 6, 7], [8], [5, 9]], [[5], [5], [6]]])
@pytest.mark.parametrize("window", [None, 8])
def test_what_is_read_together_is_what_is_read_alone(
    tiny_model: Path, ends: list[list[int]], window: int | None
) -> None:
    model, _ = load_model(tiny_model, "cpu")
    if window:
        sizes = {name: getattr(model.config, name) for name in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads",
        )}
        torch.manual_seed(1)
        model = MistralForCausalLM(MistralConfig(sliding_window=window, **sizes)).eval()
    with torch.no_grad():
        together = read(model, [BEGIN + end for end in ends], 0)
        for end, found in zip(ends, together, strict=True):
            (alone,) = read(model, [BEGIN + end], 0)
            assert found.length == alone.length == len(BEGIN) + len(end)
            torch.testing.assert_close(found.logits_V, alone.logits_V, atol=1e-5, rtol=1e-5)
            for mine, theirs in zip(found.states, alone.states, strict=True):
                torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
