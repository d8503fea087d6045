"""The local backend: one jailed worker process, driven over a socket. No daemon, no root needed.

A worker that dies or does not answer in time raises `WorkerLost`: what it was running has no verdict then.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

import dc_tools
from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Mode, Status
from dc_tools.sandbox.cgroup import BESIDE_BYTES, Group, Site
from dc_tools.sandbox.execution import OK, OUTPUT_BYTES, Execution, Program, program_wall_s

LEVELS = ("namespaces", "seccomp")
"""Strongest first; the first that the machine grants is used."""
SLACK_S = 60.0
_HEADER = struct.Struct("<BI")
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from dc_tools.sandbox.worker import main; main()"
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC",
    "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
}


class WorkerLost(Exception):
    """The worker process ended, or did not answer in time."""


class CellLost(WorkerLost):
    """The worker lives, but the part of it that ran this program ended while a test was in hand."""


class OutOfMemory(WorkerLost):
    """The kernel ended more than the test's own process, since together they used more memory than is allowed."""


class LocalWorker:
    """One worker process; not for use by two threads at once."""

    def __init__(
        self, levels: Sequence[str] = LEVELS, packages: Sequence[str] = (), sites: Sequence[Site] = ()
    ) -> None:
        self.levels, self.packages, self.sites = levels, packages, sites
        self.level = ""
        self._start()

    @contextlib.contextmanager
    def session(self, program: Program) -> Iterator["Session"]:
        """One solution: compiled on entry, run by `Session.run`. Errors: `WorkerLost`; then `restart` before more."""
        session = Session(self, program)
        try:
            yield session
        except (OSError, EOFError) as error:
            raise session.lost(error) from error
        else:
            if session.refused is None:
                self.send("E", b"")

    def kill(self) -> None:
        """End the worker process and all it runs; may be called from another thread."""
        self._process.kill()

    def close(self) -> None:
        """End the worker and give back its descriptors."""
        self.kill()
        self._process.wait()
        self._socket.close()
        self.group.close()
        os.close(self._errors)

    def restart(self) -> None:
        """Put a new process in place of a lost one."""
        self.close()
        self._start()

    def _start(self) -> None:
        refusals = []
        for level in self.levels:
            answer = self._launch(level)
            if answer is None:
                self.level = level
                return
            refusals.append(f"{level}: {answer}")
            self.close()
        raise CannotRun("this machine cannot isolate programs (" + "; ".join(refusals) + ")")

    def _launch(self, level: str) -> str | None:
        """Start a worker at `level`; what it says against it, None where it is ready."""
        ours, theirs = socket.socketpair()
        self._errors = os.memfd_create("errors", os.MFD_CLOEXEC)
        base = Path(dc_tools.__file__).parent.parent
        warm, folders = _packages(self.packages)
        arguments = [str(base), str(theirs.fileno()), level, str(os.getpid()), warm, *_readable_paths(), *folders]
        self._process = subprocess.Popen(
            [_interpreter(), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", _BOOT, *arguments],
            pass_fds=[theirs.fileno()], env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self._errors, cwd="/", start_new_session=True,
        )
        theirs.close()
        self.group = Group(self.sites)
        self.group.add(self._process.pid)
        self._socket = ours
        try:
            kind, payload = self.receive(SLACK_S)
        except (OSError, EOFError):
            return self.said() or "the worker did not start"
        return None if kind == "Y" else payload.decode("utf-8", "replace")

    def said(self) -> str:
        """The end of what the worker process wrote on its stderr."""
        size = os.fstat(self._errors).st_size
        return os.pread(self._errors, 2000, max(0, size - 2000)).decode("utf-8", "replace").strip()

    def send(self, kind: str, payload: bytes) -> None:
        """Send one frame."""
        self._socket.settimeout(SLACK_S)
        self._socket.sendall(_HEADER.pack(ord(kind), len(payload)) + payload)

    def receive(self, timeout_s: float) -> tuple[str, bytes]:
        """The next frame. Errors: `EOFError`, `TimeoutError`."""
        self._socket.settimeout(timeout_s)
        kind, size = _HEADER.unpack(self._exactly(_HEADER.size))
        return chr(kind), self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            block = self._socket.recv(min(size - len(data), 1 << 20))
            if not block:
                raise EOFError(self.said() or "the worker ended")
            data += block
        return bytes(data)


class Session:
    """A solution in the worker. `refused` is the compiler's message where it would not have it."""

    def __init__(self, worker: LocalWorker, program: Program) -> None:
        self._worker, self._program = worker, program
        self.probes = b""
        """The program's probes, as the last run left them."""
        worker.group.limit((program.limits.memory_mb << 20) + BESIDE_BYTES)
        self._kills = worker.group.kills()
        try:
            worker.send("S", orjson.dumps(_job(program)))
            kind, payload = worker.receive(SLACK_S)
        except (OSError, EOFError) as error:
            raise self.lost(error) from error
        if kind == "X":
            raise WorkerLost(payload.decode("utf-8", "replace"))
        self.refused = None if kind == "R" else payload.decode("utf-8", "replace")

    def run(self, data: str) -> Execution:
        """Run the program on one input."""
        worker = self._worker
        worker.send("T", data.encode("utf-8", "surrogatepass"))
        kind, payload = worker.receive(program_wall_s(self._program.limits) + SLACK_S)
        if kind != "r":
            raise self.lost(CellLost(f"{payload.decode('utf-8', 'replace')} {worker.said()}"))
        (size,) = struct.unpack_from("<I", payload)
        head: dict[str, Any] = orjson.loads(payload[4 : 4 + size])
        at, parts = 4 + size, []
        for length in (*head["sizes"], head["probes"]):
            parts.append(payload[at : at + length])
            at += length
        stdout, stderr, value, self.probes = parts
        if head["exit"] == -signal.SIGKILL and not head["killed"] and self._ran_out_of_memory():
            head["killed"] = "memory"
        return _execution(self._program, head, stdout, stderr, value)

    def lost(self, error: Exception) -> WorkerLost:
        """What to raise for a worker that is gone because of `error`."""
        if self._ran_out_of_memory():
            return OutOfMemory(f"over {self._program.limits.memory_mb} MiB")
        return error if isinstance(error, WorkerLost) else WorkerLost(str(error) or "the worker ended")

    def _ran_out_of_memory(self) -> bool:
        before, self._kills = self._kills, self._worker.group.kills()
        return self._kills > before


def _job(program: Program) -> dict[str, Any]:
    entry = program.entry if program.mode is Mode.FUNCTION else None
    return {
        "code": program.code.encode("utf-8", "surrogatepass").hex(),
        "entry": entry and {
            "fn_name": entry.fn_name, "class_name": entry.class_name,
            "arg_types": entry.arg_types, "return_type": entry.return_type,
        },
        "time_s": program.limits.time_s, "wall_s": program_wall_s(program.limits),
        "memory_mb": program.limits.memory_mb, "output_bytes": OUTPUT_BYTES, "probes": program.probes,
    }


def _execution(program: Program, head: dict[str, Any], stdout: bytes, stderr: bytes, value: bytes) -> Execution:
    status, message = _status(program, head, stdout, stderr, value)
    output = value if program.mode is Mode.FUNCTION else stdout
    return Execution(
        status=status, message=message, time_s=head["cpu_s"], memory_mb=head["memory_mb"],
        output=output.decode("utf-8", "replace"), idle=head["killed"] == "wall",
        stderr=stderr[-4000:].decode("utf-8", "replace"),
    )


def _status(program: Program, head: dict[str, Any], stdout: bytes, stderr: bytes, value: bytes) -> tuple[str, str]:
    """OK, or the first of OLE, TLE, MLE, RE that fits, with a message."""
    limits, code = program.limits, head["exit"]
    if max(len(stdout), len(stderr), len(value)) >= OUTPUT_BYTES:
        return Status.OLE, f"over {OUTPUT_BYTES >> 20} MiB of output"
    if head["killed"] == "wall":
        return Status.TLE, f"idle: {head['wall_s']:.1f} s of wall time, {head['cpu_s']:.2f} s of CPU"
    if head["killed"] == "cpu" or head["cpu_s"] > limits.time_s or code == -signal.SIGXCPU:
        return Status.TLE, f"over {limits.time_s:g} s of CPU"
    if code == 0:
        return OK, ""
    last = _last_line(stderr)
    if last.startswith("MemoryError") or head["killed"] == "memory" or _looks_out_of_memory(head, limits.memory_mb):
        return Status.MLE, f"over {limits.memory_mb} MiB"
    if code < 0:
        return Status.RE, f"killed by {_signal_name(-code)}"
    return Status.RE, last or f"exit code {code}"


def _looks_out_of_memory(head: dict[str, Any], memory_mb: int) -> bool:
    """Where no control group tells: killed by somebody else while near the limit."""
    return bool(head["exit"] == -signal.SIGKILL and head["memory_mb"] > 0.9 * memory_mb)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(stderr: bytes) -> str:
    text = stderr[-2000:].decode("utf-8", "replace").rstrip()
    return text.rsplit("\n", 1)[-1][:200] if text else ""


def _interpreter() -> str:
    """The real interpreter behind a virtual environment: the jail shows its library, not the environment's."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _readable_paths() -> list[str]:
    """What a program may read: the standard library, shared libraries, time zones, harmless devices."""
    library = os.path.realpath(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    wanted = [library, "/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom"]
    return [path for path in dict.fromkeys(wanted) if os.path.exists(path)]


def _packages(names: Sequence[str]) -> tuple[str, list[str]]:
    """What the worker imports, as `FOLDER:NAME,NAME`, and the folders it reads for that. Errors: `CannotRun`."""
    folders: list[str] = []
    site = ""
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise CannotRun(f"--package {name}: no such package is installed here")
        home = os.path.realpath(spec.submodule_search_locations[0])
        site = os.path.dirname(home)
        folders += [path for path in (home, f"{home}.libs") if os.path.isdir(path)]
    return (f"{site}:{','.join(names)}" if names else ""), folders
