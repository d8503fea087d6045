"""The recipe: every number that shapes a training run, from a TOML file, then flags."""

import difflib
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.learn.objective import OBJECTIVES, Correction
from dc_tools.learn.rewards import SPARSE, Domain, Kind, Term
from dc_tools.learn.schedule import Schedule
from dc_tools.learn.stages import Auto, Stage, check_stages
from dc_tools.rollout.prompts import PromptStyle

FIXED = frozenset({
    "staleness", "lora_rank", "lora_alpha", "ema", "max_prompt", "freeze_embeddings", "gradient_checkpointing",
    "threads", "shuffle", "domains", "prompt_style",
})
"""Settings that cannot change inside a run."""


class Recipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """GRPO+ with DeepCoder's defaults (facts of the 16K stage), except for sizes that depend on the machine."""

    objective: str = "grpo+"
    """grpo+, grpo, dapo, dr_grpo, rloo, gspo or cispo: see learn/objective.py."""
    rewards: tuple[Term, ...] = SPARSE
    """Tables of terms: see learn/rewards.py."""
    prompt_style: str = "chat"
    batch: int = 32
    """Problems of one step."""
    minibatch: int = 16
    """Problems of one optimizer step; `batch` / `minibatch` updates follow each sampling."""
    shuffle: bool = True
    """A seeded permutation each time round; false takes the problems in file order."""
    domains: tuple[Domain, ...] = ()
    """Tables of problems with the weight that they are asked by."""
    group: int = 8
    """Rollouts of each problem."""
    max_prompt: int = 2048
    """Most tokens of a prompt; problems with longer ones are left out."""
    max_tokens: int = 16384
    """Most tokens of a response."""
    temperature: float = 0.6
    clip_low: float | None = None
    """Below and above 1, of the ratio to the sampling policy; not given: as the objective's paper has them."""
    clip_high: float | None = None
    overlong_filter: bool | None = None
    """No advantage for what failed since its budget ran out; not given: as the objective has it."""
    correction: Correction = Correction.NONE
    """Truncated importance sampling between engine and trainer, of tokens or whole responses."""
    correction_cap: float = 2.0
    dynamic_sampling: bool | None = None
    """Groups whose rewards are all equal are replaced by those of further problems; not given: as the objective."""
    dynamic_rounds: int = 4
    """Times that further problems are asked for one step."""
    stages: tuple[Stage, ...] | Auto = ()
    """Tables of settings from a step on; or "auto", which doubles `max_tokens` when many responses are cut off."""
    stage_truncated: float = 0.3
    """"auto": the share that is too many."""
    stage_most_tokens: int = 32_768
    """"auto": no stage has more."""
    staleness: int = 0
    """Steps by which the policy that samples may be behind; above 0 samplers and trainers work side by side."""
    eval_group: int = 1
    """Answers to each problem of --eval."""
    lr: float = 1e-6
    warmup: int = 0
    """Optimizer steps over which the learning rate rises to `lr`."""
    schedule: Schedule = Schedule.CONSTANT
    """constant, linear or cosine: what it does over the steps of the run."""
    lr_floor: float = 0.0
    """Share of `lr` that linear and cosine end at."""
    ema: float = 0.0
    """Share of the past in a moving average of the weights, which is exported beside the model; 0: there is none."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    token_budget: int = 20_000
    """Most tokens of one forward pass in training; 0: as many as a GPU's memory holds, found in the first steps. Where
    memory runs out it is halved, and the step done again."""
    sample_batch: int = 16
    """Problems that a sampler is given at once."""
    sample_rows: int = 32
    """Rollouts that grow in it at a time."""
    freeze_embeddings: bool = False
    lora_rank: int = 0
    """Rank of a low-rank adapter; 0 trains the whole model."""
    lora_alpha: int = 32
    save_every: int = 10
    """Steps between checkpoints."""
    keep: int = 2
    """Checkpoints that are kept."""
    max_logprob_gap: float = 0.5
    """Sampler and trainer that disagree by more than this about a sampled token stop the run (bfloat16 needs room)."""
    gradient_checkpointing: bool = False
    """Layers keep their inputs alone and are computed again on the way back: little memory, a third more time."""
    threads: int = 0
    """CPU threads of the learner; 0 takes what the machine has."""

    def __post_init__(self) -> None:
        for names, holds, claim in _RULES:
            for name in names:
                value = getattr(self, name)
                if value is not None and not (math.isfinite(value) and holds(value)):
                    raise ValueError(f"{name} must be {claim}, not {value}")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {self.objective}")
        if not isinstance(self.stages, str):
            check_stages(self.stages)
        labels = [term.label for term in self.rewards]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError("rewards must be at least one term, each with a name of its own")
        if self.prompt_style not in set(PromptStyle):
            raise ValueError(f"prompt_style must be one of {', '.join(PromptStyle)}, not {self.prompt_style}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), not {self.betas}")
        if self.batch % self.minibatch:
            raise ValueError(f"batch ({self.batch}) must be a multiple of minibatch ({self.minibatch})")

    @property
    def context(self) -> int:
        """Most tokens of a prompt and its response, in the longest stage."""
        later = [self.stage_most_tokens] if isinstance(self.stages, str) else [each.max_tokens for each in self.stages]
        return self.max_prompt + max([self.max_tokens, *later])

    @property
    def clip(self) -> tuple[float, float]:
        """Below and above 1."""
        low, high = OBJECTIVES[self.objective].clip
        return low if self.clip_low is None else self.clip_low, high if self.clip_high is None else self.clip_high

    @property
    def terms(self) -> tuple[Term, ...]:
        """Of the reward; an objective with a soft overlong punishment has it beside the default."""
        if OBJECTIVES[self.objective].soft_overlong and self.rewards == SPARSE:
            return (*SPARSE, Term(kind=Kind.LENGTH, name="overlong", weight=-1.0, buffer=max(self.max_tokens // 5, 1)))
        return self.rewards

    @property
    def replaces_equal(self) -> bool:
        """Whether groups whose rewards are all equal are replaced."""
        own = OBJECTIVES[self.objective].dynamic_sampling
        return own if self.dynamic_sampling is None else self.dynamic_sampling

    @property
    def filters_overlong(self) -> bool:
        """Whether what failed since its budget ran out has no advantage."""
        own = OBJECTIVES[self.objective].overlong_filter
        return own if self.overlong_filter is None else self.overlong_filter


_RULES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (
        (
            "batch", "minibatch", "max_prompt", "max_tokens", "temperature", "lr", "grad_clip",
            "sample_batch", "sample_rows", "lora_alpha", "save_every", "keep", "max_logprob_gap", "correction_cap",
            "dynamic_rounds", "stage_most_tokens", "eval_group",
        ),
        lambda value: value > 0, "positive",
    ),
    (
        ("clip_high", "warmup", "weight_decay", "lora_rank", "threads", "staleness", "token_budget"),
        lambda value: value >= 0, "at least 0",
    ),
    (("ema",), lambda value: 0 <= value < 1, "in [0, 1)"),
    (("clip_low", "stage_truncated", "lr_floor"), lambda value: 0 <= value <= 1, "in [0, 1]"),
    (("group",), lambda value: value >= 2, "at least 2, since rewards are compared within it"),
)


def load_recipe(file: str | None, overrides: dict[str, Any], rewards: str | None = None) -> Recipe:
    """The recipe of a TOML file (None: the defaults), with the terms of another, with `overrides` on top.

    Errors: `CannotRun`, `UsageError`.
    """
    merged = _read(file) | overrides
    if rewards:
        found = _read(rewards)
        if found.keys() != {"rewards"}:
            raise CannotRun(f"{rewards}: expected [[rewards]] tables and nothing else")
        merged |= found
    if "minibatch" not in merged and "batch" in merged:
        merged["minibatch"] = merged["batch"]
    known = Recipe.__struct_fields__
    for name in merged:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise CannotRun(f"{file or '--set'}: no setting '{name}'{f'; {near[0]}?' if near else ''}")
    try:
        return msgspec.convert(merged, Recipe)
    except (msgspec.ValidationError, ValueError) as error:
        raise CannotRun(f"{file or 'recipe'}: {error}") from error


def _read(file: str | None) -> dict[str, Any]:
    if not file:
        return {}
    try:
        return tomllib.loads(Path(file).read_text())
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"{file}: not TOML: {error}") from error


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as TOML values; a value that is no TOML is a string. Errors: `UsageError`."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair}: expected KEY=VALUE")
        try:
            found[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = text
    return found
