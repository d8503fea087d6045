"""One run of a command over lines: reading, rejecting, dropping, writing, resuming, and the account of it all.

A room gives `Run.write` a generator of outcomes in input order, one for each line it was given; everything that must
hold for all seven commands (order, journal, rejects, counts, manifest) happens here.
"""

import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dc_tools.core import lines, manifest, outputs
from dc_tools.core.errors import BadLine, CannotRun, UsageError
from dc_tools.core.manifest import Counts, Fingerprint
from dc_tools.core.progress import Progress, say
from dc_tools.core.records import Line, encode
from dc_tools.core.targets import check_targets

T = TypeVar("T")
SHOWN_REJECTS = 5
SHAPING_OPTIONS = ("seed", "limit", "shard_records", "dropped", "rejects")
"""Shared flags that must not change between a run and its resumption."""


class AlreadyDone(Exception):
    """--resume found the output finished by the same run; carries the gates that failed then."""

    def __init__(self, failed_gates: list[str]) -> None:
        super().__init__(failed_gates)
        self.failed_gates = failed_gates


@dataclass(frozen=True)
class Kept:
    """The line goes on. `marks` are counted by name; `faults` are internal errors it met, and show in the exit code."""

    line: Line
    marks: tuple[str, ...] = ()
    faults: int = 0


@dataclass(frozen=True)
class Dropped:
    """A filter did its work: the line, which carries its evidence, goes to the dropped file."""

    line: Line
    reason: str


@dataclass(frozen=True)
class Rejected:
    """The line turned out to be bad in a way that only the stage could see."""

    line: Line
    error: str


Outcome = Kept | Dropped | Rejected


@dataclass(frozen=True)
class Options:
    """The flags that all commands share."""

    output: str = "-"
    seed: int = 0
    workers: int = 1
    limit: int | None = None
    quiet: bool = False
    debug: bool = False
    resume: bool = False
    force: bool = False
    rejects: str | None = None
    max_rejects: int = 0
    manifest: str | None = None
    shard_records: int | None = None
    dropped: str | None = None


@dataclass
class Run:
    """One run; see the module."""

    name: str
    options: Options
    files: list[str]
    flags: dict[str, Any]
    """The command's own flags, by parameter name."""
    lines_out: bool = True
    """False where the output is a folder that the room itself makes (a run, a model)."""
    free_flags: frozenset[str] = frozenset()
    """Flags that may change between a run and its resumption."""
    content_flags: frozenset[str] = frozenset()
    """Flags that name files or folders whose content shapes the output, beside the inputs."""
    output_flags: frozenset[str] = frozenset()
    """Flags that name further files the command makes."""
    wants_more: Callable[[dict[str, Any], dict[str, Any]], bool] = lambda flags, earlier: False
    """Whether flags ask for more than a finished run's manifest says was done: it is gone on with."""
    resumable: bool = True
    """False where a partial output cannot be gone on with (dedup must see all lines first)."""
    counts: Counts = field(default_factory=Counts)
    leaves_nothing: bool = False
    """Whether the run was a look at what would be done, of which there is no account."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The room's own entries for the manifest."""
    failed_gates: list[str] = field(default_factory=list)
    """What `fail_gate` was told."""


    def __post_init__(self) -> None:
        self._started = time.time()
        self._consumed = 0
        self._skip = 0
        self._pending_rejects: list[tuple[int, bytes]] = []
        self._torn = False
        """Whether a piece is half taken, so that counts, outputs and place do not agree."""
        self._outputs = outputs.Outputs({}, None)
        self._progress: Progress | None = None
        self.files = lines.expand_inputs(self.files, self.options.quiet)

    def say(self, text: str) -> None:
        """One line for people on stderr, unless --quiet."""
        if not self.options.quiet:
            say(self.name, text)

    def add_faults(self, number: int) -> None:
        """Count records that met an internal error: they are kept, and the exit code says so as for bad lines."""
        self.counts.faults += number

    def fail_gate(self, text: str) -> None:
        """Remember that a threshold was missed: the outputs are still made whole, then the command ends with code 4."""
        self.failed_gates.append(text)

    # -- life of a run ------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Check the inputs, then start afresh or go on from what is there. Errors: `AlreadyDone`, `CannotRun`."""
        on_disk = {name: lines.on_disk(name) for name in self.files}
        for name, path in on_disk.items():
            if name != "-" and not os.access(path, os.R_OK):
                raise CannotRun(f"{name}: cannot be read")
        if self.options.resume and self.options.output == "-":
            raise UsageError("--resume needs -o FILE")
        others = {f"--{name.replace('_', '-')}": self.flags[name] for name in self.output_flags}
        shared = {"--rejects": self.options.rejects, "--manifest": self.options.manifest}
        check_targets(self.options.output, {**shared, "--dropped": self.options.dropped, **others}, on_disk.values())
        flags = {k: v for k, v in self.flags.items() if k not in self.free_flags}
        flags |= {name: getattr(self.options, name) for name in SHAPING_OPTIONS}
        inputs = [{"path": n, "sha256": lines.sha256_of(n) if _is_regular(on_disk[n]) else ""} for n in self.files]
        for path in self._named(self.content_flags):
            inputs.append({"path": path, "sha256": lines.content_id(Path(path))})
        self.fingerprint = Fingerprint(self.name, inputs, flags)
        if self.options.resume and not self.options.force:
            self._refuse_other_run(manifest.read_manifest(self.manifest_path))
        self._open_outputs()
        read = [on_disk[name] for name in self.files]
        size = sum(map(os.path.getsize, read)) if all(map(_is_plain_file, read)) else None
        self._progress = Progress(self.name, quiet=self.options.quiet, total_bytes=size)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest goes: --manifest, or beside (in a folder: inside) the output."""
        if self.options.manifest:
            return Path(self.options.manifest)
        target = Path(self.options.output)
        inside = self.options.output.endswith("/") or target.is_dir() or not self.lines_out
        return target / "manifest.json" if inside else target.with_name(f"{target.name}.manifest.json")

    def close(self) -> None:
        """Commit the outputs, write the manifest, print the closing line."""
        self._torn = True
        self._take_rejects_up_to(None)
        self.facts |= {"failed_gates": self.failed_gates} if self.failed_gates else {}
        self._outputs.commit({**self._account(), "facts": self.facts})
        seconds = self._finish()
        self.stop_progress()
        hidden = self.counts.rejected - SHOWN_REJECTS
        if hidden > 0 and not self.options.rejects:
            say(self.name, f"and {hidden} more bad lines: --rejects FILE keeps them")
        c = self.counts
        self.say(f"in {c.read}, out {c.written}, dropped {c.dropped}, rejected {c.rejected}, {seconds:.1f} s")

    def _finish(self) -> float:
        """Write the manifest of the committed outputs and close the journal; returns the seconds of the run."""
        ended = time.time()
        if not self.leaves_nothing and (self.options.manifest or self._writes_manifest()):
            made = manifest.manifest_of(
                self.fingerprint, self.options.seed, self.counts, self._started, ended, self.facts
            )
            manifest.write_manifest(self.manifest_path, made)
        if self._outputs.journal:
            self._outputs.journal.remove()
        return ended - self._started

    def abandon(self) -> None:
        """End without committing: what is accounted for is flushed so that --resume can go on."""
        self.stop_progress()
        journal = self._outputs.journal
        if self._torn:
            return
        if self._consumed or not journal:
            self._flush()
        else:
            self._outputs.discard()
            journal.remove()

    def stop_progress(self) -> None:
        """Take the progress bar away."""
        if self._progress:
            self._progress.close()

    # -- lines --------------------------------------------------------------------------------------------------

    def read(self, type_: type[T]) -> Iterator[tuple[Line, T]]:
        """Input lines with their decoded value; lines that are not a `type_` become rejects."""
        for line in self.read_raw():
            try:
                value = line.decode(type_)
            except BadLine as error:
                self.reject(line, error.error)
                continue
            yield line, value

    def read_raw(self, skipped: Callable[[Line], object] = lambda line: None) -> Iterator[Line]:
        """Input lines as they come; on a resumed run those not yet accounted for, while `skipped` gets the others."""
        limit = self.options.limit
        if limit == 0:
            return
        for line in lines.read_lines(self.files):
            if line.index >= self._skip:
                self.counts.read += 1
                yield line
            else:
                skipped(line)
            if limit is not None and line.index + 1 >= limit:
                return

    def reject(self, line: Line, error: str) -> None:
        """Count a bad line and keep it for --rejects; the first few are shown where there is no such file."""
        self.counts.rejected += 1
        if not self.options.rejects and self.counts.rejected <= SHOWN_REJECTS:
            say(self.name, f"{line.file}:{line.number}: {error}")
        entry = {
            "file": line.file, "line": line.number, "error": error, "raw": line.raw.decode("utf-8", "replace"),
        }
        heapq.heappush(self._pending_rejects, (line.index, encode(entry)))

    def write(self, outcomes: Iterable[Outcome | list[Outcome]]) -> None:
        """Consume a stage: one outcome for each line that `read` gave, in the same order.

        A list is taken as one piece: a resumed run never starts inside it.
        """
        for piece in outcomes:
            self._torn = True
            for outcome in piece if isinstance(piece, list) else [piece]:
                self._take(outcome)
            self._torn = False
            if self._outputs.due():
                self._flush()

    def _take(self, outcome: Outcome) -> None:
        line = outcome.line
        match outcome:
            case Kept(marks=marks, faults=faults):
                self.counts.written += 1
                self.counts.faults += faults
                for mark in marks:
                    self.counts.marks[mark] = self.counts.marks.get(mark, 0) + 1
                self._outputs.write("output", line.to_bytes())
            case Dropped(reason=reason):
                self.counts.dropped += 1
                self.counts.reasons[reason] = self.counts.reasons.get(reason, 0) + 1
                self._outputs.write("dropped", line.to_bytes())
            case Rejected(error=error):
                self.reject(line, error)
        self._consumed = max(self._consumed, line.index + 1)
        if self._progress:
            self._progress.advance(len(line.raw) + 1)

    def write_line(self, value: object) -> None:
        """Write one output line that answers no single input line (a summary)."""
        self.counts.written += 1
        self._outputs.write("output", encode(value))

    # -- inner parts --------------------------------------------------------------------------------------------

    def _named(self, flags: Iterable[str]) -> list[str]:
        """The files that these flags name."""
        found: list[str] = []
        for flag in sorted(flags):
            named = self.flags[flag] or []
            found += [named] if isinstance(named, str) else named
        return found

    def _writes_manifest(self) -> bool:
        if not self.lines_out:
            return self.options.output != "-"
        return isinstance(self._outputs.sinks.get("output"), outputs.FileSink)

    def _refuse_other_run(self, earlier: dict[str, Any] | None) -> None:
        if earlier is None:
            return
        self._refuse(earlier)
        made = [self.options.output, self.options.dropped, self.options.rejects, *self._named(self.output_flags)]
        if not all(Path(target).exists() for target in made if target):
            return
        if earlier.get("finished", True) and not self.wants_more(self.flags, earlier):
            raise AlreadyDone(earlier.get("failed_gates", []))

    def _refuse(self, earlier: dict[str, Any]) -> None:
        difference = self.fingerprint.difference(earlier)
        if difference:
            raise CannotRun(f"--resume: {self.options.output} is of another run: {difference}; --force starts over")

    def _open_outputs(self) -> None:
        options = self.options
        sinks: dict[str, outputs.Sink] = {}
        if self.lines_out:
            sinks["output"] = outputs.sink_for(options.output, options.shard_records)
        for name in ("dropped", "rejects"):
            target = getattr(options, name)
            if target:
                sinks[name] = outputs.sink_for(target)
        self._outputs = outputs.Outputs(sinks, None)
        main = sinks.get("output")
        if not isinstance(main, outputs.FileSink):
            return
        target = main.target
        at = target / ".journal" if target.is_dir() else target.with_name(f"{target.name}.journal")
        self._outputs.journal = outputs.Journal(at)
        going_on = options.resume and not options.force
        header, entry = self._outputs.journal.read() if going_on else (None, None)
        if header:
            self._refuse(header)
            if entry and (self.resumable or entry.get("done")):
                self._restore(entry)
                return
        self._outputs.discard()
        if self.manifest_path.is_file():
            self.manifest_path.unlink()
        self._outputs.journal.start(self.fingerprint.to_dict())

    def _restore(self, entry: dict[str, Any]) -> None:
        self.counts = Counts(**entry["counts"])
        self._skip = self._consumed = entry["consumed"]
        if entry.get("done"):
            self.facts = entry["facts"]
            self._outputs.finish_commit(entry)
            self._finish()
            raise AlreadyDone(self.facts.get("failed_gates", []))
        self._outputs.restore(entry)
        self.say(f"going on after {self._consumed} lines")

    def _account(self) -> dict[str, Any]:
        c = self.counts
        pending = len(self._pending_rejects)
        counts = {
            "read": c.written + c.dropped + c.rejected - pending, "written": c.written, "dropped": c.dropped,
            "rejected": c.rejected - pending, "reasons": c.reasons, "marks": c.marks, "faults": c.faults,
        }
        return {"consumed": self._consumed, "counts": counts}

    def _flush(self) -> None:
        self._torn = True
        self._take_rejects_up_to(self._consumed)
        self._torn = False
        self._outputs.flush(self._account())

    def _take_rejects_up_to(self, index: int | None) -> None:
        while self._pending_rejects and (index is None or self._pending_rejects[0][0] < index):
            position, entry = heapq.heappop(self._pending_rejects)
            self._consumed = max(self._consumed, position + 1)
            self._outputs.write("rejects", entry)


def _is_regular(name: str) -> bool:
    return name != "-" and os.path.isfile(name)


def _is_plain_file(name: str) -> bool:
    return _is_regular(name) and not name.endswith((".gz", ".zst", ".parquet"))
