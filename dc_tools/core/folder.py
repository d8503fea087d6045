"""A folder that a command makes as its output: whose it is, and that only one process writes it."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import read_manifest, write_manifest
from dc_tools.core.run import Run

LOCK = ".lock"


@contextlib.contextmanager
def open_folder(run: Run) -> Iterator[Path]:
    """The folder of -o, locked meanwhile and marked as this run's. Errors: `CannotRun`.

    It must be new, or hold no more than a manifest (a run that ended before it made anything), or hold a run of the
    same command, to go on with under --resume, or to be removed with --force.
    """
    folder = Path(run.options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("ab")
    except OSError as error:
        raise CannotRun(f"{folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotRun(f"{folder}: another run is writing this folder") from None
        _make_ours(folder, run)
        write_manifest(run.manifest_path, {**run.fingerprint.to_dict(), "finished": False})
        yield folder


def _make_ours(folder: Path, run: Run) -> None:
    manifest = run.manifest_path
    found = [path for path in folder.iterdir() if path.name != LOCK]
    if run.options.force:
        _empty(found, run)
    elif found not in ([], [manifest]) and not (run.options.resume and manifest.exists()):
        raise CannotRun(f"{folder}: holds something already: --resume goes on with a run, --force removes it")


def _empty(found: list[Path], run: Run) -> None:
    """Remove an earlier run, never a folder that is not one."""
    earlier = read_manifest(Path(run.options.output) / "manifest.json")
    if found and (earlier or {}).get("command") != run.name:
        raise CannotRun(f"{found[0].parent}: holds no earlier run of {run.name}; name another folder")
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
