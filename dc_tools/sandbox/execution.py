"""What crosses the border between the judge and a backend: a program to run, and what running it gave.

A backend gives `Worker`s; everything that knows what a right answer is stays on the judge's side of this file.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct, field

from dc_tools.core.records import Entry, Limits, Mode

OUTPUT_BYTES = 16 << 20
"""Most bytes a program may write to stdout, and to stderr; at this size it is stopped."""
OK = "OK"


class Program(Struct):
    """A program with what it may use. `entry` makes it a function to call; its inputs are JSON argument lists."""

    code: str
    mode: Mode = Mode.STDIN
    entry: Entry | None = None
    limits: Limits = field(default_factory=Limits)
    probes: int = 0
    """Bytes of the buffer `__probes__` that the program finds among its globals (Python)."""
    together: bool = False
    """Each input is a JSON list of argument lists and each output the list of values: one process makes all calls, on
    a module that is executed once. Isolated sessions only."""
    lang: str = "python"
    """A name from sandbox/languages.py."""
    argv: list[str] = []
    """Arguments after the program's name."""
    files: dict[str, bytes] = {}
    """Files in the working folder of every run, by relative name."""
    fetch: list[str] = []
    """Files of the working folder to bring back after a run, by relative name."""


class Execution(Struct):
    """One run on one input. Nothing is judged here: `status` is OK or why there is no answer."""

    status: str
    output: str = ""
    """Stdout, undecodable bytes as U+FFFD; in function mode JSON text of the value, '' where none came."""
    stderr: str = ""
    """The end of it."""
    exit_code: int | None = None
    """Negative for the signal that ended it, None where it did not end by itself."""
    time_s: float = 0.0
    """CPU seconds."""
    memory_mb: float = 0.0
    message: str = ""
    idle: bool = False
    """A TLE by wall time: the program slept or waited, or the machine was too busy to run it."""
    files: dict[str, bytes] = {}
    """What `Program.fetch` asked for and the run left."""
    probes: bytes = b""
    """The program's probes after this run and all before it."""


class Executions(Struct):
    """The runs of one program, and the probes it left."""

    runs: list[Execution]
    probes: bytes = b""
    isolation: str = ""


class WorkerLost(Exception):
    """The worker ended, or did not answer in time: what it was running has no verdict."""


class CellLost(WorkerLost):
    """The worker lives, but the part of it that ran this program ended while a test was in hand."""


class OutOfMemory(WorkerLost):
    """The kernel ended more than the test's own process, since together they used more memory than is allowed."""


class Session(Protocol):
    """One program in a worker."""

    refused: str | None
    """The compiler's message where it would not have the program."""
    probes: bytes
    memory_mb: float
    """Of a fast session, once it is over: the largest resident size of its process."""

    def run(self, data: str, files: dict[str, bytes] | None = None) -> Execution | None:
        """Run on one input, with `files` beside the program's own.

        None, from a fast session only: run it in a fresh process to know. Errors: `WorkerLost`.
        """
        ...


class Worker(Protocol):
    """What runs programs, one at a time."""

    backend: str
    """`local`, `docker` or `remote`."""
    level: str
    """What holds the programs."""
    offers_fast: bool
    """Whether `session(fast=True)` is to be had: all inputs in one process, for programs that behave."""
    offers_files: bool
    """Whether programs can be given files."""

    def session(self, program: Program, *, fast: bool = False) -> AbstractContextManager[Session]:
        """Compile a program and keep it ready. Errors: `WorkerLost`, here and from `Session.run`."""
        ...

    def kill(self) -> None:
        """End what is running; may be called from another thread. The worker is of no use afterwards."""
        ...

    def close(self) -> None:
        """End the worker and give back all it holds."""
        ...


def program_wall_s(limits: Limits) -> float:
    """Wall seconds a test may take, for `limits.time_s` of CPU: room for a busy machine, an end for sleepers."""
    return 4 * limits.time_s + 2
