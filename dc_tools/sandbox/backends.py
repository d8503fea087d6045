"""The backends by the names that --backend takes, as judges ready to use."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dc_tools.core.errors import UsageError
from dc_tools.sandbox.dual import Judge, JudgeSeveral
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.levels import BY_NAME, CONTAINER, SAFE, UNSAFE
from dc_tools.sandbox.trial import Rules

LOCAL, DOCKER = "local", "docker"


@dataclass(frozen=True)
class Wanted:
    """What the user asks of the backends."""

    workers: int
    names: Sequence[str] = (LOCAL,)
    rules: Rules = field(default_factory=Rules)
    levels: Sequence[str] = SAFE
    packages: Sequence[str] = ()
    image: str | None = None
    concurrency: int = 16
    """Requests to a remote at once; also how many workers it has."""
    per_s: float | None = None
    key_file: Path | None = None


def levels_of(level: str | None, *, unsafe: bool) -> Sequence[str]:
    """The levels of isolation to try. Errors: `UsageError`."""
    known = [name for name in BY_NAME if name not in (UNSAFE.name, CONTAINER.name)]
    if level is not None and level not in known:
        raise UsageError(f"--level {level}: {', '.join(known)}")
    return (*((level,) if level else SAFE), *((UNSAFE.name,) if unsafe else ()))


@contextlib.contextmanager
def judges(wanted: Wanted) -> Iterator[Judge]:
    """A judge over all backends that are wanted. Errors: `UsageError`, `CannotRun`."""
    if len(set(wanted.names)) != len(wanted.names) or not wanted.names:
        raise UsageError("--backend names each backend once, with commas between")
    with contextlib.ExitStack() as stack:
        pools = [stack.enter_context(_pool(name, wanted, stack)) for name in wanted.names]
        yield pools[0] if len(pools) == 1 else JudgeSeveral(pools)


def _pool(name: str, wanted: Wanted, stack: contextlib.ExitStack) -> JudgePool:
    if name == LOCAL:
        return JudgePool(wanted.workers, wanted.levels, wanted.packages, rules=wanted.rules)
    if name == DOCKER:
        from dc_tools.sandbox import docker

        containers = docker.docker_workers(docker.DockerOptions(wanted.image or docker.IMAGE))
        return JudgePool(wanted.workers, rules=wanted.rules, connect=containers)
    from dc_tools.sandbox import remote

    if not remote.is_remote(name):
        raise UsageError(f"--backend {name}: local, docker, remote:https://HOST or together")
    options = remote.RemoteOptions(wanted.concurrency, wanted.per_s, wanted.key_file)
    return JudgePool(wanted.concurrency, rules=wanted.rules, connect=stack.enter_context(remote.connect(name, options)))
