"""What makes decoding quick changes no result: attention and cache against those of transformers, bit for bit."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from dc_tools.rollout.decode import GROUPED, SPARE_TOKENS, RoomyLayer, grouped_attention, sampling_from


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("queries", [1, 7])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("key_heads", [3, 9])
def test_grouped_attention_is_sdpa_to_the_bit(queries: int, masked: bool, key_heads: int) -> None:
    module = SimpleNamespace(num_key_value_groups=9 // key_heads, is_causal=True)
    query, key, value = noise(4, 9, queries, 16), noise(4, key_heads, 7, 16, seed=1), noise(4, key_heads, 7, 16, seed=2)
    mask = noise(4, 1, queries, 7, seed=6) > 0 if masked else None
    if mask is not None:
        mask[..., 0] = True
    mine, _ = grouped_attention(module, query, key, value, mask, scaling=0.3)
    theirs, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
    assert torch.equal(mine, theirs)


def test_a_roomy_layer_holds_what_a_plain_one_holds() -> None:
    roomy, plain = RoomyLayer(), DynamicLayer()
    for step in range(200):
        tokens, rows = 5 if step == 0 else 1, 6 if step < 90 else 3
        new = noise(rows, 3, tokens, 4, seed=step), noise(rows, 3, tokens, 4, seed=-step - 1)
        mine, theirs = roomy.update(*new), plain.update(*new)
        assert torch.equal(mine[0], theirs[0]) and torch.equal(mine[1], theirs[1])
        assert roomy.get_mask_sizes(1) == plain.get_mask_sizes(1) == (step + 6, 0)
        if step == 89:
            kept = torch.tensor([0, 3, 4])
            roomy.batch_select_indices(kept)
            plain.batch_select_indices(kept)


def test_a_roomy_layer_is_widened_trimmed_and_written_into() -> None:
    layer = RoomyLayer()
    layer.update(noise(2, 1, 3, 1), noise(2, 1, 3, 1, seed=1))
    layer.update(noise(2, 1, 1, 1, seed=2), noise(2, 1, 1, 1, seed=3))
    before = layer.keys.clone()
    layer.widen(2)
    assert torch.equal(layer.keys, torch.cat([torch.zeros(2, 1, 2, 1), before], 2))
    layer.update(noise(2, 1, 1, 1, seed=4), noise(2, 1, 1, 1, seed=5))
    layer.trim(3)
    assert torch.equal(layer.keys, torch.cat([before[:, :, 1:], noise(2, 1, 1, 1, seed=4)], 2))
    own = noise(1, 1, 2, 1, seed=6), noise(1, 1, 2, 1, seed=7)
    layer.place(1, own)
    assert torch.equal(layer.keys[0], torch.cat([before[0, :, 1:], noise(2, 1, 1, 1, seed=4)[0]], 1))
    assert torch.equal(layer.values[1, :, -2:], own[1][0])
    for step in range(SPARE_TOKENS + 1):
        layer.update(noise(2, 1, 1, 1, seed=step), noise(2, 1, 1, 1, seed=step))
    assert torch.equal(layer.keys[1, :, 2:4], own[0][0]) and layer.get_seq_length() == 4 + SPARE_TOKENS + 1


def test_a_model_gets_back_its_mode_and_attention_even_after_an_error(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model).train()
    with pytest.raises(KeyError), sampling_from(model):
        assert (model.training, model.config._attn_implementation) == (False, GROUPED)
        raise KeyError
    assert (model.training, model.config._attn_implementation) == (True, "sdpa")
    model.set_attn_implementation("eager")
    with sampling_from(model):
        assert model.config._attn_implementation == "eager"
