"""The policy: a causal language model with its tokenizer, what of it is trained, and how it is saved; the home of peft.

Shapes: T tokens of a row, S of them sampled ones, C of these at a time; D width, V vocabulary.
"""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dc_tools.core.errors import CannotRun, missing_extra
from dc_tools.core.manifest import sync
from dc_tools.learn.batches import SHARED, Row
from dc_tools.learn.disk import writing
from dc_tools.rollout.transformers import load_model

CHUNK = 2048
"""Sampled tokens whose logits exist at once; beyond, they are made again on the way back."""


@dataclass(frozen=True)
class LoraSpec:
    """A low-rank adapter (Hu et al. 2021, "LoRA")."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target: str | list[str] = "all-linear"


@dataclass
class Policy:
    """A model that is sampled from, trained and saved."""

    model: Any
    tokenizer: Any
    device: torch.device
    lora: LoraSpec | None = None

    @property
    def base(self) -> Any:
        """The causal language model itself, in which an adapter may sit."""
        return self.model.get_base_model() if self.lora else self.model

    def trainable(self) -> list[torch.nn.Parameter]:
        """The parameters that learning changes."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def hold_in_float32(self) -> torch.dtype:
        """Make what is trained float32, since small steps vanish in bfloat16; returns the model's own type."""
        own: torch.dtype = self.model.dtype
        for parameter in self.trainable():
            parameter.data = parameter.data.float()
        return own

    def trained_state(self) -> dict[str, Tensor]:
        """The trained parameters by name; enough, with the base model, to come back to this policy."""
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Take on what `trained_state` gave. Errors: `CannotRun` where it is of another model."""
        own = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if own.keys() != state.keys() or any(own[n].shape != state[n].shape for n in own):
            raise CannotRun("the checkpoint is of another model, or of another choice of what to train")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state[name])

    def save(self, directory: Path | str, dtype: torch.dtype | None = None, card: str = "") -> None:
        """A complete Hugging Face folder, whole or absent; an adapter is merged into its model. With a `dtype` the
        weights are written in it. Errors: as `writing`."""
        model = self.model
        if self.lora or dtype not in {None, model.dtype}:
            model = copy.deepcopy(model)
        model = model.merge_and_unload() if self.lora else model
        self._save(model.to(dtype) if dtype else model, Path(directory), card=card)

    def save_state(self, directory: Path | str, state: dict[str, Tensor], card: str = "") -> None:
        """The same with weights that are not in the model."""
        self._save(self.base, Path(directory), state, card)

    def save_adapter(self, directory: Path | str) -> None:
        """The adapter alone, as peft reads it. Errors: `CannotRun` where there is none."""
        if not self.lora:
            raise CannotRun("there is no adapter to save: the whole model was trained")
        self._save(self.model, Path(directory))

    def _save(self, model: Any, directory: Path, state: dict[str, Tensor] | None = None, card: str = "") -> None:
        partial = directory.with_name(f"{directory.name}.partial")
        with writing(directory, partial):
            shutil.rmtree(partial, ignore_errors=True)
            model.save_pretrained(partial, state_dict=state)
            if state:
                _name_type(partial / "config.json", next(iter(state.values())).dtype)
            self.tokenizer.save_pretrained(partial)
            if card:
                (partial / "README.md").write_text(card)
            for written in partial.iterdir():
                sync(written)
            shutil.rmtree(directory, ignore_errors=True)
            partial.rename(directory)
            sync(directory.parent)


def _name_type(config: Path, dtype: torch.dtype) -> None:
    """Weights that are not in the model may be of another type than it has."""
    settings = json.loads(config.read_text())
    settings["dtype"] = str(dtype).removeprefix("torch.")
    config.write_text(json.dumps(settings, indent=2) + "\n")


def load_policy(
    directory: str | Path, *, device: str = "auto", lora: LoraSpec | None = None, freeze_embeddings: bool = False
) -> Policy:
    """The model in `directory`, ready to learn. `freeze_embeddings` leaves them (and a tied head) as they are.

    Errors: `CannotRun` for a folder that is no model, and where the model does not fit into memory.
    """
    model, tokenizer = load_model(directory, device)
    where = next(model.parameters()).device
    if freeze_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)
    if lora:
        model = _with_adapter(model, lora)
    return Policy(model, tokenizer, where, lora)


def computing(device: torch.device) -> torch.autocast:
    """The context of a forward pass: bfloat16 whatever the weights are held in, but for a CPU, where it is slow."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu")


def _with_adapter(model: Any, lora: LoraSpec) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise missing_extra("peft", "train") from None
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.target, task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


class Scorer(torch.nn.Module):
    """Log-probabilities of the sampled tokens of a row, without a tensor of all their logits.

    Prompts are read once for all their responses, what all prompts of a row begin with once for all: a token sees its
    prompt and the earlier tokens of its own response.
    """

    def __init__(self, policy: Policy, *, little_memory: bool = False) -> None:
        """With `little_memory` each layer keeps its input alone, and is computed again on the way back."""
        super().__init__()
        self.causal_lm = policy.base
        self.device = policy.device
        self.chunk = CHUNK
        self._has_plain_head: bool | None = None
        for layer in self.causal_lm.get_decoder().layers if little_memory else ():
            layer.forward = _computed_again(layer.forward)

    def forward(self, row: Row, temperature: float) -> Tensor:
        """log pi under `temperature` of each sampled token; logprobs_S, with a graph for the gradient."""
        targets_S = self._tensor(row.targets)
        if self._has_plain_head is None:
            self._has_plain_head = self._probe(row)
        if not self._has_plain_head:
            found = self._run(self.causal_lm, row, logits_to_keep=self._tensor(row.predictors))
            return _logprobs(found.logits[0], targets_S, temperature)
        hidden_TD = self._run(self.causal_lm.get_decoder(), row).last_hidden_state[0]
        hidden_SD = hidden_TD[self._tensor(row.predictors)]
        if len(row.targets) <= self.chunk:
            return self._head(hidden_SD, targets_S, temperature)
        parts = zip(hidden_SD.split(self.chunk), targets_S.split(self.chunk), strict=True)
        return torch.cat([
            checkpoint(self._head, hidden_CD, targets_C, temperature, use_reentrant=False)
            for hidden_CD, targets_C in parts
        ])

    def _head(self, hidden_CD: Tensor, targets_C: Tensor, temperature: float) -> Tensor:
        with computing(self.device):
            logits_CV = self.causal_lm.get_output_embeddings()(hidden_CD)
        return _logprobs(logits_CV, targets_C, temperature)

    def _run(self, model: Any, row: Row, **more: Any) -> Any:
        with computing(self.device):
            return model(
                input_ids=self._tensor([row.ids]), position_ids=self._tensor([row.positions]),
                attention_mask=self._masks(row), use_cache=False, **more,
            )

    def _masks(self, row: Row) -> Any:
        """Which tokens see each other, (1, 1, T, T): of all layers, or by their kind where some have a window."""
        segments_T, prompts_T = self._tensor(row.segments), self._tensor(row.prompts)
        own_TT = (segments_T[:, None] == segments_T[None, :]) | (segments_T[None, :] == 0)
        same_TT = (prompts_T[:, None] == prompts_T[None, :]) | (prompts_T[None, :] == SHARED)
        sees_TT = (own_TT & same_TT).tril()
        config = self.causal_lm.config.get_text_config()
        window, kinds = getattr(config, "sliding_window", None), set(getattr(config, "layer_types", None) or [])
        if not window:
            return sees_TT[None, None]
        positions_T = self._tensor(row.positions)
        near_TT = sees_TT & (positions_T[:, None] - positions_T[None, :] < window)
        if "full_attention" in kinds:
            return {"full_attention": sees_TT[None, None], "sliding_attention": near_TT[None, None]}
        return near_TT[None, None]

    def _probe(self, row: Row) -> bool:
        """Whether logits are the head of the last hidden states and nothing else (some models scale or cap them)."""
        few = replace(row, **{name: getattr(row, name)[:1] for name in ("ids", "positions", "prompts", "segments")})
        with torch.no_grad(), computing(self.device):
            logits_V = self._run(self.causal_lm, few).logits[0, -1]
            hidden_D = self._run(self.causal_lm.get_decoder(), few).last_hidden_state[0, -1]
            plain_V = self.causal_lm.get_output_embeddings()(hidden_D)
        return bool(torch.allclose(plain_V, logits_V, rtol=1e-2, atol=1e-3))

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, device=self.device)


def _computed_again(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Hugging Face's own way does nothing while a model is not in training mode, which would bring dropout."""

    def run(*given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*given, **named)
        return checkpoint(forward, *given, use_reentrant=False, preserve_rng_state=False, **named)

    return run


def _logprobs(logits_SV: Tensor, targets_S: Tensor, temperature: float) -> Tensor:
    logits_SV = logits_SV.float() / temperature
    chosen_S = logits_SV.gather(1, targets_S[:, None])[:, 0]
    return chosen_S - logits_SV.logsumexp(-1)
