"""How much arithmetic learning takes, and what share of its device's peak that is.

Model FLOPs utilisation (Chowdhery et al. 2022, "PaLM", appendix B): what is computed twice to save memory, or masked
out, does not count. Pure.
"""

from dataclasses import dataclass
from typing import Any

from dc_tools.learn.batches import Row

PEAKS = {
    "B200": 2250e12, "GB200": 2500e12, "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "H800": 989e12,
    "GH200": 989e12, "A100": 312e12, "A800": 312e12, "L40S": 362e12, "A10": 125e12, "MI300X": 1307e12,
}
"""Dense bfloat16 operations a second, from data sheets, by a part of the device's name."""


def peak(device_name: str) -> float | None:
    """Of a device, where it is known."""
    known = [name for name in PEAKS if name in device_name]
    return PEAKS[max(known, key=len)] if known else None


@dataclass(frozen=True)
class Cost:
    """What a model costs: `body` weights that every token meets, of which `trained` are learned; `head` weights that
    sampled tokens meet; `attention`, the width of all heads of all layers."""

    body: int
    trained: int
    head: int
    attention: int
    trains_head: bool = True

    @staticmethod
    def of(causal_lm: Any) -> "Cost | None":
        """A causal language model's, as it stands in a `Scorer`; None where tokens meet a part of it (experts)."""
        config = causal_lm.config.get_text_config()
        if any("expert" in name for name in config.to_dict()):
            return None
        embedding, head = causal_lm.get_input_embeddings().weight, causal_lm.get_output_embeddings().weight
        body = [p for p in causal_lm.parameters() if p is not embedding and p is not head]
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return Cost(
            sum(p.numel() for p in body), sum(p.numel() for p in body if p.requires_grad), head.numel(),
            config.num_hidden_layers * config.num_attention_heads * width, head.requires_grad,
        )

    def flops(self, row: Row) -> int:
        """Operations to learn from a row: a token sees as many as its position says, and itself."""
        pairs = sum(row.positions) + len(row.positions)
        head = (6 if self.trains_head else 4) * self.head
        return (4 * self.body + 2 * self.trained) * len(row.ids) + head * len(row.targets) + 12 * self.attention * pairs
