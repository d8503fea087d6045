"""Runs programs in Together's code interpreter, which runs Python and tells what was printed.

It has no stdin, exit code or limits, so a solution is sent inside a program of ours that runs it as a child and prints
how it ended between marks. One interpreter session for each solution. Not promised: that a solution which reads the
memory of its parent process, or edits the interpreter's own files, cannot print such a report itself; it still does
not know any expected output. Python only; the version is the service's. CPU time and memory are what the child's
parent is told there.
"""

import base64
import contextlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from dc_tools.core.records import Status
from dc_tools.sandbox.execution import OUTPUT_BYTES, Execution, Program, WorkerLost, program_wall_s
from dc_tools.sandbox.remote_script import Outcome, Script
from dc_tools.sandbox.remote_worker import RemoteWorker

URL = "https://api.together.xyz"
QUEUE_S = 120.0
LARGEST = 4 * OUTPUT_BYTES
"""Bytes of an unpacked report."""


class Data(Struct):
    """What running gave; an output's data is text for stdout, stderr and error, an object for a display."""

    session_id: str
    outputs: list[dict[str, Any]] = []


class Response(Struct):
    """The answer. One without `data`, that is with `errors`, counts as none, so that it is asked for again."""

    data: Data | None
    errors: Any = None

    def __post_init__(self) -> None:
        if self.data is None:
            raise ValueError(f"errors: {json.dumps(self.errors)[:300]}")


class Report(Struct):
    """How the child ended, as remote_program.py tells it; contents in base64."""

    code: int
    late: bool
    stderr: str
    output: bytes
    cpu_s: float
    memory_mb: float
    files: dict[str, bytes]


class TogetherWorker(RemoteWorker):
    """One program at a time in Together's code interpreter."""

    level = "together"

    @contextlib.contextmanager
    def session(self, program: Program, *, fast: bool = False) -> Iterator["TogetherSession"]:
        """Keep a program ready; the interpreter session begins with the first run."""
        yield TogetherSession(self, program)


class TogetherSession:
    """One program in one interpreter session. A compiler that refuses it says so in each run."""

    refused: str | None = None
    probes = b""
    memory_mb = 0.0

    def __init__(self, worker: TogetherWorker, program: Program) -> None:
        self._worker, self._program = worker, program
        self._session_id: str | None = None

    def run(self, data: str, files: dict[str, bytes] | None = None) -> Execution:
        """Run on one input. Errors: `WorkerLost`."""
        script = Script(self._program)
        if not script.is_python:
            return Execution(status=Status.IE, message=f"this backend runs python, not {self._program.lang}")
        body = {"language": "python", "code": script.supervised(data, files)}
        if self._session_id is not None:
            body["session_id"] = self._session_id
        wait_s = program_wall_s(self._program.limits) + QUEUE_S
        found = self._worker.ask("/tci/execute", body, Response, wait_s).data
        assert found
        self._session_id = found.session_id
        return script.execution(_outcome(_report(found, script.mark), self._program))


def _report(data: Data, mark: str) -> Report:
    """The report among what was printed. Errors: `WorkerLost` where there is none."""
    texts = [each["data"] for each in data.outputs if isinstance(each.get("data"), str)]
    parts = "".join(texts).split(mark)
    if len(parts) != 3:
        raise WorkerLost(f"the interpreter gave no report but {''.join(texts)[-200:]!r}")
    try:
        packed, unpack = base64.b64decode(parts[1]), zlib.decompressobj()
        return msgspec.json.decode(unpack.decompress(packed, LARGEST), type=Report)
    except (ValueError, zlib.error, msgspec.DecodeError) as error:
        raise WorkerLost(f"the interpreter's report cannot be read: {error}") from None


def _outcome(report: Report, program: Program) -> Outcome:
    is_over = report.cpu_s > program.limits.time_s
    code, said = (None if report.late or is_over else report.code), None
    if report.late and not is_over:
        wall_s = program_wall_s(program.limits)
        said = (Status.TLE.value, f"idle: over {wall_s:g} s of wall time, {report.cpu_s:.2f} s of CPU")
    return Outcome(
        output=report.output, stderr=report.stderr, code=code, time_s=report.cpu_s,
        memory_mb=report.memory_mb, said=said, files=report.files,
    )
