"""The releases of LiveCodeBench's code generation: which of its files make one, and how many problems it has."""

import re
from pathlib import Path

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.eval.benchmarks.shapes import find_file

SIZES = (400, 111, 101, 101, 167, 175)
"""Problems of test.jsonl, test2.jsonl, ...: what each release added."""
NAMES = ("test.jsonl", *(f"test{number}.jsonl" for number in range(2, len(SIZES) + 1)))
_NAME = re.compile(r"(?P<all>release_v)(?P<upto>[1-6])|v(?P<first>[1-6])(?:_v(?P<last>[1-6]))?")


def span(release: str) -> tuple[int, int]:
    """The first and the last file of a release, from 1: release_v5 is 1 to 5, v5 is the fifth alone, v4_v6 is 4 to 6.

    Errors: `UsageError`.
    """
    found = _NAME.fullmatch(release)
    first, last = (1, found["upto"]) if found and found["all"] else (found and found["first"], found and found["last"])
    if not found or int(last or first or 0) < int(first or 0):
        raise UsageError(f"--release {release}: as release_v5 (all up to it), v5 (what it added) or v4_v6")
    return int(first or 0), int(last or first or 0)


def files_of(data: Path, release: str) -> list[Path]:
    """The files of a release at `data`, in a folder lcb there, or beside the file that it is; without a release
    lcb.jsonl, or else all releases' files that are there. Errors: `CannotRun`, `UsageError`.
    """
    data = data / "lcb" if (data / "lcb").is_dir() else data.parent if release and data.is_file() else data
    numbered = [data / name for name in NAMES]
    if release:
        first, last = span(release)
        wanted = numbered[first - 1 : last]
        missing = [file.name for file in wanted if not file.is_file()]
        if missing:
            raise CannotRun(f"--release {release}: there is no {', '.join(missing)} in {data}")
        return wanted
    there = [file for file in numbered if file.is_file()]
    named = data.is_file() or (data / "lcb.jsonl").is_file() or not there
    return [find_file(data, "lcb")] if named else there


def check_size(release: str, count: int) -> None:
    """Refuse a release that has not as many problems as it was published with. Errors: `CannotRun`."""
    first, last = span(release)
    published = sum(SIZES[first - 1 : last])
    if count != published:
        raise CannotRun(f"--release {release}: {published} problems were published, the files have {count}")
