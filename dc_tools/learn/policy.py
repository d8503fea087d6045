"""The policy: a causal language model with its tokenizer, what of it is trained, and how it is saved; the home of peft.

Shapes: T tokens of a pack, S of them sampled ones.
"""

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dc_tools.core.errors import CannotRun, missing_extra
from dc_tools.learn.batches import Pack
from dc_tools.learn.checkpoint import sync
from dc_tools.rollout.transformers import load_model


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

    def save(self, directory: Path | str) -> None:
        """A complete Hugging Face folder, whole or absent; an adapter is merged into its model."""
        model = copy.deepcopy(self.model).merge_and_unload() if self.lora else self.model
        self._save(model, Path(directory))

    def save_adapter(self, directory: Path | str) -> None:
        """The adapter alone, as peft reads it. Errors: `CannotRun` where there is none."""
        if not self.lora:
            raise CannotRun("there is no adapter to save: the whole model was trained")
        self._save(self.model, Path(directory))

    def _save(self, model: Any, directory: Path) -> None:
        partial = directory.with_name(f"{directory.name}.partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            model.save_pretrained(partial)
            self.tokenizer.save_pretrained(partial)
            for written in partial.iterdir():
                sync(written)
            shutil.rmtree(directory, ignore_errors=True)
            partial.rename(directory)
            sync(directory.parent)
        except OSError as error:
            raise CannotRun(f"{directory}: the model cannot be written: {error.strerror or error}") from error


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


def pack_logprobs(policy: Policy, pack: Pack, temperature: float) -> Tensor:
    """Log-probability under `temperature` of each sampled token of `pack`, logprobs_S, with a graph for the gradient.

    The prompt is read once for all its responses: a token sees the prompt and the earlier tokens of its own response.
    """
    device = policy.device
    segment_T = torch.tensor(pack.segments, device=device)
    tokens = len(pack.ids)
    causal_TT = torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril()
    seen_TT = causal_TT & ((segment_T[:, None] == segment_T[None, :]) | (segment_T[None, :] == 0))
    causal_lm = policy.model.get_base_model() if policy.lora else policy.model
    with computing(device):
        logits_SV: Tensor = causal_lm(
            input_ids=torch.tensor([pack.ids], device=device),
            position_ids=torch.tensor([pack.positions], device=device),
            attention_mask=seen_TT[None, None],
            logits_to_keep=torch.tensor(pack.predictors, device=device),
            use_cache=False,
        ).logits[0]
    target_S = torch.tensor(pack.targets, device=device)
    return (logits_SV.float() / temperature).log_softmax(-1).gather(1, target_S[:, None])[:, 0]
