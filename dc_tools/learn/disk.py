"""Writing into a run's folder, where a full disk is no end: the run goes on once there is room."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from dc_tools.core.errors import CannotRun, Stopped

FULL = {errno.ENOSPC, errno.EDQUOT}
SAID = ("No space left on device", "Disk quota exceeded")


@contextlib.contextmanager
def writing(path: Path, partial: Path | None = None) -> Iterator[None]:
    """Write `path`, by way of `partial`, of which nothing is left where that fails.

    Errors: `Stopped` where the disk is full, `CannotRun` where it refuses for another reason.
    """
    try:
        yield
    except Exception as error:
        if partial:
            with contextlib.suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        if is_full(error):
            raise Stopped(f"{path}: no space left: make room, then run again with --resume") from error
        if isinstance(error, OSError):
            raise CannotRun(f"{path}: it cannot be written: {error.strerror or error}") from error
        raise


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error; some libraries give its words alone."""
    while error:
        if (isinstance(error, OSError) and error.errno in FULL) or any(words in str(error) for words in SAID):
            return True
        error = error.__cause__ or error.__context__
    return False
