"""One run of dc-finetune from lines to a model: load, collect, train, export."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected, Run
from dc_tools.finetune.data import (
    Answer,
    EvaluationSet,
    Example,
    Reason,
    Selection,
    answers_to,
    encode_answer,
    mask_view,
    read_all,
)
from dc_tools.finetune.keep import Keep
from dc_tools.finetune.schedule import Recipe, seed_for
from dc_tools.finetune.train import Metrics, Trainer, go_on, train
from dc_tools.learn.policy import LoraSpec, Policy, load_policy
from dc_tools.rollout.prompts import render
from dc_tools.rollout.transformers import TransformersEngine

MODEL, ADAPTER = "model", "adapter"
REPORT_S = 30.0
HINTS: dict[str, str] = {
    Reason.UNJUDGED: " (dc-sandbox judges them, --unverified takes them as they are)",
    Reason.TOO_LONG: " (--max-length allows longer ones)",
}


def finetune(
    run: Run,
    folder: Path,
    model: str,
    device: str,
    lora: LoraSpec | None,
    selection: Selection,
    recipe: Recipe,
    keep: Keep,
) -> None:
    """Train `model` on the right answers in the run's lines. Errors: `CannotRun`, `UsageError`."""
    torch.manual_seed(seed_for(recipe.seed, "adapter", 0))
    policy = load_policy(model, device=device, lora=lora)
    collector = Collector(policy, selection)
    run.write(collector.outcomes(run.read(Problem)))
    if not collector.examples:
        raise CannotRun(f"nothing to learn from: {_reasons(run)}")
    if run.counts.dropped:
        run.say(f"left out: {_reasons(run)}")
    for example in collector.examples[: keep.show_mask]:
        run.say(mask_view(example, policy.tokenizer))
    own_dtype = policy.hold_in_float32()
    trainer = Trainer(policy, collector.examples, recipe, collector.held_out())
    if keep.little_memory:
        policy.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    run.say(_size(trainer))
    if collector.too_long:
        run.say(f"{collector.too_long} answers are longer than --max-length and were left out")
    go_on(trainer, folder)
    if trainer.done:
        run.say(f"going on after step {trainer.done}")
    elif trainer.held_out:
        run.say(f"held-out loss {trainer.eval_loss():.3f} untrained")
    train(trainer, folder, keep.save_every, Reporter(run))
    run.facts |= {"steps": trainer.done, "examples": len(trainer.examples), "too_long": collector.too_long}
    run.facts |= {"trainable": sum(p.numel() for p in policy.trainable()), "eval_loss": trainer.eval_loss()}
    policy.model.to(own_dtype)
    policy.save(folder / MODEL)
    if keep.adapter:
        policy.save_adapter(folder / ADAPTER)


class Collector:
    """Turns problems into examples, one outcome a problem."""

    def __init__(self, policy: Policy, selection: Selection) -> None:
        self.selection = selection
        self.tokenizer = policy.tokenizer
        if self.tokenizer.eos_token_id is None:
            raise CannotRun("the tokenizer has no end token: answers could not be taught to end")
        self.engine = TransformersEngine(policy.model, policy.tokenizer, "")
        self.evaluation = EvaluationSet([*selection.against, *selection.eval])
        self.examples: list[Example] = []
        self.too_long = 0
        """Answers left out for their length, of problems that may have shorter ones."""

    def outcomes(self, problems: Iterable[tuple[Line, Problem]]) -> Iterator[Outcome]:
        """Kept where the problem gave an example, dropped with the reason otherwise."""
        for line, problem in problems:
            try:
                known = self.evaluation.has(problem)
                found = Reason.EVALUATION if known else self._examples_of(problem)
            except BadLine as error:
                yield Rejected(line, error.error)
                continue
            if isinstance(found, Reason):
                yield Dropped(line, found)
            else:
                self.examples += found
                yield Kept(line)

    def held_out(self) -> list[Example]:
        """The examples of the problems that the loss is measured on. Errors: `CannotRun` where there are none."""
        files = self.selection.eval
        try:
            found = [self._examples_of(problem) for problem in read_all(files, Problem)]
        except BadLine as error:
            raise CannotRun(f"{', '.join(files)}: {error.error}") from error
        examples = [example for some in found if not isinstance(some, Reason) for example in some]
        if files and not examples:
            raise CannotRun(f"{', '.join(files)}: no right answer to measure the loss on")
        return examples

    def _examples_of(self, problem: Problem) -> list[Example] | Reason:
        answers = answers_to(problem, render(problem, self.selection.style), self.selection)
        if isinstance(answers, Reason):
            return answers
        encoded = [self._encoded(answer) for answer in answers]
        short = [example for example in encoded if len(example.ids) <= self.selection.max_length]
        self.too_long += len(encoded) - len(short)
        return short or Reason.TOO_LONG

    def _encoded(self, answer: Answer) -> Example:
        return encode_answer(answer, self.engine.encode, self.tokenizer)


class Reporter:
    """Says the first step, the last one, and one every half minute."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.said = float("-inf")

    def __call__(self, made: Metrics, steps: int) -> None:
        """Take the metrics of one step of `steps`."""
        now = time.monotonic()
        if made.eval_loss is not None or made.step == steps or now - self.said > REPORT_S:
            self.said = now
            account = f"loss {made.loss:.3f}, {made.tokens} tokens, {made.wall_s:.1f} s"
            account += f", held-out loss {made.eval_loss:.3f}" if made.eval_loss is not None else ""
            self.run.say(f"step {made.step} of {steps}: {account}")


def _reasons(run: Run) -> str:
    """In words why every problem was left out."""
    if not run.counts.read:
        return "no input"
    counts = dict(run.counts.reasons)
    if run.counts.rejected:
        counts["bad line"] = run.counts.rejected
    words = [f"{count} {reason}{HINTS.get(reason, '')}" for reason, count in sorted(counts.items())]
    return ", ".join(words)


def _size(trainer: Trainer) -> str:
    """What is about to be trained, and the memory that it takes apart from activations."""
    trainable = sum(p.numel() for p in trainer.policy.trainable())
    held = sum(p.numel() * p.element_size() for p in trainer.policy.model.parameters())
    held += sum(3 * p.numel() * p.element_size() for p in trainer.policy.trainable())
    learned = sum(example.loss_tokens for example in trainer.examples)
    return (
        f"{len(trainer.examples)} examples, {learned} tokens in the loss, {trainer.steps} steps; "
        f"{trainable:,} weights to train; {held / 1e6:,.0f} MB and activations"
    )
