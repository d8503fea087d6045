"""dc-finetune: the flags."""

from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.errors import UsageError
from dc_tools.core.folder import open_folder
from dc_tools.core.run import Run
from dc_tools.finetune.data import From, Selection
from dc_tools.finetune.keep import Keep
from dc_tools.finetune.schedule import Recipe, Schedule
from dc_tools.rollout.engine import model_folder
from dc_tools.rollout.prompts import PromptStyle

LR_FULL, LR_LORA = 2e-5, 2e-4


FREE = frozenset({"save_every", "show_mask", "device", "gradient_checkpointing"})
"""Flags that do not change what is learned."""


@command(
    "dc-finetune", dropped="dropped", lines_out=False, free_flags=FREE,
    content_flags=frozenset({"model", "against", "eval"}),
)
def main(
    run: Run,
    model: Annotated[str, typer.Option(help="Hugging Face folder of the model to train.")],
    lora: Annotated[bool, typer.Option("--lora/--full", help="Train low-rank adapters, or all weights.")] = False,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 16,
    alpha: Annotated[int, typer.Option(min=1, help="Scale of the adapters: alpha / rank.")] = 32,
    lr: Annotated[float | None, typer.Option(min=0, help="Peak learning rate [2e-5; 2e-4 with --lora].")] = None,
    schedule: Annotated[Schedule, typer.Option(help="What it does after the warm-up.")] = Schedule.COSINE,
    warmup: Annotated[float, typer.Option(min=0, max=1, help="Share of the steps over which it rises.")] = 0.05,
    epochs: Annotated[int, typer.Option(min=1, help="How often each example is seen.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences of one optimizer step.")] = 16,
    max_length: Annotated[int, typer.Option(min=2, help="Longest example, tokens; longer ones are left out.")] = 2048,
    micro_tokens: Annotated[int, typer.Option(min=1, help="Tokens in memory at once; changes only speed.")] = 2048,
    prompt_style: Annotated[PromptStyle, typer.Option(help="How a problem is asked.")] = PromptStyle.CHAT,
    source: Annotated[From, typer.Option(help="Which answers; auto: right rollouts, else solutions.")] = From.AUTO,
    per_problem: Annotated[int, typer.Option(min=1, help="Most answers of one problem.")] = 4,
    unverified: Annotated[bool, typer.Option("--unverified", help="Also take what no verdict calls right.")] = False,
    against: Annotated[list[str] | None, typer.Option(help="Evaluation problems, never trained on.")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, a third slower.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where to train: auto, cpu, cuda.")] = "auto",
    eval: Annotated[list[str] | None, typer.Option(help="Problems to measure the loss on, never trained on.")] = None,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints and measures of --eval.")] = 50,
    save_adapter: Annotated[bool, typer.Option("--save-adapter", help="With --lora: the adapter as well.")] = False,
    show_mask: Annotated[int, typer.Option(min=0, help="Show this many examples and what of them is learned.")] = 0,
) -> None:
    """Train a model on verified solutions or rollouts: OUT/model is a Hugging Face folder.

    Only answers that a verdict calls right are learned, and only their own tokens count in the loss.
    """
    if run.options.output == "-":
        raise UsageError("the trained model needs a folder: -o FOLDER")
    if save_adapter and not lora:
        raise UsageError("--save-adapter needs --lora")
    selection = Selection(source, prompt_style, unverified, per_problem, max_length, against or [], eval or [])
    rate = lr if lr is not None else LR_LORA if lora else LR_FULL
    recipe = Recipe(rate, epochs, batch_size, schedule, warmup, micro_tokens, run.options.seed)
    model_folder(model)
    with open_folder(run) as folder:
        from dc_tools.finetune.session import finetune
        from dc_tools.learn.policy import LoraSpec

        spec = LoraSpec(rank=rank, alpha=alpha) if lora else None
        keep = Keep(save_every, save_adapter, show_mask, gradient_checkpointing)
        finetune(run, folder, model, device, spec, selection, recipe, keep)
