"""dc-learn: the flags."""

from pathlib import Path
from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.errors import UsageError
from dc_tools.core.run import Run
from dc_tools.learn.shape import SamplerEngine, Shape
from dc_tools.rollout.engine import model_folder

Setting = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the recipe.")]


@command(
    "dc-learn", lines_out=False, needs_input=lambda flags: not flags["rescore"],
    wants_more=lambda flags, earlier: (flags["steps"] or 0) > earlier.get("steps", 0),
    content_flags=frozenset({"model", "eval"}),
    free_flags=frozenset({
        "recipe", "settings", "rewards", "stages", "staleness", "ray_address", "stop_after", "step_timeout", "device",
        "trainers", "samplers", "judges", "rescore", "dry_run", "device_memory", "track", "engine", "tp", "steps",
    }),
)
def main(
    run: Run,
    model: Annotated[str | None, typer.Option(help="Hugging Face folder of the model to start from.")] = None,
    recipe: Annotated[str | None, typer.Option(help="TOML file of settings (learn/recipe.py lists them).")] = None,
    rewards: Annotated[str | None, typer.Option(help="TOML file of [[rewards]]: terms of the reward.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to reach; default: once over the problems.")] = None,
    stages: Annotated[
        str | None, typer.Option(help="Tokens of a response from a step on, as 8192@0,16384@200; or auto.")
    ] = None,
    settings: Setting = None,
    eval: Annotated[list[str] | None, typer.Option(help="Problems to measure it on, never learned from.")] = None,
    eval_every: Annotated[int, typer.Option(min=1, help="Steps between measures of --eval.")] = 10,
    track: Annotated[
        str | None, typer.Option(help="Send metrics to tensorboard, wandb, trackio: one or several, with commas.")
    ] = None,
    replay: Annotated[Path | None, typer.Option(help="Learn from the rollouts in this folder; sample none.")] = None,
    rescore: Annotated[
        list[str] | None, typer.Option(help="Only say on stdout what these rewards would make of such rollouts.")
    ] = None,
    trainers: Annotated[int, typer.Option(min=1, help="Processes that share the weights, a device each (FSDP2).")] = 1,
    samplers: Annotated[
        int, typer.Option(min=0, help="Processes that sample, a device each; 0: the one trainer does.")
    ] = 0,
    engine: Annotated[SamplerEngine, typer.Option(help="What samplers sample by.")] = SamplerEngine.TRANSFORMERS,
    tp: Annotated[int, typer.Option("--tp", min=1, help="vllm: GPUs of each sampler.")] = 1,
    judges: Annotated[int, typer.Option(min=1, help="Processes that judge, each with --workers sandboxes.")] = 1,
    staleness: Annotated[
        int | None, typer.Option(min=0, help="Steps that samplers may be behind; above 0 needs --samplers.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say sizes and memory by part; refuse what cannot be.")
    ] = False,
    device_memory: Annotated[
        float | None, typer.Option(help="GB of a device, for --dry-run; default: this machine's.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    ray_address: Annotated[str | None, typer.Option(help="A Ray cluster; default: RAY_ADDRESS, else our own.")] = None,
    stop_after: Annotated[float, typer.Option(min=0, help="Seconds after which to save and stop (exit 75).")] = 1e9,
    step_timeout: Annotated[float, typer.Option(min=1, help="Seconds that any part of a step may take.")] = 7200,
) -> None:
    """Train a model by GRPO+ on the problems: -o RUN gets metrics.jsonl, rollouts/, checkpoints/ and model/.

    Each step samples a group of rollouts for each problem, runs their tests in the sandbox, writes them down, and
    learns from what was written. A killed run goes on with --resume and gives the same weights on a CPU. SIGHUP makes
    it read its recipe again before the next step.
    """
    import os

    from dc_tools.core.cluster import prepare_for_ray
    from dc_tools.learn.dryrun import dry_run as show_plan
    from dc_tools.learn.problems import evaluation_lines, problem_lines
    from dc_tools.learn.recipe import Recipe, load_recipe, parse_settings
    from dc_tools.learn.rescore import say_again
    from dc_tools.learn.stages import parse_stages
    from dc_tools.learn.track import check_names

    overrides = parse_settings(settings or []) | ({"stages": parse_stages(stages)} if stages else {})
    overrides |= {} if staleness is None else {"staleness": staleness}

    def plan() -> Recipe:
        return load_recipe(recipe, overrides, rewards)

    if rescore:
        say_again(run, rescore, plan())
        return
    if model is None:
        raise UsageError("--model DIR is needed")
    if run.options.output == "-" and not dry_run:
        raise UsageError("-o RUN is needed: a run is a folder")
    first = plan()
    places = [name.strip() for name in track.split(",")] if track else []
    check_names(places)
    shape = Shape(trainers, samplers, judges, run.options.workers, engine, tp)
    shape.check(first)
    there = model_folder(model)
    problems, evaluation = problem_lines(run), evaluation_lines(eval or [])
    once = -(-len(problems) // first.batch)
    if dry_run:
        show_plan(run, there, first, shape, len(problems), steps or once, device, device_memory)
        return
    address = ray_address or os.environ.get("RAY_ADDRESS")
    prepare_for_ray(address)
    from dc_tools.learn.ahead import Job
    from dc_tools.learn.driver import cluster
    from dc_tools.learn.folder import Folder
    from dc_tools.learn.loop import train

    folder = Folder(Path(run.options.output))
    with folder.opened(run, first, model, steps, once), cluster(
        model, first, shape, address=address, device=device, deadline_s=step_timeout
    ) as actors:
        job = Job(problems, folder.goal, stop_after, plan, evaluation, eval_every, places, replay)
        train(run, actors, folder, job)
