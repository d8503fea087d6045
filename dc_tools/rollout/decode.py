"""The model's side of sampling: prompts that are read once, and rows that take a token at a time.

A row holds one growing sequence, flush right with all others; when it has ended, another may take its place. Two things
make it quick on a CPU, neither of which changes a result: a cache with spare room, so that a token is written and not
copied together with all before it, and attention that does not copy keys for the query heads that share them.

Shapes: P prompts, B rows of the batch, K rows that are taken at once, L prompt tokens, T columns so far, V vocabulary.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from dc_tools.rollout.prefix import common_prefix

SPARE_TOKENS = 64
"""The cache grows by at least so many tokens at a time, not by one: each growth copies it."""
GROUPED = "dc_grouped"
"""Name under which transformers finds `grouped_attention`."""
States = tuple[Tensor, Tensor]
"""Keys and values of a layer (rows, heads, tokens, width)."""


@dataclass(frozen=True)
class Prefix:
    """A prompt that was read: what any number of rows can begin with."""

    states: list[States]
    """Of each layer, one row of L tokens."""
    logits_V: Tensor
    """Of the first token after it."""

    @property
    def length(self) -> int:
        """Its tokens."""
        return int(self.states[0][0].shape[2])


def read(model: Any, prompt_ids: Sequence[list[int]], pad: int) -> list[Prefix]:
    """Read prompts in one pass, left-padded; what all of them begin with is read before, once."""
    device, cache = next(model.parameters()).device, DynamicCache()
    begin = [] if _has_windows(model) else common_prefix(prompt_ids)
    shared = len(begin)
    if shared:
        model(input_ids=torch.tensor([begin], device=device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompt_ids))
    width = max(map(len, prompt_ids)) - shared
    padding = [width + shared - len(ids) for ids in prompt_ids]
    pairs = list(zip(prompt_ids, padding, strict=True))
    ids_PL = torch.tensor([[pad] * gap + ids[shared:] for ids, gap in pairs], device=device)
    mask_PT = torch.tensor([[1] * shared + [0] * gap + [1] * (width - gap) for gap in padding], device=device)
    logits_PV = model(
        input_ids=ids_PL, attention_mask=mask_PT, position_ids=(mask_PT.cumsum(1) - 1).clamp(min=0)[:, shared:],
        past_key_values=cache, use_cache=True, logits_to_keep=1,
    ).logits[:, -1]
    return [
        Prefix([_without(layer, row, shared, gap) for layer in cache.layers], logits_PV[row])
        for row, gap in enumerate(padding)
    ]


def _has_windows(model: Any) -> bool:
    """Whether layers see so many columns back, padding between tokens among them."""
    return bool(getattr(model.config.get_text_config(), "sliding_window", None))


def _without(layer: Any, row: int, shared: int, gap: int) -> States:
    """A row's states without the `gap` columns of padding after the first `shared`."""
    keys, values = layer.keys[row : row + 1], layer.values[row : row + 1]
    if not shared:
        return keys[:, :, gap:], values[:, :, gap:]
    return tuple(torch.cat([each[:, :, :shared], each[:, :, shared + gap :]], 2) for each in (keys, values))


class Batch:
    """B rows, each with a sequence that grows: their cache, the mask over it, and how long each is."""

    def __init__(self, model: Any, rows: int, first: Prefix) -> None:
        """Rows without a sequence; `first` says what a layer's states look like."""
        self.model = model
        self.device = first.logits_V.device
        self.cache = DynamicCache()
        self.cache.layers = [RoomyLayer() for _ in first.states]
        for layer, states in zip(self.cache.layers, first.states, strict=True):
            layer.update(*(each.new_zeros(rows, *each.shape[1:]) for each in states))
        self.mask_BT = torch.zeros(rows, first.length, dtype=torch.long, device=self.device)
        self.lengths = [0] * rows

    def place(self, row: int, prefix: Prefix) -> None:
        """Let a row begin anew with a prompt."""
        width = self.mask_BT.shape[1]
        if prefix.length > width:
            self._widen(prefix.length - width)
            width = prefix.length
        for layer, states in zip(self.cache.layers, prefix.states, strict=True):
            layer.place(row, states)
        self.mask_BT[row] = 0
        self.mask_BT[row, width - prefix.length :] = 1
        self.lengths[row] = prefix.length

    def keep(self, rows: list[int]) -> None:
        """Drop all rows but these."""
        kept_B = torch.tensor(rows, device=self.device)
        self.cache.batch_select_indices(kept_B)
        self.mask_BT, self.lengths = self.mask_BT[kept_B], [self.lengths[row] for row in rows]

    def advanced(self, ids: Sequence[int], alive: Sequence[int]) -> Tensor:
        """Give each row its next token; returns logits_BV of the one after it. Rows that are not `alive` have ended:
        what they get and what is said of them means nothing."""
        self._trim(max(self.lengths[row] for row in alive))
        positions_B1 = torch.tensor(self.lengths, device=self.device)[:, None]
        for row in alive:
            self.lengths[row] += 1
        self.mask_BT = torch.cat([self.mask_BT, self.mask_BT.new_ones(len(ids), 1)], 1)
        logits: Tensor = self.model(
            input_ids=torch.tensor(ids, device=self.device)[:, None], attention_mask=self.mask_BT,
            position_ids=positions_B1, past_key_values=self.cache, use_cache=True, logits_to_keep=1,
        ).logits
        return logits[:, -1]

    def _widen(self, columns: int) -> None:
        """Make room for a prompt that is longer than all rows so far."""
        for layer in self.cache.layers:
            layer.widen(columns)
        self.mask_BT = torch.nn.functional.pad(self.mask_BT, (columns, 0))

    def _trim(self, longest: int) -> None:
        """Forget the columns that only ended rows had, once they are many."""
        width = self.mask_BT.shape[1]
        if width > longest + max(SPARE_TOKENS, longest // 4):
            for layer in self.cache.layers:
                layer.trim(width - longest)
            self.mask_BT = self.mask_BT[:, width - longest :]
            self.lengths = [min(length, longest) for length in self.lengths]


@contextlib.contextmanager
def sampling_from(model: Any) -> Iterator[None]:
    """The model in evaluation mode without gradients and, on a CPU, with `grouped_attention`; then as it was.

    Not inference mode: the weights that FSDP2 gathers there could not be trained on afterwards.
    """
    training, attention = model.training, model.config._attn_implementation
    copies_keys = attention == "sdpa" and next(model.parameters()).device.type == "cpu"
    model.eval()
    try:
        if copies_keys:
            AttentionInterface.register(GROUPED, grouped_attention)
            AttentionMaskInterface.register(GROUPED, sdpa_mask)
            model.set_attn_implementation(GROUPED)
        with torch.no_grad():
            yield
    finally:
        if copies_keys:
            model.set_attn_implementation(attention)
        model.train(training)


def grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """transformers' `sdpa` attention without the copy of keys and values for each query head that shares them.

    The results are the same bits; on a CPU it takes an eighth of the time (32 rows x 300 tokens, 9 heads on 3). On a
    GPU the mask would rule out the fast kernels.
    """
    unusual = options.get("position_bias") is not None or options.get("cache") is not None
    if unusual or key.shape[1] == query.shape[1]:
        return cast("tuple[Tensor, None]", sdpa_attention_forward(module, query, key, value, attention_mask, **options))
    given = options.get("is_causal")
    is_causal = given if given is not None else getattr(module, "is_causal", True)
    mixed = scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, dropout_p=options.get("dropout", 0.0),
        is_causal=is_causal and attention_mask is None and query.shape[2] > 1, scale=options.get("scaling"),
        enable_gqa=True,
    )
    return mixed.transpose(1, 2).contiguous(), None


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not followed by mypy
    """A cache layer with spare room behind its last token, so that a token more is written, not copied together."""

    def __init__(self) -> None:
        super().__init__()
        self._room: States | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> States:
        """Append the states of new tokens (rows, heads, tokens, width); returns all of them."""
        before = self.get_seq_length()
        if before == 0:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        after = before + key_states.shape[2]
        if self._room is None or self._room[0].shape[2] < after:
            spare = max(SPARE_TOKENS, before // 4)
            self._room = _with_room(self.keys, after + spare), _with_room(self.values, after + spare)
        keys, values = self._room
        keys[:, :, before:after], values[:, :, before:after] = key_states, value_states
        self.keys, self.values = keys[:, :, :after], values[:, :, :after]
        return self.keys, self.values

    def place(self, row: int, states: States) -> None:
        """Write the last tokens of a row."""
        for whole, own in zip((self.keys, self.values), states, strict=True):
            whole[row, :, whole.shape[2] - own.shape[2] :] = own[0]

    def widen(self, columns: int) -> None:
        """Put tokens of zeros before all."""
        self._room = None
        self.keys, self.values = (
            torch.cat([each.new_zeros(*each.shape[:2], columns, each.shape[3]), each], 2)
            for each in (self.keys, self.values)
        )

    def trim(self, columns: int) -> None:
        """Forget the first tokens of all rows."""
        if self._room:
            self._room = self._room[0][:, :, columns:], self._room[1][:, :, columns:]
        self.keys, self.values = self.keys[:, :, columns:], self.values[:, :, columns:]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows `indices`."""
        self._room = None
        super().batch_select_indices(indices)


def _with_room(states: Tensor, tokens: int) -> Tensor:
    rows, heads, before, width = states.shape
    room = states.new_empty(rows, heads, tokens, width)
    room[:, :, :before] = states
    return room
