"""Where outputs go: no two to one place, none over an input, and links and standard streams as what they stand for."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dc_tools.core.errors import UsageError


def resolved(target: str) -> Path:
    """The file that a target names, through links, so that a link is written through and not replaced."""
    return Path(os.path.realpath(target))


def is_stream(target: str) -> bool:
    """Whether a target is stdout, a pipe, a device, or a name for what this process already has as stdout or stderr."""
    if target == "-":
        return True
    try:
        here = os.stat(target)
    except OSError:
        return False
    path = Path(target)
    if not path.is_file() and not path.is_dir():
        return True
    standard = [os.fstat(fd) for fd in (1, 2) if _is_open(fd)]
    return target.startswith(("/dev/", "/proc/")) or (
        path.is_symlink() and any(os.path.samestat(here, each) for each in standard)
    )


def check_targets(output: str, others: Mapping[str, str | None], inputs: Iterable[str]) -> None:
    """Refuse side outputs on stdout, two outputs in one file, a side output over an input, a folder of inputs as -o.

    Errors: `UsageError`.
    """
    read = {resolved(name) for name in inputs if name != "-"}
    taken = {} if is_stream(output) else {resolved(output): "-o"}
    folder = resolved(output)
    if folder.is_dir() and any(folder in name.parents for name in read):
        raise UsageError(f"-o {output}: the folder holds inputs; write to another one")
    for flag, target in others.items():
        if target is None:
            continue
        if target in ("-", ""):
            raise UsageError(f"{flag} needs a file: stdout is for the records")
        if is_stream(target):
            continue
        place = resolved(target)
        if place in read:
            raise UsageError(f"{flag} {target}: that is an input")
        if place in taken:
            raise UsageError(f"{flag} and {taken[place]} cannot be the same file")
        taken[place] = flag


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
