"""Ray: joining a cluster or starting one of our own, and spreading independent work over one that is there.

Ray is imported inside the functions, after the variables that it reads then are set.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import dc_tools
from dc_tools.core.errors import CannotRun, DcError, missing_extra

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

PROBE_S = 3.0
OBJECT_STORE_BYTES = 256 << 20
AHEAD = 4
"""Pieces for each CPU of the cluster that may be under way or waiting for their turn to be taken."""
RETRIES = 4
"""Times a piece is begun again elsewhere after its process or its node was lost."""
LOOK_S = 2.0
"""How often to look whether the cluster still has a CPU for us."""
WITHOUT_CPU_S = 60.0
"""How long a cluster may be without any CPU before the run ends."""


def prepare_for_ray(address: str | None) -> None:
    """Environment for joining `address`, or for a cluster of our own where it is None; what the user set stays."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray leaves one in the home folder


@contextlib.contextmanager
def connected(address: str | None, processes: int = 2) -> Iterator[None]:
    """Ray at `address`, or, where it is None, a cluster of our own that ends with the block, and on which `processes`
    of one CPU can be, whether the machine has so many or not. Errors: `CannotRun`.

    A thread of its own starts it, and lives as long: there it leaves Python's signal handlers alone. What Ray prints
    (that a node has died, for one) goes to stderr: meanwhile `sys.stdout` is that.
    """
    prepare_for_ray(address)
    try:
        import ray
    except ImportError:
        raise missing_extra("ray", "ray") from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    folder = None
    if address:
        _probe(address)
        options["address"] = address
    else:
        folder = _own_folder()
        options |= {
            "address": "local", "num_cpus": max(processes, len(os.sched_getaffinity(0))), "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": str(folder),
        }
    try:
        with contextlib.redirect_stdout(sys.stderr), ThreadPoolExecutor(1) as starter:
            starting = starter.submit(ray.init, **options)
            try:
                _joined(starting, address)
                _take_signals_back()
                yield
            finally:
                wait([starting])
                ray.shutdown()
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _joined(starting: "Future[Any]", address: str | None) -> None:
    """Wait for Ray. Errors: `CannotRun`, where a cluster that answers does not let us in."""
    try:
        starting.result()
    except (ConnectionError, RuntimeError) as error:
        if address is None:
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = "one that asks for a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or ~/.ray/auth_token"
        raise CannotRun(f"{address}: the cluster does not let us in ({said}); {hint}") from error


def _take_signals_back() -> None:
    """Ray has put a handler of its own before ours that aborts a process which takes three seconds to end."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)


def spread(function: Callable[[C, A], B], shared: C, items: Iterable[A]) -> Iterator[B]:
    """`function(shared, item)` over `items` on the CPUs of the connected cluster; results in the order of the items.

    `function` is one that the nodes can import. A piece whose process or node is lost is done again elsewhere, up to
    `RETRIES` times; nodes that join are used. Errors: those of `function` where they are ours; `CannotRun` for others,
    for nodes of another version, and where the cluster is without a CPU for `WITHOUT_CPU_S`.
    """
    common = share(shared)
    waiting: deque[Any] = deque()
    for item in items:
        waiting += start(function, common, item)
        if len(waiting) >= ahead():
            yield fetch(waiting.popleft())
    while waiting:
        yield fetch(waiting.popleft())


def share(value: Any) -> Any:
    """A reference to `value`, which each node copies once."""
    import ray

    return ray.put(value)


def start(function: Callable[..., Any], *arguments: Any, results: int = 1) -> list[Any]:
    """Begin `function(*arguments)` on some CPU of the cluster; references to its `results` results.

    An argument may be such a reference: what it stands for stays on the cluster. With several results the function
    gives a sequence. Lost results are made again, as `spread` does; errors come with `fetch`.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD", num_returns=results)(_answer)
    found = task.remote(dc_tools.__version__, function, *arguments)
    return found if isinstance(found, list) else [found]


class Replicas:
    """Processes of the connected cluster that each hold something which is costly to make, as a loaded model.

    One that is lost, with its node or without, is made anew elsewhere, and does again what it had not answered.
    """

    def __init__(self, count: int, make: Callable[..., Any], *arguments: Any, gpus: int = 0, at_once: int = 1) -> None:
        """Each holds what `make(*arguments)` gives, on `gpus` GPUs, and answers `at_once` questions side by side, each
        in a thread. Errors: `CannotRun` where the cluster has no room; others come with the first answer."""
        import ray

        for name, each in (("CPU", 1), ("GPU", gpus)):
            found = ray.cluster_resources().get(name, 0)
            if count * each > found:
                raise CannotRun(f"{count} processes need {count * each} {name}s; the cluster has {found:.0f}")
        kind = ray.remote(
            num_cpus=1, num_gpus=gpus, max_restarts=RETRIES, max_task_retries=RETRIES, max_concurrency=at_once,
            scheduling_strategy="SPREAD",
        )(_Replica)
        self._actors = [kind.remote(dc_tools.__version__, make, *arguments) for _ in range(count)]
        self._asked = 0

    def ask(self, method: str, *arguments: Any) -> Any:
        """A reference to what the next of them answers; errors come with `fetch`."""
        self._asked += 1
        return self._actors[self._asked % len(self._actors)].ask.remote(method, *arguments)


class _Replica:
    """One of them; what kept it from being made is its answer to everything."""

    def __init__(self, version: str, make: Callable[..., Any], *arguments: Any) -> None:
        self._failure: DcError | None = None
        try:
            self._held = _answer(version, make, *arguments)
        except DcError as error:
            self._failure = error

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the held answers."""
        if self._failure:
            raise self._failure
        return getattr(self._held, method)(*arguments)


def ahead() -> int:
    """How many pieces of work may be under way or wait for their turn."""
    return AHEAD * max(1, cpus())


def cpus() -> int:
    """CPUs of the nodes that are alive."""
    import ray

    return int(ray.cluster_resources().get("CPU", 0))


def gpus() -> int:
    """GPUs of the nodes that are alive."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))


def node_address() -> str:
    """Where the other nodes of the cluster find this one."""
    import ray

    return str(ray.util.get_node_ip_address())


def _answer(version: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a node does."""
    if version != dc_tools.__version__:
        raise CannotRun(f"a node of the cluster has dc_tools {dc_tools.__version__}, this is {version}")
    return function(*arguments)


def fetch(reference: Any) -> Any:
    """What a reference stands for, brought here. Errors: as `spread`."""
    import ray

    idle_s = 0.0
    while not ray.wait([reference], timeout=LOOK_S)[0]:
        idle_s = 0.0 if cpus() else idle_s + LOOK_S
        if idle_s > WITHOUT_CPU_S:
            raise CannotRun(f"the Ray cluster has had no CPU for {WITHOUT_CPU_S:.0f} s: have its nodes died?")
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, DcError):
            raise type(cause)(str(cause)) from error
        if isinstance(cause, ModuleNotFoundError):
            raise CannotRun(f"a node of the cluster lacks what this one has: {cause}") from error
        raise CannotRun(f"on the Ray cluster: {type(cause).__name__}: {cause}") from error
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0]
        raise CannotRun(f"a piece was lost {RETRIES + 1} times on the Ray cluster (out of memory?): {first}") from error


def _probe(address: str) -> None:
    """Fail at once where nothing listens: ray.init would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise CannotRun(f"--ray-address {address}: expected HOST:PORT")
    try:
        socket.create_connection((host, int(port)), PROBE_S).close()
    except OSError as error:
        raise CannotRun(f"--ray-address {address}: nothing answers there: {error.strerror or error}") from error


def _own_folder() -> Path:
    """A short-named folder for the files of our cluster; those of killed runs are swept."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > 30:
        base = Path("/tmp")  # the cluster's sockets have at most 107 bytes of name
    for old in base.glob("dc-ray-*"):
        pid = old.name.removeprefix("dc-ray-")
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return base / f"dc-ray-{os.getpid()}"
