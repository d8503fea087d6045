"""Supervised training: the loss on answers, the optimizer step, and a run of them that can be killed and gone on with.

The loss of a step is the mean over all its answer tokens, so it does not depend on how the step is cut into
micro-batches. Nothing random lives outside the step's number, so a resumed run gives the same weights, on a CPU bit
for bit.

Shapes: B sequences of a micro-batch, T tokens, V vocabulary; padding is on the right.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import write_atomic
from dc_tools.finetune.data import Example, digest_of
from dc_tools.finetune.schedule import Recipe, batch_of, learning_rate, micro_batches, seed_for, steps_of
from dc_tools.learn.checkpoint import latest_checkpoint, load_checkpoint, prune_checkpoints, save_checkpoint
from dc_tools.learn.policy import Policy, computing

IGNORED = -100
BETAS = (0.9, 0.95)
MAX_GRAD_NORM = 1.0
CHECKPOINTS, METRICS = "checkpoints", "metrics.jsonl"


@dataclass(frozen=True)
class Metrics:
    """One optimizer step; losses are nats per answer token, `tokens` how many of those the step had."""

    step: int
    loss: float
    tokens: int
    lr: float
    grad_norm: float
    wall_s: float
    eval_loss: float | None = None
    """On the problems of --eval, after the step, where it was measured."""


def loss_sum(model: Any, examples: Sequence[Example], device: torch.device) -> Tensor:
    """The summed negative log-likelihood of the answers' tokens."""
    ids_BT, labels_BT = padded(examples)
    first = min(example.start for example in examples) - 1
    attention_BT = (torch.arange(ids_BT.shape[1])[None] < torch.tensor([len(e.ids) for e in examples])[:, None]).long()
    # Logits are the largest thing here (T x V floats): those before the first answer are never made.
    with computing(device):
        logits_BTV = model(
            input_ids=ids_BT.to(device), attention_mask=attention_BT.to(device), use_cache=False,
            logits_to_keep=ids_BT.shape[1] - first,
        ).logits
    return torch.nn.functional.cross_entropy(
        logits_BTV[:, :-1].float().flatten(0, 1), labels_BT[:, first + 1 :].to(device).flatten(),
        ignore_index=IGNORED, reduction="sum",
    )


def padded(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Token ids, and the same as labels with everything but the answers ignored."""
    width = max(len(example.ids) for example in examples)
    ids_BT = torch.zeros(len(examples), width, dtype=torch.long)
    labels_BT = torch.full((len(examples), width), IGNORED)
    for row, example in enumerate(examples):
        ids_BT[row, : len(example.ids)] = torch.tensor(example.ids)
        labels_BT[row, example.start : len(example.ids)] = ids_BT[row, example.start : len(example.ids)]
    return ids_BT, labels_BT


def accumulate(model: Any, examples: Sequence[Example], micro_tokens: int, device: torch.device) -> tuple[float, int]:
    """Add the gradient of the mean loss per answer token over all `examples`; returns that loss and the tokens."""
    tokens = sum(example.loss_tokens for example in examples)
    total = 0.0
    for piece in micro_batches([len(example.ids) for example in examples], micro_tokens):
        loss = loss_sum(model, [examples[i] for i in piece], device) / tokens
        loss.backward()
        total += loss.item()
    return total, tokens


def mean_loss(model: Any, examples: Sequence[Example], micro_tokens: int, device: torch.device) -> float:
    """The mean loss per answer token, without learning from it."""
    tokens = sum(example.loss_tokens for example in examples)
    pieces = micro_batches([len(example.ids) for example in examples], micro_tokens)
    with torch.no_grad():
        sums = [float(loss_sum(model, [examples[i] for i in piece], device)) for piece in pieces]
    return sum(sums) / tokens


class Trainer:
    """A policy, its optimizer and its examples; `done` steps lie behind it.

    `held_out` are examples to measure the loss on. The forward pass computes in bfloat16 except on a CPU.
    """

    def __init__(
        self, policy: Policy, examples: Sequence[Example], recipe: Recipe, held_out: Sequence[Example] = ()
    ) -> None:
        self.policy = policy
        self.examples = examples
        self.held_out = held_out
        self.recipe = recipe
        self.done = 0
        self.steps = steps_of(len(examples), recipe.epochs, recipe.batch_size)
        self.optimizer = torch.optim.AdamW(policy.trainable(), lr=recipe.lr, betas=BETAS, weight_decay=0.0)
        policy.model.train()

    def eval_loss(self) -> float | None:
        """The mean loss on the held-out examples, where there are any."""
        if not self.held_out:
            return None
        self.policy.model.eval()
        loss = mean_loss(self.policy.model, self.held_out, self.recipe.micro_tokens, self.policy.device)
        self.policy.model.train()
        return loss

    def step(self) -> Metrics:
        """Take one optimizer step. Errors: `CannotRun` for a loss that is not a number."""
        started = time.monotonic()
        recipe, number = self.recipe, self.done
        chosen = batch_of(number, len(self.examples), recipe.epochs, recipe.batch_size, recipe.seed)
        rate = learning_rate(number, self.steps, recipe.lr, recipe.warmup, recipe.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(seed_for(recipe.seed, "dropout", number))
        self.optimizer.zero_grad(set_to_none=True)
        batch = [self.examples[i] for i in chosen]
        loss, tokens = accumulate(self.policy.model, batch, recipe.micro_tokens, self.policy.device)
        norm = float(torch.nn.utils.clip_grad_norm_(self.policy.trainable(), MAX_GRAD_NORM))
        if not (abs(loss) < float("inf") and norm < float("inf")):
            raise CannotRun(f"step {number + 1}: loss {loss}, gradient norm {norm}: try a smaller --lr")
        self.optimizer.step()
        self.done += 1
        return Metrics(self.done, loss, tokens, rate, norm, time.monotonic() - started)

    def state(self) -> dict[str, Any]:
        """All that going on needs."""
        return {
            "step": self.done, "examples": digest_of(self.examples), "weights": self.policy.trained_state(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Errors: `CannotRun` where the examples have become others."""
        if state["examples"] != digest_of(self.examples):
            raise CannotRun("--resume: the examples are others than before (inputs, --against or tokenizer changed)")
        self.policy.load_trained_state(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["step"]


def go_on(trainer: Trainer, folder: Path) -> None:
    """Bring `trainer` to the last checkpoint in `folder`, where there is one. Errors: `CannotRun`."""
    found = latest_checkpoint(folder / CHECKPOINTS)
    if found:
        trainer.restore(load_checkpoint(found[1]))
    keep_metrics(folder / METRICS, trainer.done)


def train(trainer: Trainer, folder: Path, save_every: int, report: Callable[[Metrics, int], None]) -> None:
    """Take all steps that remain, with metrics and checkpoints in `folder`; `report` gets each step's metrics."""
    checkpoints, metrics = folder / CHECKPOINTS, folder / METRICS
    with metrics.open("ab", buffering=0) as log:
        while trainer.done < trainer.steps:
            made = trainer.step()
            due = trainer.done % save_every == 0 or trainer.done == trainer.steps
            if due:
                made = replace(made, eval_loss=trainer.eval_loss())
            log.write(orjson.dumps({k: v for k, v in asdict(made).items() if v is not None}) + b"\n")
            report(made, trainer.steps)
            if due:
                save_checkpoint(checkpoints, trainer.done, trainer.state())
                prune_checkpoints(checkpoints, keep=1)


def keep_metrics(path: Path, steps: int) -> None:
    """Cut the metrics of steps that are taken again."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    write_atomic(path, b"".join(line for line in whole if orjson.loads(line)["step"] <= steps))
