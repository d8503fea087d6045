"""The errors that cross a room's border, each with the exit code it ends a command with.

A bad record is data (`BadLine`, a reject); a bad machine is an exception (`CannotRun`). All are picklable.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of all seven commands."""

    DONE = 0
    REJECTS = 1
    USAGE = 2
    CANNOT_RUN = 3
    GATE_FAILED = 4
    STOPPED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class DcError(Exception):
    """A one-line message for people; ends the command with `exit_code`."""

    exit_code: Exit = Exit.CANNOT_RUN


class UsageError(DcError):
    """The flags contradict each other or the input cannot be used this way."""

    exit_code = Exit.USAGE


class CannotRun(DcError):
    """Something outside the data is missing or broken: a file, a package, a disk, a model."""


class GateFailed(DcError):
    """A threshold asked for on the command line was not reached."""

    exit_code = Exit.GATE_FAILED


class Stopped(DcError):
    """Stopped at a safe point before the work was done; run again with --resume."""

    exit_code = Exit.STOPPED


class BadLine(DcError):
    """One input line that is not what it should be: `error` says what and where in the JSON."""

    exit_code = Exit.REJECTS

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def missing_extra(package: str, extra: str) -> CannotRun:
    """The error for an optional package that is not installed."""
    return CannotRun(f"the package '{package}' is missing: pip install 'dc-tools[{extra}]'")
