"""The grader's end of a worker: frames over a pipe, whatever the pipe leads to.

A worker that dies or does not answer in time raises `WorkerLost`: what it was running has no verdict then.
"""

import base64
import contextlib
import signal
from collections.abc import Iterator
from typing import Any, Protocol

import orjson

from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import Mode, Status
from dc_tools.sandbox import languages
from dc_tools.sandbox.execution import (
    OK,
    OUTPUT_BYTES,
    CellLost,
    Execution,
    OutOfMemory,
    Program,
    WorkerLost,
    program_wall_s,
)
from dc_tools.sandbox.frames import ENDED_BY, HEADER, RESULT, USAGE

SLACK_S = 60.0
_MEMORY = "memory"
_STDERR_BYTES = 4000


class Pipe(Protocol):
    """The line to a worker process."""

    def send(self, *parts: bytes) -> None:
        """Send all of it. Errors: `OSError`."""
        ...

    def receive(self, size: int, timeout_s: float) -> bytes:
        """Exactly `size` bytes. Errors: `EOFError`, `TimeoutError`, `OSError`."""
        ...

    def kill(self) -> None:
        """End the worker; may be called from another thread."""
        ...

    def close(self) -> None:
        """End the worker and give back all it holds."""
        ...

    def said(self) -> str:
        """The end of what the worker wrote on its stderr."""
        ...


class Guard(Protocol):
    """What bounds a worker's processes together."""

    def limit(self, size: int) -> None:
        """Bound their memory, in bytes."""
        ...

    def kills(self) -> int:
        """How many of them the kernel has ended for lack of memory."""
        ...


class NoGuard:
    """Where nothing does."""

    def limit(self, size: int) -> None:
        """Nothing to do."""

    def kills(self) -> int:
        """None that we know of."""
        return 0


class Line:
    """Frames over a pipe, and what a session needs to know of the worker behind it."""

    def __init__(self, pipe: Pipe, guard: Guard, beside_bytes: int) -> None:
        self.pipe, self.guard, self.beside_bytes = pipe, guard, beside_bytes

    def send(self, kind: str, *parts: bytes) -> None:
        """Send one frame."""
        self.pipe.send(HEADER.pack(ord(kind), sum(map(len, parts))), *parts)

    def receive(self, timeout_s: float) -> tuple[str, bytes]:
        """The next frame."""
        kind, size = HEADER.unpack(self.pipe.receive(HEADER.size, timeout_s))
        return chr(kind), self.pipe.receive(size, timeout_s) if size else b""


@contextlib.contextmanager
def session(line: Line, program: Program, *, fast: bool) -> Iterator["IsolatedSession | FastSession"]:
    """One solution: compiled on entry. Errors: `WorkerLost`; the worker is of no use after it."""
    made = FastSession(line, program) if fast else IsolatedSession(line, program)
    try:
        made.begin()
        yield made
        made.end()
    except (OSError, EOFError) as error:
        raise made.lost(error) from error


class IsolatedSession:
    """Each run is a process of its own."""

    kind = "I"

    def __init__(self, line: Line, program: Program) -> None:
        self._line, self._program = line, program
        self.refused: str | None = None
        self.probes = b""
        """The program's probes, as the last run left them."""
        self.memory_mb = 0.0
        self._kills = 0

    def begin(self) -> None:
        """Send the program and wait until it is compiled."""
        limits = self._program.limits
        memory_mb = limits.memory_mb if language(self._program.lang) == PYTHON else max(limits.memory_mb, 1024)
        self._line.guard.limit((memory_mb << 20) + self._line.beside_bytes)
        self._kills = self._line.guard.kills()
        head = orjson.dumps(_job(self._program))
        code = self._program.code.encode("utf-8", "surrogatepass")
        self._line.send(self.kind, len(head).to_bytes(4, "little"), head, code)
        kind, payload = self._line.receive(SLACK_S + languages.COMPILE_WALL_S)
        if kind == "X":
            raise self.lost(WorkerLost(payload.decode("utf-8", "replace")))
        if kind != "R":
            self.refused = payload.decode("utf-8", "replace")

    def run(self, data: str, files: dict[str, bytes] | None = None) -> Execution | None:
        """Run the program on one input."""
        line = self._line
        if files:
            line.send("W", orjson.dumps(_texts(files)))
        line.send("T", data.encode("utf-8", "surrogatepass"))
        kind, payload = line.receive(program_wall_s(self._program.limits) + SLACK_S)
        if kind == "g":
            return None
        if kind != "r":
            raise self.lost(CellLost(f"{payload.decode('utf-8', 'replace')} {line.pipe.said()}"))
        return self._execution(payload)

    def end(self) -> None:
        """Tell the worker that this was all."""
        if self.refused is None:
            self._line.send("E")

    def lost(self, error: Exception) -> WorkerLost:
        """What to raise for a worker that is gone because of `error`."""
        if self._ran_out_of_memory():
            return OutOfMemory(f"over {self._program.limits.memory_mb} MiB")
        if isinstance(error, WorkerLost):
            return error
        return WorkerLost(self._line.pipe.said() or str(error) or "it ended")

    def _ran_out_of_memory(self) -> bool:
        before, self._kills = self._kills, self._line.guard.kills()
        return self._kills > before

    def _execution(self, payload: bytes) -> Execution:
        code, by, cpu_s, wall_s, memory_mb, *sizes = RESULT.unpack_from(payload)
        at, parts = RESULT.size, []
        for size in sizes:
            parts.append(payload[at : at + size])
            at += size
        stdout, stderr, value, self.probes, fetched = parts
        ended_by = ENDED_BY[by]
        if code == -signal.SIGKILL and not ended_by and self._ran_out_of_memory():
            ended_by = _MEMORY
        ending = _Ending(code, ended_by, cpu_s, wall_s, memory_mb, stderr, max(len(stdout), len(stderr), len(value)))
        status, message = ending.status(self._program)
        output = value if self._program.mode is Mode.FUNCTION else stdout
        files = {name: base64.b64decode(text) for name, text in orjson.loads(fetched).items()} if fetched else {}
        return Execution(
            status=status, message=message, time_s=round(cpu_s, 4), memory_mb=round(memory_mb, 1),
            output=output.decode("utf-8", "replace"), idle=ended_by == "wall", exit_code=None if ended_by else code,
            stderr=stderr[-_STDERR_BYTES:].decode("utf-8", "replace"), files=files,
            probes=self.probes,
        )


class FastSession(IsolatedSession):
    """All runs in one process; a run that is not as it should be gives None, and so do all after it."""

    kind = "F"

    def begin(self) -> None:
        """Send the program. A compiler that would not have it says so in an isolated session."""
        super().begin()
        self.refused = None

    def end(self) -> None:
        """Have the process ended and hear what it used."""
        self._line.send("E")
        kind, payload = self._line.receive(SLACK_S)
        if kind != "e":
            raise WorkerLost(f"a frame {kind!r} where a solution should end")
        (memory_mb,) = USAGE.unpack(payload)
        self.memory_mb = round(memory_mb, 1)


class _Ending:
    """How a process ended."""

    def __init__(
        self, code: int, ended_by: str, cpu_s: float, wall_s: float, memory_mb: float, stderr: bytes, most_output: int
    ) -> None:
        self.code, self.ended_by, self.cpu_s, self.wall_s = code, ended_by, cpu_s, wall_s
        self.memory_mb, self.stderr, self.most_output = memory_mb, stderr, most_output

    def status(self, program: Program) -> tuple[str, str]:
        """OK, or the first of OLE, TLE, MLE, RE that fits, with a message."""
        limits, code = program.limits, self.code
        if self.most_output >= OUTPUT_BYTES:
            return Status.OLE, f"over {OUTPUT_BYTES >> 20} MiB of output"
        if self.ended_by == "wall":
            return Status.TLE, f"idle: {self.wall_s:.1f} s of wall time, {self.cpu_s:.2f} s of CPU"
        if self.ended_by == "cpu" or self.cpu_s > limits.time_s or code == -signal.SIGXCPU:
            return Status.TLE, f"over {limits.time_s:g} s of CPU"
        if code == 0:
            return OK, ""
        if self._wants_memory(limits.memory_mb):
            return Status.MLE, f"over {limits.memory_mb} MiB"
        if code < 0:
            return Status.RE, f"killed by {_signal_name(-code)}"
        return Status.RE, _last_line(self.stderr) or f"exit code {code}"

    def _wants_memory(self, memory_mb: int) -> bool:
        """By the kernel's word, the program's own, or how near to the limit it was killed."""
        near = self.code in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS) and self.memory_mb > 0.9 * memory_mb
        return (
            self.ended_by == _MEMORY or near or _last_line(self.stderr).startswith("MemoryError")
            or (self.code == -signal.SIGABRT and b"std::bad_alloc" in self.stderr[-_STDERR_BYTES:])
        )


def _job(program: Program) -> dict[str, Any]:
    entry = program.entry if program.mode is Mode.FUNCTION else None
    return {
        "lang": language(program.lang), "argv": program.argv, "fetch": program.fetch,
        "files": _texts(program.files),
        "entry": entry and {
            "fn_name": entry.fn_name, "class_name": entry.class_name,
            "arg_types": entry.arg_types, "return_type": entry.return_type, "together": program.together,
        },
        "time_s": program.limits.time_s, "wall_s": program_wall_s(program.limits),
        "memory_mb": program.limits.memory_mb, "output_bytes": OUTPUT_BYTES, "probes": program.probes,
        "compile_cpu_s": languages.COMPILE_CPU_S,
    }


def _texts(files: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(stderr: bytes) -> str:
    text = stderr[-2000:].decode("utf-8", "replace").rstrip()
    return text.rsplit("\n", 1)[-1][:200] if text else ""
