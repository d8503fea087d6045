"""Simulation of DeepCoder's RL recipe on 8 to 1,024 H100: where a step's time goes, and who waits for whom.

    python tests/bench/scale.py [--model-size 14b|1.5b] [--seed 0] [--sync-gb-s 10]

Rollouts of long-tailed lengths occupy slots of samplers, whose speed depends on how many are live and how long they
are; programs queue for sandboxes; trainers take rows of `token_budget` tokens. What processes do on CPUs is measured
here, by functions that dc-learn calls. Staleness 0 is the better of colocated ("all") and split in turn; 1 and "4
ahead" are dc-learn's: whole steps, in order, sampled while earlier ones are learned. "4 in flight" it does not do:
samplers never wait for a step's slowest rollout, weights change under rollouts, groups begun over four steps ago are
dropped and asked again.

Columns: seconds of a step, and of its parts, which overlap where samplers and trainers work side by side; in flight,
"sample" is a group's from its first token to its last. CPU is the driver's and a trainer's, not the sandboxes'.

scale_parts.py has the facts and what is assumed. Left out: failures, lack of KV memory in mid-run, evaluation,
checkpoints, whether a stale step teaches as much.
"""

import argparse
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
from scale_parts import (
    CORES,
    HOSTED_S,
    JUDGE_S,
    MODELS,
    SWITCH_S,
    SYNC_S,
    TRAIN_PARAMS,
    Floats,
    Samplers,
    Setting,
    cpu_learn_s,
    gpu_learn_s,
    lengths,
    middle,
    on_cpu,
    sandboxes,
)

from dc_tools.learn.recipe import load_recipe

RECIPE = Path(__file__).parents[2] / "examples/recipes/deepcoder-14b.toml"
GPUS = (8, 32, 128, 512, 1024)
Row = list[float]
"""Seconds of a step; of its sampling, judging, work on CPUs, learning, sync; % of GPU time without work; drops."""


def sampled(setting: Setting, gpus: int, cores: int, step: int) -> tuple[float, float, float]:
    """One step's rollouts: seconds until the last is there, until it is judged, and busy GPU seconds."""
    drawn, engines = lengths(setting, step, setting.recipe.batch), Samplers(setting, gpus)
    engines.offer(zip(drawn.tolist(), count()), 0.0)
    done, sampled_s, judged_s = sandboxes(setting.seed, cores), 0.0, 0.0
    for _ in drawn:
        sampled_s, *_ = engines.take()
        judged_s = max(judged_s, done(sampled_s))
    late = setting.judging_s
    return sampled_s, judged_s if late is None else sampled_s + late, engines.busy_s * setting.model.unit


def by_steps(setting: Setting, gpus: int, samplers: int, staleness: int) -> Row:
    """Whole steps, `staleness` of them sampled ahead; colocated with as many samplers as GPUs."""
    trainers, recipe = gpus - samplers or gpus, setting.recipe
    steps = min(max(16_384 // (recipe.batch * recipe.group), 4), 12)
    there, learned, parts, busy_s, measured = 0.0, [0.0] * (staleness + 1), np.zeros(5), 0.0, steps - steps // 4
    for step in range(steps):
        drawn = lengths(setting, step, recipe.batch)
        sampled_s, judged_s, sampler_s = sampled(setting, samplers, CORES * gpus, step)
        lines_s, cpu_s = float(drawn.sum()) * setting.lines_s, cpu_learn_s(setting, drawn)
        gpu_s, sync_s = gpu_learn_s(setting, drawn, trainers), setting.sync_s if samplers < gpus else SWITCH_S
        there = max(there, learned[-staleness - 1]) + judged_s + lines_s + (sync_s if staleness else 0.0)
        learned.append(max(learned[-1], there) + cpu_s + gpu_s + sync_s)
        if step >= steps - measured:
            parts += [sampled_s, judged_s - sampled_s, lines_s + cpu_s, gpu_s, sync_s]
            busy_s += sampler_s + gpu_s * trainers
    step_s = (learned[-1] - learned[-measured - 1]) / measured
    return [step_s, *parts / measured, 100 - 100 * busy_s / measured / step_s / gpus, 0.0]


@dataclass(eq=False)
class Asked:
    """A group in flight: rollouts that are not there; when the first began and the last was there, without the time in
    which weights changed; when all were judged and made a line, and how long that took from the last."""

    tokens: Floats
    left: int
    began_s: float = math.inf
    there_s: float = 0.0
    judged_s: float = 0.0
    late_s: float = 0.0


def in_flight(setting: Setting, gpus: int, samplers: int, staleness: int, steps: int = 16) -> Row:
    """Work for `1 + staleness` steps is in flight, waits or is learned; new weights only interrupt the samplers."""
    group, batch, unit, trainers = setting.recipe.group, setting.recipe.batch, setting.model.unit, gpus - samplers
    engines, done, asked = Samplers(setting, samplers), sandboxes(setting.seed, CORES * gpus), list[Asked]()
    ready, changes, parts, dropped, busy_s = list[Asked](), list[float](), np.zeros(5), 0, 0.0
    paused = made = free = begun = 0.0
    starts = ends = math.inf

    def ask(groups: int, now: float) -> None:
        first = len(asked)
        for n in range(first, first + groups):
            asked.append(Asked(lengths(setting, 1000 + n // batch, batch)[n % batch * group :][:group], group))
        tokens = np.concatenate([each.tokens for each in asked[first:]]).tolist()
        engines.offer(zip(tokens, count(first * group)), now - paused)

    ask((1 + staleness) * batch, 0.0)
    while len(changes) < steps:
        now, counts = min(starts, ends, engines.next_s + paused), len(changes) >= steps // 2
        if now == ends:
            ask(batch, now)  # not before: with work for one step more, what waits in line would grow too old
            changes.append(now - paused)
            paused, free, ends = paused + setting.sync_s, now + setting.sync_s, math.inf
            if len(changes) == steps // 2:
                begun, busy_s = now, -engines.busy_s * unit
        elif now == starts:
            learns, ready = ready[:batch], ready[batch:]
            tokens = np.concatenate([each.tokens for each in learns])
            cpu_s, gpu_s = cpu_learn_s(setting, tokens), gpu_learn_s(setting, tokens, trainers)
            ends, busy_s = now + cpu_s + gpu_s, busy_s + gpu_s * trainers
            lines_s, took_s = tokens.sum() * setting.lines_s, sum(g.there_s - g.began_s for g in learns) / batch
            judge_s = sum(g.late_s for g in learns) / batch
            parts += np.array([took_s, judge_s, lines_s + cpu_s, gpu_s, setting.sync_s]) * counts
        else:
            there_s, rollout, began_s = engines.take()
            each = asked[rollout // group]
            each.left, each.began_s, each.there_s = each.left - 1, min(each.began_s, began_s), there_s
            each.judged_s = max(each.judged_s, done(now))
            if each.left:
                continue
            made = max(made, each.judged_s) + float(each.tokens.sum()) * setting.lines_s
            each.judged_s, each.late_s = made, made - now
            ready.append(each)
        fresh = [each for each in ready if len(changes) - bisect_right(changes, each.began_s) <= staleness]
        if len(fresh) < len(ready):
            ask(len(ready) - len(fresh), now)
            dropped += (len(ready) - len(fresh)) * counts
        ready = sorted(fresh, key=lambda each: each.began_s)
        waits = ends < math.inf or len(ready) < batch
        starts = math.inf if waits else max(free, now, *(each.judged_s for each in ready[:batch]))
    step_s = (now - begun) / (steps - steps // 2)
    idle = 100 - 100 * (busy_s + engines.busy_s * unit) / (now - begun) / gpus
    return [step_s, *parts / (steps - steps // 2), idle, dropped / (steps - steps // 2)]


def best(
    simulate: Callable[[Setting, int, int, int], Row], setting: Setting, gpus: int, staleness: int
) -> tuple[str, Row]:
    """The split of the GPUs that takes the least time, and its row: of a grid, twice made finer about its best."""
    unit = setting.model.unit
    most = gpus - unit * math.ceil(setting.model.params / TRAIN_PARAMS / unit)
    found, width, tried = dict[int, Row](), (most - unit) / 6, list(np.linspace(unit, most, 7))
    for _ in range(3):
        for samplers in {max(unit, min(most, int(each) // unit * unit)) for each in tried} - found.keys():
            found[samplers] = simulate(setting, gpus, samplers, staleness)
        width, top = width / 2, min(found, key=lambda samplers: found[samplers][0])
        tried = [top - width, top + width]
    return f"{top}+{gpus - top}", found[top]


def table(title: str, head: str, rows: Iterable[Sequence[object]]) -> None:
    """Print it as Markdown."""
    print(f"\n{title}\n\n| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print("|", " | ".join(f"{x:.{2 * (abs(x) < 10)}f}" if isinstance(x, float) else str(x) for x in row), "|")


def by_staleness(setting: Setting) -> Iterator[Sequence[object]]:
    """Where time goes, on each number of GPUs."""
    for gpus in GPUS:
        colocated = "all", by_steps(setting, gpus, gpus, 0)
        base = min(colocated, best(by_steps, setting, gpus, 0), key=lambda each: each[1])
        ways = {"0": base, "1": best(by_steps, setting, gpus, 1), "4 ahead": best(by_steps, setting, gpus, 4)}
        for name, (split, row) in (ways | {"4 in flight": best(in_flight, setting, gpus, 4)}).items():
            yield gpus, name, split, row[0], base[1][0] / row[0], *row[1:]


def one_ahead(setting: Setting) -> Iterator[Sequence[object]]:
    """Staleness 1 against colocated on 8 GPUs. Judging: none; beside sampling; at staleness 0 so long after it."""
    for batch in (32, 128):
        recipe = msgspec.structs.replace(setting.recipe, batch=batch, minibatch=batch // 2)
        for judging_s, name in ((0.0, "none"), (None, "beside"), (60.0, "60 s"), (180.0, "180 s")):
            task = replace(setting, recipe=recipe, judging_s=judging_s)
            before, beside = by_steps(task, 8, 8, 0), task if judging_s == 0 else replace(task, judging_s=None)
            split, after = best(by_steps, beside, 8, 1)
            bounds = before[0] / max(before[1], before[4]), 100 / (100 - before[6])
            yield batch, name, *before[:7], split, after[0], before[0] / after[0], *bounds


def waiting(setting: Setting, grows: bool) -> Iterator[Sequence[object]]:
    """Sandboxes and CPUs at staleness 1, where the batch is the recipe's, or grows with the GPUs."""
    for gpus in GPUS:
        batch = setting.recipe.batch * gpus // 32 if grows else setting.recipe.batch
        larger = replace(setting, recipe=msgspec.structs.replace(setting.recipe, batch=batch, minibatch=batch // 2))
        split, row = best(by_steps, larger, gpus, 1)
        _, free = best(by_steps, replace(larger, lines_s=0.0, rank_s=0.0), gpus, 1)
        rate, tokens = batch * setting.recipe.group / row[0], lengths(larger, 0, batch)
        cpu_s = float(tokens.sum()) * setting.lines_s, cpu_learn_s(larger, tokens)
        yield gpus, batch, split, row[0], free[0], *cpu_s, rate * JUDGE_S / gpus, rate * HOSTED_S


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-size", choices=MODELS, default="14b")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sync-gb-s", type=float, default=10.0)
    given = parser.parse_args()

    def setting(size: str, stage: int, mean: float) -> Setting:
        recipe, model = load_recipe(str(RECIPE), {}), MODELS[size]
        assert not isinstance(recipe.stages, str)
        recipe = msgspec.structs.replace(recipe, **recipe.stages[stage].changes(), stages=())
        return on_cpu(Setting(model, recipe, mean, SYNC_S + 2 * model.params / given.sync_gb_s / 1e9, given.seed))

    stages = setting(given.model_size, 0, 8000), setting(given.model_size, 1, 17_500)
    parts = "step, s | {}sample | judge | CPU | learn | sync | idle, %"
    for stage in stages:
        budget = stage.recipe.max_tokens
        title = f"{given.model_size}, {stage.recipe.batch} x 8 rollouts of {stage.mean:.0f} tokens at {budget}"
        title += f", {middle(stage.mean, budget)[1]:.0%} cut off"
        head = f"GPUs | staleness | samplers + trainers | {parts.format('times as fast | ')} | dropped groups"
        table(title, head, by_staleness(stage))
    head = f"batch | judging | {parts.format('')} | split at 1 | step, s | times as fast | if hidden | if never idle"
    small = replace(setting("1.5b", 0, 8000), old_pass=True)
    table("Staleness 1 over colocated, 1.5b, 8 GPUs, 8000 tokens at 16384", head, one_ahead(small))
    head = "GPUs | batch | split | step, s | without CPU | lines, s | a trainer's CPU, s | cores a GPU | hosted at once"
    for grows in False, True:
        title = f"{given.model_size}, staleness 1, 17500 tokens, the batch {'grows' if grows else 'stays'}"
        table(title, head, waiting(stages[1], grows))


if __name__ == "__main__":
    main()
