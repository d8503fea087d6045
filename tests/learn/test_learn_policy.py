"""What the scorer says of packed rows, against one sequence at a time, for models whose layers see only so far back."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

from dc_tools.learn.batches import Piece, Row, Weighed
from dc_tools.learn.policy import Policy, Scorer

SIZES = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 200,
}
MODELS = {
    "no window": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "windows": lambda: MistralForCausalLM(MistralConfig(sliding_window=8, **SIZES)),
    "a window in one layer": lambda: Qwen2ForCausalLM(
        Qwen2Config(sliding_window=8, use_sliding_window=True, max_window_layers=1, **SIZES)
    ),
}


@pytest.mark.parametrize("kind", list(MODELS))
def test_packed_rows_say_what_single_sequences_say(kind: str) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    if kind == "a window in one layer":
        assert set(model.config.layer_types) == {"full_attention", "sliding_attention"}
    begin, draw = list(range(20, 40)), torch.Generator().manual_seed(1)

    def some(tokens: int) -> list[int]:
        return torch.randint(60, (tokens,), generator=draw).tolist()

    def weighed(*lengths: int) -> list[Weighed]:
        return [Weighed(some(n), [0.0] * n, 1.0, 1.0) for n in lengths]

    pieces = [Piece(0, begin + some(3), weighed(5, 20)), Piece(1, begin + some(9), weighed(12, 1))]
    row = Row.of(pieces)
    assert row.prompts.count(-1) == 20
    with torch.no_grad():
        found = Scorer(Policy(model, None, torch.device("cpu")))(row, 0.7)
        expected = []
        for piece in pieces:
            for response in piece.responses:
                ids = torch.tensor([piece.prompt_ids + response.ids])
                logprobs = (model(input_ids=ids).logits[0, len(piece.prompt_ids) - 1 : -1] / 0.7).log_softmax(-1)
                expected += logprobs[range(len(response.ids)), response.ids].tolist()
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
