"""What the simulation in scale.py is made of: models, lengths, samplers, trainers, sandboxes, and what it assumes.

Facts: mean lengths, 2 GPUs a sampler and a row, trainer MFU of 14 % at 16K and 35 % at 65K tokens, 15 tests, 12 s, the
sandbox's 4.8 ms over a test. Comments say what is assumed.
"""

import math
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from heapq import heapify, heappop, heappush, heapreplace
from pathlib import Path
from timeit import repeat
from typing import Any

import numpy as np

from dc_tools.core.records import Problem, Rollout, Status, Test, Tokens, Verdict, encode
from dc_tools.learn.batches import Group, Piece, Weighed
from dc_tools.learn.groups import group_line, group_of, write_ahead
from dc_tools.learn.packing import planned
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.rewards import SPARSE

Floats = np.ndarray[Any, np.dtype[np.float64]]
PEAK = 989e12  # dense bfloat16 operations a second
READ_BYTES_S = 0.7 * 3.35e12  # assumed: 70 % of the bandwidth; a decoding step reads weights, live keys and values
FIXED_S = 0.004  # assumed, of each decoding step: launches, all-reduce, choice of tokens
DECODE_MFU, PREFILL_MFU = 0.5, 0.4  # assumed
KV_BYTES = 0.85 * 80e9  # assumed, of a GPU for weights, keys and values; a colocated trainer is moved out meanwhile
PROMPT = 700  # assumed, tokens (2,048 at most); a group's is read once
SWITCH_S = 10.0  # assumed: a colocated GPU from learning to sampling and back
OPTIMIZER_S = 2.0  # assumed, of each optimizer step
SYNC_S = 1.0  # assumed: pause, reset of the prefix cache and probe, beside the transfer (`--sync-gb-s`, assumed)
TRAIN_PARAMS = 0.75 * 80e9 / 16  # assumed, of a GPU, at 16 bytes each with gradient and Adam's moments
# Of what is solved with 64K tokens of LiveCodeBench, 75 % is within 16K (45.6 / 60.6) and 96 % within 32K (57.9): the
# distance of the two normal quantiles is that of log 16K and log 32K.
SPREAD = math.log(2) / (1.695 - 0.681)
SAME = 0.5  # assumed: share of that variance that lies between problems, not within a group
TESTS, OVER_S, LIMIT_S = 15, 0.0048, 12.0
PASS, LOOP, EARLY = 0.65, 0.05, 3  # the reward; assumed: share that loops (judged twice), tests until another fails
OWN_S = 0.1  # assumed: a program's own time on each of the longest inputs
JUDGE_S = (PASS * TESTS + (1 - PASS - LOOP) * EARLY) * (OWN_S + OVER_S) + LOOP * 2 * LIMIT_S
HOSTED_S = 6.0  # of a program at a hosted interpreter: 100 at once, 1,000 a minute
CORES = 4  # assumed, for sandboxes, of each GPU


@dataclass(frozen=True)
class Model:
    """A model; `kv_bytes` of a token, `unit` GPUs of a sampler or a trainer's row."""

    params: float
    layers: int
    width: int
    kv_bytes: int
    unit: int


MODELS = {"14b": Model(14.8e9, 48, 5120, 196_608, 2), "1.5b": Model(1.78e9, 28, 1536, 28_672, 1)}


@dataclass(frozen=True)
class Setting:
    """What is simulated. `mean` tokens of a response; `judging_s` where judging begins when all are sampled; `old_pass`
    where trainers compute log-probabilities before they learn, as verl does.

    Seconds on CPUs for each token: `lines_s` of the driver, to fetch rollouts, make lines, write and read them;
    `rank_s` of each trainer, to take all groups, plan the rows of all ranks and merge what all ranks say."""

    model: Model
    recipe: Recipe
    mean: float
    sync_s: float
    seed: int
    judging_s: float | None = None
    old_pass: bool = False
    lines_s: float = field(default=0.0, compare=False)
    rank_s: float = field(default=0.0, compare=False)


@cache
def middle(mean: float, budget: int) -> tuple[float, float]:
    """Of lognormal lengths whose mean is `mean` once cut at `budget`: the mean logarithm, and the share cut off."""
    drawn, low, high = np.random.default_rng(0).standard_normal(100_000), 0.0, math.log(budget) + 2
    for _ in range(40):
        mu = (low + high) / 2
        found = np.exp(mu + SPREAD * drawn).clip(max=budget)
        low, high = (mu, high) if found.mean() < mean else (low, mu)
    return mu, float((found >= budget).mean())


@cache
def lengths(setting: Setting, step: int, groups: int) -> Floats:
    """Tokens of the responses to `groups` problems, group by group."""
    rng, budget = np.random.default_rng([setting.seed, step]), setting.recipe.max_tokens
    between, within = rng.standard_normal((groups, 1)), rng.standard_normal((groups, setting.recipe.group))
    spread = SPREAD * (math.sqrt(SAME) * between + math.sqrt(1 - SAME) * within)
    cut: Floats = np.exp(middle(setting.mean, budget)[0] + spread).clip(16, budget).ravel()
    return cut


def gpu_learn_s(setting: Setting, drawn: Floats, trainers: int) -> float:
    """Of one step's updates on so many GPUs: rounds of rows, as many for each rank."""
    model, recipe = setting.model, setting.recipe
    flops = 6 * (model.params + model.layers * model.width * drawn) * drawn * (4 / 3 if setting.old_pass else 1)
    mfu = 0.14 + (0.35 - 0.14) * math.log2(recipe.token_budget / 16_384) / 2  # linear through the two that are facts
    seconds, size = 0.0, recipe.minibatch * recipe.group
    for first in range(0, len(drawn), size):
        rows = math.ceil(drawn[first : first + size].sum() / (0.9 * recipe.token_budget))
        row_s = flops[first : first + size].sum() / rows / (model.unit * PEAK * mfu)
        seconds += math.ceil(rows / (trainers // model.unit)) * row_s + OPTIMIZER_S
    return seconds


def cpu_learn_s(setting: Setting, drawn: Floats) -> float:
    """What processes do before and after the GPUs learn."""
    return float(drawn.sum()) * setting.rank_s


def sandboxes(seed: int, cores: int) -> Callable[[float], float]:
    """When a program that arrives then has its verdict: first come, first served."""
    free, rng = [0.0] * cores, np.random.default_rng(seed)

    def done(arrived_s: float) -> float:
        luck = rng.random()
        took = LIMIT_S * 2 if luck < LOOP else (TESTS if luck < LOOP + PASS else EARLY) * (OWN_S + OVER_S)
        ends = max(arrived_s, free[0]) + took
        heapreplace(free, ends)
        return ends

    return done


class Samplers:
    """Continuous batching on several engines with one queue. All live rollouts of an engine gain a token at each of its
    decoding steps, whose time is linear in the tokens read: the time to its next end has a closed form."""

    def __init__(self, setting: Setting, gpus: int) -> None:
        model, drawn = setting.model, lengths(setting, 0, 4096)
        context = PROMPT + (drawn**2).mean() / (2 * drawn.mean())  # of a live rollout, on average
        self._slots = max(int((KV_BYTES * model.unit - 2 * model.params) / model.kv_bytes / context), 1)
        self._read_s = 2 * model.params / (model.unit * READ_BYTES_S)
        self._work_s = 2 * model.params / (model.unit * PEAK * DECODE_MFU)
        self._token_s = model.kv_bytes / (model.unit * READ_BYTES_S)
        self._prefill_s = self._work_s * DECODE_MFU / PREFILL_MFU * PROMPT / setting.recipe.group
        engines = gpus // model.unit
        self._now, self._at, self._context = [0.0] * engines, [0.0] * engines, [0.0] * engines
        self._live: list[list[tuple[float, int, float, float]]] = [[] for _ in range(engines)]
        """Heaps of (decoding step at which it ends, rollout, its tokens, when it began)."""
        self._queue, self._ends, self.busy_s = deque[tuple[float, int]](), np.full(engines, math.inf), 0.0

    @property
    def next_s(self) -> float:
        """When the next rollout ends."""
        return float(self._ends.min())

    def offer(self, rollouts: Iterable[tuple[float, int]], now: float) -> None:
        """Queue rollouts (tokens, number); engines with free slots take them, the emptiest first."""
        self._queue.extend(rollouts)
        room = [(len(live), engine) for engine, live in enumerate(self._live) if len(live) < self._slots]
        heapify(room)
        changed = [engine for _, engine in room]
        for engine in changed:
            self._advance(engine, now)
        while self._queue and room:
            live, engine = heappop(room)
            self._admit(engine)
            if live + 1 < self._slots:
                heappush(room, (live + 1, engine))
        for engine in changed:
            self._plan(engine)

    def take(self) -> tuple[float, int, float]:
        """The next end: when, of which rollout, and when that began."""
        ends, engine = self.next_s, int(self._ends.argmin())
        self._advance(engine, ends)
        self._at[engine], rollout, tokens, began = heappop(self._live[engine])
        self._context[engine] -= PROMPT + tokens
        while self._queue and len(self._live[engine]) < self._slots:
            self._admit(engine)
        self._plan(engine)
        return ends, rollout, began

    def _admit(self, engine: int) -> None:
        tokens, rollout = self._queue.popleft()
        heappush(self._live[engine], (self._at[engine] + tokens, rollout, tokens, self._now[engine]))
        self._context[engine] += PROMPT
        self._now[engine] += self._prefill_s
        self.busy_s += self._prefill_s

    def _rate(self, engine: int) -> tuple[float, float]:
        """Seconds of a decoding step, and half of what each makes the next longer."""
        live = len(self._live[engine])
        step_s = FIXED_S + max(self._read_s, self._work_s * live) + self._token_s * self._context[engine]
        return step_s, self._token_s * live / 2

    def _plan(self, engine: int) -> None:
        self._ends[engine] = math.inf
        if self._live[engine]:
            (step_s, more_s), grown = self._rate(engine), self._live[engine][0][0] - self._at[engine]
            self._ends[engine] = self._now[engine] + step_s * grown + more_s * grown * grown

    def _advance(self, engine: int, now: float) -> None:
        """To a moment that is not after its next end."""
        passed, live = now - self._now[engine], len(self._live[engine])
        if passed > 0 and live:
            step_s, more_s = self._rate(engine)
            grown = 2 * passed / (step_s + math.sqrt(step_s * step_s + 4 * more_s * passed))
            self._at[engine] += grown
            self._context[engine] += live * grown
            self.busy_s += passed
        self._now[engine] = max(self._now[engine], now)


@cache


def on_cpu(setting: Setting) -> Setting:
    """With seconds on CPUs as measured on two groups of 8 x 4,000 tokens, the better of two times."""
    rng, groups, tests, size = np.random.default_rng(0), list[Group](), [Test("7 " * 1000, "7")] * TESTS, 2 * 8 * 4000
    line, verdict = encode(Problem("p", tests, statement="s" * 2000)), Verdict(Status.AC, TESTS, TESTS)

    def rollout() -> Rollout:
        ids, logprobs = rng.integers(150_000, size=4000).tolist(), (-rng.random(4000)).tolist()
        return Rollout("text" * 4000, tokens=Tokens(ids[:PROMPT], ids, logprobs), verdict=verdict)

    def lines() -> None:
        made = [group_line(line, group, 1, SPARSE, 1 << 15) for group in pickle.loads(fetched)]
        write_ahead(Path(folder, "lines.zst"), made)
        groups[:] = [group for each in made if (group := group_of(each))]

    def rank() -> None:
        got = [r for group in pickle.loads(pickle.dumps(groups)) for r in group.responses]
        pickle.loads(pickle.dumps([r.logprobs for r in got] * 2))
        planned([Piece(0, [], [Weighed(r.ids, r.logprobs, 1.0, 1.0)]) for r in got], setting.recipe.token_budget)

    fetched = pickle.dumps([[rollout() for _ in range(8)] for _ in range(2)])
    with tempfile.TemporaryDirectory() as folder:
        lines_s = min(repeat(lines, number=1, repeat=2)) / size
    return replace(setting, lines_s=lines_s, rank_s=min(repeat(rank, number=1, repeat=2)) / size)
