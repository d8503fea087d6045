"""What runs in the processes of a run: trainers, samplers, judges with their sandboxes."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from dc_tools.core.cluster import node_address
from dc_tools.core.errors import CannotRun
from dc_tools.core.extract import extract_code
from dc_tools.core.records import Finish, Line, Problem, Rollout, Status, Verdict
from dc_tools.learn.ranks import Ranks
from dc_tools.learn.recipe import Recipe
from dc_tools.learn.sampler import Sampler
from dc_tools.learn.shape import SamplerEngine, Shape
from dc_tools.learn.trainer import Trainer
from dc_tools.learn.watch import Watched
from dc_tools.rollout.engine import Prompt, Sampling
from dc_tools.rollout.link import Spec
from dc_tools.sandbox.judge import JudgePool

NO_CODE = "the answer has no code block"


class Judge(Watched):
    """The sandboxes of one node."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self._pool = JudgePool(workers)

    def judge(self, line: bytes, group: Sequence[Rollout], step: int) -> Sequence[Rollout]:
        """The rollouts of a problem with code and verdict; several groups may be asked for at a time."""
        with self.spans("judge", step=step):
            problem, pending = Line(line).decode(Problem), []
            for rollout in group:
                rollout.code = extract_code(rollout.text)
                if rollout.finish is not Finish.ERROR and rollout.code is not None:
                    pending.append((rollout, self._pool.submit(problem, rollout.code)))
                elif rollout.finish is not Finish.ERROR:
                    rollout.verdict = Verdict(Status.CE, 0, len(problem.tests), message=NO_CODE)
            for rollout, verdict in pending:
                rollout.verdict = _known(verdict)
            return group


def _known(verdict: "Future[Verdict]") -> Verdict:
    """A verdict; IE where no sandbox can be started, which may be otherwise a moment later."""
    try:
        return verdict.result()
    except (CannotRun, OSError) as error:
        return Verdict(Status.IE, 0, 0, message=f"no sandbox can be started: {error}")


class TrainerActor(Watched):
    """A trainer that is made after its process is there, so that what goes wrong comes back as an error of its own."""

    def open(self, model: str, recipe: Recipe, device: str, rank: int, world: int, address: str) -> None:
        """Load the model. Errors: `CannotRun`."""
        with self.spans("load"):
            self._trainer = Trainer(model, recipe, device, Ranks.join(rank, world, address, device))

    def do(self, method: str, *arguments: Any, **of_span: Any) -> Any:
        """What a method of the trainer answers."""
        with self.spans(method, **of_span):
            return getattr(self._trainer, method)(*arguments)

    def sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: str, step: int
    ) -> Iterator[int | list[Rollout]]:
        """For each prompt its place, and then its group of rollouts."""
        with self.spans("sample", step=step):
            for place, group in self._trainer.sample(prompts, sampling, version):
                yield place
                yield group

    def meeting_point(self) -> str:
        """Where the others find this one: HOST:PORT that is free."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"{node_address()}:{probe.getsockname()[1]}"


class SamplerActor(Watched):
    """A sampler with weights of its own; `version` is that of the policy it was last sent."""

    version = "step-0"

    def open(self, model: str, recipe: Recipe, device: str, shape: Shape) -> None:
        """Load the model. Errors: `CannotRun`."""
        with self.spans("load"):
            if shape.engine is SamplerEngine.VLLM:
                from dc_tools.learn.vllm_sampler import VllmSampler

                self._sampler: Sampler | VllmSampler = VllmSampler(model, recipe, shape.tp)
            else:
                self._sampler = Sampler.load(model, recipe, device)

    def take(self, recipe: Recipe) -> None:
        """From now on another recipe holds."""
        self._sampler.take(recipe)

    def join(self, address: str, seat: int, seats: int, timeout_s: float) -> None:
        """Meet the trainers."""
        self._sampler.join(address, seat, seats, timeout_s)

    def update(self, specs: Sequence[Spec], version: str, step: int) -> list[float]:
        """Take on the trainers' weights, when they are sent; what it then says of a fixed text."""
        with self.spans("update", step=step):
            self._sampler.receive(specs)
        self.version = version
        return self._sampler.probe()

    def sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: str, step: int
    ) -> Iterator[int | list[Rollout]]:
        """For each prompt its place, and then its group of rollouts, by the weights that are there; in any order."""
        with self.spans("sample", step=step):
            for place, group in self._sampler.sample(prompts, sampling, self.version):
                yield place
                yield group
