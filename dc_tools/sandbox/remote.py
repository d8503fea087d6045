"""The remote backends: programs run on somebody else's machine, judged here, which alone knows the expected outputs.

    remote:https://HOST[:PORT]    any server with SandboxFusion's API; a token, if it wants one, in DC_SANDBOX_TOKEN
    together                      Together's code interpreter; its key in TOGETHER_API_KEY

All workers of one remote share its limits. Answers that may come right (429, 5xx, no answer) are asked for again with
growing pauses; when that does not help, the worker is lost, and the judge makes IE of it.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.exchange import Exchange, read_key
from dc_tools.sandbox.execution import OK, Program, Worker, WorkerLost
from dc_tools.sandbox.remote_fusion import SandboxFusionWorker
from dc_tools.sandbox.remote_together import URL, TogetherWorker

TOKEN, TOGETHER_KEY = "DC_SANDBOX_TOKEN", "TOGETHER_API_KEY"


class RemoteOptions(Struct, frozen=True):
    """How a server is treated, by all workers together."""

    concurrency: int = 16
    """Requests under way."""
    per_s: float | None = None
    """Requests begun a second, tries included; None is as fast as it goes."""
    key_file: Path | None = None
    """Its first line is the key; else the environment has it."""
    tries: int = 6
    pause_s: float = 1.0
    """After the first failure; doubles with each."""


class Remote:
    """Makes workers when called; use as a context manager around the pool that they work for."""

    def __init__(self, kind: Callable[[Exchange], Worker], exchange: Exchange) -> None:
        self._kind, self._exchange = kind, exchange

    def __call__(self) -> Worker:
        """A new worker."""
        return self._kind(self._exchange)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()


def is_remote(name: str) -> bool:
    """Whether `connect` knows such a name."""
    return name == "together" or name.startswith(("together:", "remote:"))


def connect(name: str, options: RemoteOptions | None = None) -> Remote:
    """The remote called `name`; a SandboxFusion server has run a program by then.

    Errors: `UsageError` for a bad name, `CannotRun` where the key is missing or the server does not do its work.
    """
    options = options or RemoteOptions()
    kind, _, given = name.partition(":")
    url = URL if name == "together" else given
    if kind not in ("remote", "together") or not url.startswith(("http://", "https://")):
        raise UsageError(f"'{name}' is no remote: remote:https://HOST or together")
    if "@" in url:
        raise UsageError(f"a key does not belong into the address of a remote: {TOKEN} holds it, or {TOGETHER_KEY}")
    if kind == "together":
        key = read_key(TOGETHER_KEY, options.key_file)
        if key is None:
            raise CannotRun(f"{kind} needs a key: set {TOGETHER_KEY}")
        return Remote(TogetherWorker, _exchange(url, key, options))
    remote = Remote(SandboxFusionWorker, _exchange(url, read_key(TOKEN, options.key_file), options))
    try:
        _try_out(remote, url)
    except BaseException:
        remote.close()
        raise
    return remote


def _exchange(url: str, key: str | None, options: RemoteOptions) -> Exchange:
    return Exchange(
        url, api_key=key, concurrency=options.concurrency, tries=options.tries, pause_s=options.pause_s,
        per_s=options.per_s,
    )


def _try_out(remote: Remote, url: str) -> None:
    with remote().session(Program(code="print(input())")) as session:
        try:
            run = session.run("a word\n")
        except WorkerLost as error:
            raise CannotRun(f"{error} ({TOKEN} holds the token, if there is one)") from None
    if run is None or (run.status, run.output) != (OK, "a word\n"):
        raise CannotRun(f"{url} does not run a simple program right: {run}"[:500])
