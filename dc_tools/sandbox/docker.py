"""Containers: one long-lived container per worker, its standard streams the line to it.

A container has no network, no capability, a read-only root and a small /tmp, and is gone when its grader is: its stdin
ends then, and what is left all the same is swept by the next grader. What runs in it is the caller's. Not promised:
protection from bugs of the kernel or of the engine; who may speak to a docker engine is root on its machine.
"""

import contextlib
import functools
import json
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import docker.types
import docker.utils
import requests

from dc_tools.core.errors import CannotRun
from dc_tools.sandbox import boot, image, languages, levels, stream
from dc_tools.sandbox.cgroup import BESIDE_BYTES, PROCESSES
from dc_tools.sandbox.execution import Program, Session
from dc_tools.sandbox.owner import Owner

LABEL = "dc-sandbox"
"""The label of our containers; its value is the grader's `Owner`."""
IMAGE = "dc-sandbox"
WORKER = "dc_tools.sandbox.worker"
READABLE = (
    "/usr/lib", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom",
)
"""What programs may read beside the standard library, wherever that is in the image."""
ENVIRONMENT = {
    "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
}
"""PATH is the image's own: it says where its Python is."""
DEFAULT_HOST = "unix:///var/run/docker.sock"
TMP_MB, TMP_FILES = 64, 4096
API_S = 60.0
"""Longest silence of the engine in one call."""
SEND_S = 60.0
"""Longest time in which nothing of what is sent is taken."""
STUCK_S = 0.2
"""After so long a look is taken at whether the other side is still there."""
GONE_S = 20.0
"""Longest wait for a container to be removed."""
SAID_BYTES = 2000
_HEADER = struct.Struct(">BxxxI")
"""Of a frame of the engine's stream: 1 stdout, 2 stderr; its size."""
_STDOUT = 1
_BLOCK = 1 << 18
_Trouble = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
"""What the SDK raises."""


@dataclass(frozen=True)
class DockerOptions:
    """Which containers to make: `memory_mb` bounds all processes of one together, and grows with a program's own limit;
    `host` is a docker URL, None for DOCKER_HOST or the usual socket. TLS: DOCKER_TLS_VERIFY and DOCKER_CERT_PATH."""

    image: str = IMAGE
    memory_mb: int = 1024
    host: str | None = None


def connect(host: str | None = None) -> Any:
    """The SDK's low-level client of a running engine; `host` as in `DockerOptions`. Errors: `CannotRun`."""
    host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        _knock(host)
        settings = docker.utils.kwargs_from_env({**os.environ, "DOCKER_HOST": host})
        api = docker.APIClient(timeout=API_S, version="auto", **settings)
    except PermissionError as error:
        raise CannotRun(f"docker at {host} is not for this user: join the group 'docker', or be root") from error
    except _Trouble as error:
        raise CannotRun(
            f"docker does not answer at {host}: start it, or name another in DOCKER_HOST ({_brief(error)})"
        ) from error
    api.request = functools.partial(_asked, api.request, host)
    return api


def _asked(request: Callable[..., Any], host: str, *arguments: Any, **options: Any) -> Any:
    """One call of the engine, with a time limit, which the SDK forgets for attach."""
    _knock(host)
    return request(*arguments, **{"timeout": API_S, **options})


def _knock(host: str) -> None:
    """Raise `OSError` where nobody listens: the SDK would not close its socket and hide the reason in a long text."""
    if not host.startswith("unix://"):
        return
    path = host.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(API_S)
        probe.connect(path)


def import_image(api: Any, name: str, *, cpp: bool) -> None:
    """Make the image `name` from this machine's own Python, and with `cpp` from its g++, without any registry.

    Errors: `CannotRun`.
    """
    repository, tag = _split(name)
    tree = image.python_tree(cpp=cpp)
    try:
        with tempfile.TemporaryFile() as file:
            image.write_tar(tree, file)
            file.seek(0)
            said = api.import_image(file, repository, tag, changes=["CMD python3"])
    except _Trouble as error:
        raise CannotRun(f"docker did not take the image {name}: {_brief(error)}") from error
    for line in str(said).splitlines():
        if "error" in json.loads(line):
            raise CannotRun(f"docker did not take the image {name}: {json.loads(line)['error']}")


def sweep(api: Any) -> int:
    """Remove the containers of graders that have ended, and no others; how many there were."""
    here, found = Owner.this(), 0
    with contextlib.suppress(*_Trouble):
        for container in api.containers(all=True, filters={"label": LABEL}):
            owner = Owner.parse(container["Labels"].get(LABEL, ""))
            if owner and owner.is_gone(here):
                found += 1
                _remove(api, container["Id"])
    return found


class Container:
    """A running container; `send` and `receive` are for one thread, `kill` for any. Errors on start: `CannotRun`."""

    def __init__(self, options: DockerOptions, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._api = connect(options.host)
        self._id = ""
        self._socket: socket.socket | None = None
        self._response: Any = None
        self._lock = threading.Lock()
        self._frames = _Frames()
        self._memory_bytes = options.memory_mb << 20
        try:
            self._start(options, argv, environment)
        except _Trouble as error:
            self.close()
            raise _refusal(options, error) from error
        except BaseException:
            self.close()
            raise

    def send(self, *parts: bytes) -> None:
        """Send bytes to its stdin, all of them. Errors: `OSError`."""
        line = self._line()
        try:
            for part in parts if sum(map(len, parts)) > _BLOCK else (b"".join(parts),):
                self._send(line, memoryview(part))
        except EOFError as error:
            raise BrokenPipeError(str(error)) from error

    def receive(self, size: int, timeout_s: float) -> bytes:
        """Exactly `size` bytes of its stdout. Errors: `EOFError` when it has ended, `TimeoutError`, `OSError`."""
        line, deadline = self._line(), time.monotonic() + timeout_s
        while len(self._frames.stdout) < size:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no answer within {timeout_s:.1f} s")
            with contextlib.suppress(TimeoutError):
                line.settimeout(left_s)
                self._read(line)
        return self._frames.take(size)

    def kill(self) -> None:
        """End it; nothing runs in it afterwards, unless the engine itself does not answer."""
        self._hang_up()
        with contextlib.suppress(*_Trouble):
            self._api.kill(self._id)

    def close(self) -> None:
        """Remove it and give back what it held here."""
        self._hang_up()
        with self._lock:
            line, self._socket = self._socket, None
        if self._response is not None:  # it holds the socket too
            self._response.close()
        if line is not None:
            line.close()
        if self._id:
            with contextlib.suppress(*_Trouble):
                _remove(self._api, self._id)
        self._api.close()

    def said(self) -> str:
        """The end of what it wrote on stderr, as far as it was read."""
        return self._frames.stderr.decode("utf-8", "replace").strip()

    def limit(self, size: int) -> None:
        """Let all its processes together have `size` bytes of memory, or more where they already may."""
        if size > self._memory_bytes:
            self._memory_bytes = size
            with contextlib.suppress(*_Trouble):
                self._api.update_container(self._id, mem_limit=size, memswap_limit=size)

    def kills(self) -> int:
        """Not known; no program gets there, since its own limit is lower."""
        return 0

    def _start(self, options: DockerOptions, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        api = self._api
        host_config = api.create_host_config(
            network_mode="none", ipc_mode="none", read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"],
            pids_limit=PROCESSES, mem_limit=self._memory_bytes, memswap_limit=self._memory_bytes,
            tmpfs={"/tmp": f"size={TMP_MB}m,nr_inodes={TMP_FILES},mode=1777,exec,nosuid,nodev"},
            ulimits=[docker.types.Ulimit(name="core", soft=1, hard=1)],
            init=False, auto_remove=True, log_config=docker.types.LogConfig(type="none"),
        )
        self._id = api.create_container(
            options.image, entrypoint=list(argv), environment=dict(environment), host_config=host_config,
            user="65534:65534", stdin_open=True, tty=False, hostname="sandbox", working_dir="/",
            labels={LABEL: str(Owner.this())}, healthcheck={"test": ["NONE"]}, stop_signal="SIGKILL",
        )["Id"]
        attached = api.attach_socket(self._id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        self._socket, self._response = getattr(attached, "_sock", attached), getattr(attached, "_response", None)
        api.start(self._id)

    def _send(self, line: socket.socket, view: memoryview) -> None:
        stuck_s = 0.0
        while view:
            line.settimeout(STUCK_S)
            try:
                view, stuck_s = view[line.send(view) :], 0.0
            except TimeoutError:
                stuck_s += STUCK_S
                if stuck_s > SEND_S:
                    raise
                self._look(line)
            except OSError:
                self._look(line)  # it may have said why
                raise

    def _read(self, line: socket.socket) -> None:
        block = line.recv(_BLOCK)
        if not block:
            raise EOFError(self.said() or "the container ended")
        self._frames.feed(block)

    def _look(self, line: socket.socket) -> None:
        """Take what is there while sending is stuck: the engine keeps the line of an ended container open."""
        line.settimeout(0.001)
        with contextlib.suppress(TimeoutError):
            while True:
                self._read(line)

    def _line(self) -> socket.socket:
        line = self._socket
        if line is None:
            raise OSError("the container was closed")
        return line

    def _hang_up(self) -> None:
        """Wake whoever waits for it."""
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


class DockerWorker:
    """A worker in a container of its own. Errors: `CannotRun`."""

    backend = "docker"
    level = levels.CONTAINER.name
    offers_fast = offers_files = True

    def __init__(self, options: DockerOptions) -> None:
        argv = boot.command(WORKER, "0", "1", self.level, "0", "", ",".join(languages.TOOLS), *READABLE)
        self._box = Container(options, argv, ENVIRONMENT)
        self._line = stream.Line(self._box, self._box, BESIDE_BYTES)
        try:
            said = self._start()
            if said:
                said = " ".join(said.split())[-300:]
                raise CannotRun(f"no worker starts in a container of '{options.image}': {said}")
        except BaseException:
            self.close()
            raise

    def _start(self) -> str:
        """Send the worker; what keeps it from starting, "" where it has started."""
        try:
            self._box.send(boot.packed(WORKER))
            kind, payload = self._line.receive(stream.SLACK_S)
            return "" if kind == "Y" else payload.decode("utf-8", "replace") or "it does not say why"
        except (OSError, EOFError) as error:
            return self._box.said() or str(error) or type(error).__name__

    def session(self, program: Program, *, fast: bool = False) -> contextlib.AbstractContextManager[Session]:
        """Compile a program and keep it ready. Errors: `WorkerLost`, here and from `Session.run`."""
        return stream.session(self._line, program, fast=fast)

    def kill(self) -> None:
        """End the container; may be called from another thread."""
        self._box.kill()

    def close(self) -> None:
        """Remove the container."""
        self._box.close()


def docker_workers(options: DockerOptions) -> Callable[[], DockerWorker]:
    """What makes workers; what killed graders left is swept before. Errors: `CannotRun`, where none could be made."""
    with contextlib.closing(connect(options.host)) as api:
        sweep(api)
        try:
            api.inspect_image(options.image)
        except _Trouble as error:
            raise _refusal(options, error) from error
    boot.packed(WORKER)  # before there are threads
    return functools.partial(DockerWorker, options)


class _Frames:
    """Takes the engine's stream apart: `stdout` whole, of `stderr` the end."""

    def __init__(self) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self._head = bytearray()
        self._kind = self._left = 0

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the stream."""
        view = memoryview(block)
        while view:
            if self._left:
                part, view = view[: self._left], view[self._left :]
                self._left -= len(part)
                (self.stdout if self._kind == _STDOUT else self.stderr).extend(part)
            else:
                missing = _HEADER.size - len(self._head)
                self._head += view[:missing]
                view = view[missing:]
                if len(self._head) == _HEADER.size:
                    self._kind, self._left = _HEADER.unpack(self._head)
                    self._head.clear()
        del self.stderr[:-SAID_BYTES]

    def take(self, size: int) -> bytes:
        """Remove the first `size` bytes of stdout."""
        with memoryview(self.stdout) as view:
            data = bytes(view[:size])
        del self.stdout[:size]
        return data


def _remove(api: Any, container: str) -> None:
    """Have a container removed, and wait until it is: another removal may be under way."""
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline:
        try:
            api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
        time.sleep(0.01)


def _refusal(options: DockerOptions, error: Exception) -> CannotRun:
    if isinstance(error, docker.errors.ImageNotFound):
        return CannotRun(
            f"docker has no image '{options.image}': make it from this machine's Python with "
            f"dc-sandbox --make-image {options.image}, or build examples/sandbox.Dockerfile"
        )
    return CannotRun(f"docker did not start a container of '{options.image}': {_brief(error)}")


def _brief(error: Exception) -> str:
    """The engine's own words, on one line."""
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split())[-300:]


def _split(name: str) -> tuple[str, str]:
    """Repository and tag of an image's name; a colon before a slash is a port's."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")
