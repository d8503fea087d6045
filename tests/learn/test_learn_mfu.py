"""The arithmetic of learning, worked by hand."""

from types import SimpleNamespace

import pytest
from transformers import MixtralConfig

from dc_tools.learn.batches import Piece, Row, Weighed
from dc_tools.learn.mfu import Cost, peak
from dc_tools.learn.policy import LoraSpec, load_policy


def test_the_operations_of_a_row():
    row = Row.of([Piece(0, [1, 2], [Weighed([3, 4, 5], [-1.0] * 3, 1.0, 1.0), Weighed([6], [-1.0], 1.0, 1.0)])])
    # 6 tokens; 4 of them sampled; they see 1, 2, 3, 4, 5 and 3 tokens
    assert Cost(body=100, trained=100, head=50, attention=7).flops(row) == 6 * 100 * 6 + 6 * 50 * 4 + 12 * 7 * 18
    assert Cost(body=100, trained=0, head=50, attention=0, trains_head=False).flops(row) == 4 * 100 * 6 + 4 * 50 * 4


def test_what_a_model_costs(taught_model):
    policy = load_policy(taught_model, device="cpu")
    config = policy.model.config
    cost = Cost.of(policy.base)
    assert cost.head == config.vocab_size * config.hidden_size
    assert cost.body == cost.trained == sum(p.numel() for p in policy.model.parameters()) - cost.head  # it is tied
    assert cost.attention == config.num_hidden_layers * config.hidden_size
    adapted = Cost.of(load_policy(taught_model, device="cpu", lora=LoraSpec(4)).base)
    assert 0 < adapted.trained < cost.trained and adapted.body == cost.body + adapted.trained
    assert cost.trains_head and not adapted.trains_head
    mixture = MixtralConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    assert Cost.of(SimpleNamespace(config=mixture)) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("NVIDIA H200", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA T4", None)],
)
def test_the_peak_of_a_device(name, expected):
    assert peak(name) == expected
