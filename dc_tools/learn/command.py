"""dc-learn: the flags."""

from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Problem
from dc_tools.core.run import Run
from dc_tools.rollout.engine import model_folder

Setting = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the recipe.")]


@command(
    "dc-learn", lines_out=False, content_flags=frozenset({"recipe", "model"}),
    free_flags=frozenset({"ray_address", "stop_after", "step_timeout", "device"}),
)
def main(
    run: Run,
    model: Annotated[str | None, typer.Option(help="Hugging Face folder of the model to start from.")] = None,
    recipe: Annotated[str | None, typer.Option(help="TOML file of settings (learn/recipe.py lists them).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to reach; default: once over the problems.")] = None,
    settings: Setting = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    ray_address: Annotated[str | None, typer.Option(help="A Ray cluster; default: RAY_ADDRESS, else our own.")] = None,
    stop_after: Annotated[float, typer.Option(min=0, help="Seconds after which to save and stop (exit 75).")] = 1e9,
    step_timeout: Annotated[float, typer.Option(min=1, help="Seconds that any part of a step may take.")] = 7200,
) -> None:
    """Train a model by GRPO+ on the problems: -o RUN gets metrics.jsonl, rollouts/, checkpoints/ and model/.

    Each step samples a group of rollouts for each problem, runs their tests in the sandbox, writes them down, and
    learns from what was written. A killed run goes on with --resume and gives the same weights on a CPU.
    """
    import os
    from pathlib import Path

    from dc_tools.core.cluster import prepare_for_ray
    from dc_tools.learn.recipe import load_recipe, parse_settings

    if model is None:
        raise UsageError("--model DIR is needed")
    if run.options.output == "-":
        raise UsageError("-o RUN is needed: a run is a folder")
    plan = load_recipe(recipe, parse_settings(settings or []))
    model_folder(model)
    problems = []
    for line, problem in run.read(Problem):
        if not problem.statement or not problem.tests:
            run.reject(line, f"problem '{problem.id}' has no {'tests' if problem.statement else 'statement'}")
        else:
            problems.append(line.raw)
    if not problems:
        raise CannotRun("there is no problem to learn from")
    address = ray_address or os.environ.get("RAY_ADDRESS")
    prepare_for_ray(address)
    from dc_tools.learn.driver import cluster
    from dc_tools.learn.loop import Folder, train

    folder = Folder(Path(run.options.output))
    last = steps or -(-len(problems) // plan.batch)
    with folder.opened(run, plan, model), cluster(
        model, plan, address=address, device=device, judges=run.options.workers, deadline_s=step_timeout
    ) as actors:
        train(run, actors, folder, problems, last, stop_after)
