"""A program to run and what running it gave: the values that cross the border between judge and backend."""

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
    """Bytes of the buffer `__probes__` that the program finds among its globals."""


class Execution(Struct):
    """One run on one input. Nothing is judged here: `status` is OK or why there is no answer."""

    status: str
    output: str = ""
    """Stdout, undecodable bytes as U+FFFD; in function mode JSON text of the value, '' where none came."""
    stderr: str = ""
    time_s: float = 0.0
    memory_mb: float = 0.0
    message: str = ""
    idle: bool = False
    """A TLE by wall time: the program slept or waited, or the machine was too busy to run it."""


class Executions(Struct):
    """The runs of one program, and the probes it left."""

    runs: list[Execution]
    probes: bytes = b""


def program_wall_s(limits: Limits) -> float:
    """Wall seconds a test may take, for `limits.time_s` of CPU: room for a busy machine, an end for sleepers."""
    return 4 * limits.time_s + 2
