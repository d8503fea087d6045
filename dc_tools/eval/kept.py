"""Where judged lines go as they come, and what an unfinished evaluation in the same folder has of them.

    OUT/judged/ROW.jsonl   the lines of a row, each written once its rollouts are judged
    OUT/timing.jsonl       how long sampling took, by problem
    OUT/scores.json        the scores, OUT/report.html, and OUT/manifest.json last
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.manifest import write_atomic
from dc_tools.core.outputs import FLUSH_BYTES, FileSink, StreamSink, sink_for
from dc_tools.core.records import Finish, Line, Problem, Status, encode
from dc_tools.eval.timing import Timing

TIMING = "timing.jsonl"


class Kept(Protocol):
    """A place for judged lines."""

    def earlier(self, row: str) -> Mapping[str, Line]:
        """The lines that an earlier part of the run has judged, by the problem's id."""
        ...

    def timing(self, row: str, name: str) -> Timing | None:
        """How long an earlier line took."""
        ...

    def add(self, row: str, name: str, line: Line, timing: Timing | None) -> None:
        """Keep a line; one of the earlier lines only takes its place in the order."""
        ...


class Nowhere:
    """Lines are not kept."""

    def earlier(self, row: str) -> Mapping[str, Line]:
        """None."""
        return {}

    def timing(self, row: str, name: str) -> Timing | None:
        """Nothing is known."""
        return None

    def add(self, row: str, name: str, line: Line, timing: Timing | None) -> None:
        """Nothing."""


class OneFile(Nowhere):
    """All rows' lines go to one file, which is whole or absent."""

    def __init__(self, sink: StreamSink | FileSink) -> None:
        self._sink = sink

    def add(self, row: str, name: str, line: Line, timing: Timing | None) -> None:
        """Write it."""
        self._sink.write(line.to_bytes())
        if self._sink.pending > FLUSH_BYTES:
            self._sink.flush()


class InFolder:
    """A file for each row. What a kill cut short, or could not be sampled or judged, is not counted as done."""

    def __init__(self, folder: Path, rows: Sequence[str]) -> None:
        self._files = {row: folder / "judged" / f"{row.replace('/', '_')}.jsonl" for row in rows}
        self._order: dict[str, list[str]] = {row: [] for row in rows}
        with _disk(folder):
            (folder / "judged").mkdir(exist_ok=True)
            self._earlier = {row: _sound(file) for row, file in self._files.items()}
            self._timings = _timings(folder / TIMING, self._earlier)
            for row, file in self._files.items():
                write_atomic(file, b"".join(line.raw + b"\n" for line in self._earlier[row].values()))
            write_atomic(folder / TIMING, b"".join(encode(each) + b"\n" for each in self._timings.values()))
            self._timing_file = (folder / TIMING).open("ab", buffering=0)
            self._open = {row: file.open("ab", buffering=0) for row, file in self._files.items()}

    def earlier(self, row: str) -> Mapping[str, Line]:
        """Those whose rollouts were all sampled and judged."""
        return self._earlier[row]

    def timing(self, row: str, name: str) -> Timing | None:
        """As it was written."""
        return self._timings.get((row, name))

    def add(self, row: str, name: str, line: Line, timing: Timing | None) -> None:
        """Write what is new; its timing first, so that a line is never without."""
        self._order[row].append(name)
        earlier = self._earlier[row].get(name)
        if earlier and earlier.raw == line.raw:
            return
        with _disk(self._files[row]):
            if timing:
                self._timing_file.write(encode(timing) + b"\n")
            self._open[row].write(line.to_bytes() + b"\n")

    def close(self) -> None:
        """Nothing more is written."""
        for file in (*self._open.values(), self._timing_file):
            file.close()

    def finish(self) -> None:
        """Put each row's lines into the order in which they were added."""
        for row, file in self._files.items():
            with _disk(file):
                lines = _sound(file, strict=False)
                if list(lines) != self._order[row]:
                    write_atomic(file, b"".join(lines[name].raw + b"\n" for name in self._order[row]))


@contextlib.contextmanager
def one_file(target: str) -> Iterator[OneFile]:
    """All lines in `target`, in the end. Errors: `CannotRun`."""
    sink = sink_for(target)
    try:
        yield OneFile(sink)
    except BaseException:
        sink.discard()
        raise
    sink.commit()


def _sound(file: Path, *, strict: bool = True) -> dict[str, Line]:
    """The whole lines of a file by id; with `strict` without those that are to be done again."""
    found: dict[str, Line] = {}
    raws = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    for number, raw in enumerate(raws, 1):
        line = Line(raw, str(file), number, number - 1)
        with contextlib.suppress(BadLine):
            problem = line.decode(Problem)
            if not strict or not _has_faults(problem):
                found[problem.id] = line
    return found


def _has_faults(problem: Problem) -> bool:
    return any(
        rollout.finish is Finish.ERROR or (rollout.verdict is not None and rollout.verdict.status is Status.IE)
        for rollout in problem.rollouts
    )


def _timings(file: Path, lines: Mapping[str, Mapping[str, Line]]) -> dict[tuple[str, str], Timing]:
    """Those of lines that are there."""
    found: dict[tuple[str, str], Timing] = {}
    for raw in file.read_bytes().split(b"\n")[:-1] if file.exists() else []:
        with contextlib.suppress(msgspec.DecodeError):
            each = msgspec.json.decode(raw, type=Timing)
            if each.id in lines.get(each.row, {}):
                found[each.row, each.id] = each
    return found


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror or error}") from error
