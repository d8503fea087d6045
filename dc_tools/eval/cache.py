"""What is kept between runs, in XDG_CACHE_HOME: nothing that could not be made again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import write_atomic

T = TypeVar("T")


def folder() -> Path:
    """Where it is."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc_tools"


def made_once(name: str, kind: type[T], make: Callable[[], T]) -> T:
    """What `make` makes, or made before under this name, which has to say all that it depends on."""
    file = folder() / f"{name}.zst"
    try:
        return msgspec.json.decode(zstandard.decompress(file.read_bytes()), type=kind)
    except (OSError, ValueError, zstandard.ZstdError):
        pass  # absent, or not whole
    made = make()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, zstandard.compress(msgspec.json.encode(made)))
    except (OSError, CannotRun):
        pass  # it will be made again
    return made
