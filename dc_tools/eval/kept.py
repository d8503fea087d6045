"""Where lines go as they are sampled and judged, and what an unfinished evaluation in the same folder has of them.

    OUT/judged/ROW.jsonl   the lines of a row
    OUT/timing.jsonl       how long sampling took, by problem
    OUT/scores.json        the scores, OUT/report.html, and OUT/manifest.json last
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

import msgspec

from dc_tools.core.errors import BadLine
from dc_tools.core.manifest import write_atomic
from dc_tools.core.outputs import FLUSH_BYTES, FileSink, StreamSink, disk, sink_for
from dc_tools.core.records import Fields, Finish, Line, Problem, Status, encode
from dc_tools.eval.timing import Timing

TIMING = "timing.jsonl"
IN_NAMES = " +@=,()[]"
"""What stands in a file's name as it does in the row's, beside letters and numbers."""


class Kept(Protocol):
    """A place for lines."""

    models: Set[str]
    """Whose answers are there from an earlier part of the run."""

    def earlier(self, row: str) -> Mapping[str, Line]:
        """The lines that an earlier part of the run has sampled or judged, by the problem's id."""
        ...

    def timing(self, row: str, name: str) -> Timing | None:
        """How long an earlier line took."""
        ...

    def sampled(self, row: str, line: Line, timing: Timing) -> None:
        """Keep answers before they are judged: they are what costs most."""
        ...

    def judged(self, row: str, name: str, line: Line) -> None:
        """Keep the line of a problem. The order of these calls is that of the lines in the end."""
        ...

    def finish(self) -> None:
        """All lines are there."""
        ...


class Nowhere:
    """Lines are not kept."""

    models: Set[str] = frozenset()

    def earlier(self, row: str) -> Mapping[str, Line]:
        """None."""
        return {}

    def timing(self, row: str, name: str) -> Timing | None:
        """Nothing is known."""
        return None

    def sampled(self, row: str, line: Line, timing: Timing) -> None:
        """Nothing."""

    def judged(self, row: str, name: str, line: Line) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class OneFile(Nowhere):
    """All rows' lines go to one file, which is whole or absent."""

    def __init__(self, sink: StreamSink | FileSink) -> None:
        self._sink = sink

    def judged(self, row: str, name: str, line: Line) -> None:
        """Write it."""
        self._sink.write(line.to_bytes())
        if self._sink.pending > FLUSH_BYTES:
            self._sink.flush()


class InFolder:
    """A file for each row, with a line that was only sampled before the same line judged; in the end, with these alone.

    Of an earlier part of the run counts what was sampled without an error; what could not be judged then is so again.
    """

    def __init__(self, folder: Path, rows: Sequence[str]) -> None:
        self._files = {row: folder / "judged" / f"{quote(row, safe=IN_NAMES)}.jsonl" for row in rows}
        self._order: dict[str, list[str]] = {row: [] for row in rows}
        with disk(folder):
            (folder / "judged").mkdir(exist_ok=True)
            self._earlier = {row: _sampled(file) for row, file in self._files.items()}
            self.models: Set[str] = {
                model for lines in self._earlier.values() for line in lines.values() for model in _models(line)
            }
            self._timings = _timings(folder / TIMING, self._earlier)
            for row, file in self._files.items():
                write_atomic(file, _joined(line.raw for line in self._earlier[row].values()))
            write_atomic(folder / TIMING, _joined(encode(each) for each in self._timings.values()))
            self._timing_file = (folder / TIMING).open("ab")
            self._open = {row: file.open("ab") for row, file in self._files.items()}

    def earlier(self, row: str) -> Mapping[str, Line]:
        """Those of an earlier part of the run."""
        return self._earlier[row]

    def timing(self, row: str, name: str) -> Timing | None:
        """As it was written."""
        return self._timings.get((row, name))

    def sampled(self, row: str, line: Line, timing: Timing) -> None:
        """Write both, the timing first, so that a line is never without."""
        with disk(self._files[row]):
            _append(self._timing_file, encode(timing))
            _append(self._open[row], line.to_bytes())

    def judged(self, row: str, name: str, line: Line) -> None:
        """Write it, where it is not there already."""
        self._order[row].append(name)
        earlier, raw = self._earlier[row].get(name), line.to_bytes()
        if earlier is None or earlier.raw != raw:
            with disk(self._files[row]):
                _append(self._open[row], raw)

    def close(self) -> None:
        """Nothing more is written."""
        for file in (*self._open.values(), self._timing_file):
            with contextlib.suppress(OSError):  # of a full disk, which was told before
                file.close()

    def finish(self) -> None:
        """Leave of each row its judged lines, in their order."""
        for row, file in self._files.items():
            with disk(file):
                last = {_name(raw): raw for raw in _whole_lines(file)}
                write_atomic(file, _joined(last[name] for name in self._order[row]))


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


def _append(file: BinaryIO, raw: bytes) -> None:
    file.write(raw + b"\n")
    file.flush()


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _whole_lines(file: Path) -> list[bytes]:
    """Without the last one where a kill cut it short."""
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def _name(raw: bytes) -> str:
    return Fields.parse(raw).get_as("id", str, "")


def _sampled(file: Path) -> dict[str, Line]:
    """The lines of a file by id, the last one of each; verdicts of IE are taken off, failed samples left out."""
    found: dict[str, Line] = {}
    for number, raw in enumerate(_whole_lines(file), 1):
        line = Line(raw, str(file), number, number - 1)
        with contextlib.suppress(BadLine):
            problem = line.decode(Problem)
            if any(rollout.finish is Finish.ERROR for rollout in problem.rollouts):
                found.pop(problem.id, None)
                continue
            found[problem.id] = Line(_without_faults(line, problem), str(file), number, number - 1)
    return found


def _models(line: Line) -> Iterator[str]:
    return (rollout.model for rollout in line.decode(Problem).rollouts)


def _without_faults(line: Line, problem: Problem) -> bytes:
    """The line without verdicts of IE."""
    faults = [i for i, r in enumerate(problem.rollouts) if r.verdict and r.verdict.status is Status.IE]
    if faults:
        rollouts = line.fields.get_as("rollouts", list[dict[str, msgspec.Raw]], [])
        for index in faults:
            del rollouts[index]["verdict"]
        line.fields.put_raw("rollouts", msgspec.json.encode(rollouts))
    return line.to_bytes()


def _timings(file: Path, lines: Mapping[str, Mapping[str, Line]]) -> dict[tuple[str, str], Timing]:
    """Those of lines that are there."""
    found: dict[tuple[str, str], Timing] = {}
    for raw in _whole_lines(file):
        with contextlib.suppress(msgspec.DecodeError):
            each = msgspec.json.decode(raw, type=Timing)
            if each.id in lines.get(each.row, {}):
                found[each.row, each.id] = each
    return found
