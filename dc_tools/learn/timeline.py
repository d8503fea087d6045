"""Which process did what when, as a trace that chrome://tracing and ui.perfetto.dev show.

The file is the JSON array format of Chrome's trace events, an event a line, in no promised order. Its closing bracket
may be absent: it can be shown while the run goes on and after a kill, and `text + "]"` is JSON.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import write_atomic
from dc_tools.learn.disk import writing


@dataclass(frozen=True)
class Span:
    """Something that took time, in microseconds since 1970."""

    name: str
    start_us: int
    end_us: int
    arguments: dict[str, Any] = field(default_factory=dict)


class Spans:
    """What this process did; any thread may record."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Span] = []

    @contextlib.contextmanager
    def __call__(self, name: str, **arguments: Any) -> Iterator[None]:
        """Record what happens inside, also where it fails."""
        start_us = time.time_ns() // 1000
        try:
            yield
        finally:
            span = Span(name, start_us, max(start_us, time.time_ns() // 1000), arguments)  # the clock may be set back
            with self._lock:
                self._spans.append(span)

    def drain(self) -> list[Span]:
        """What was recorded since the last time."""
        with self._lock:
            found, self._spans = self._spans, []
        return found


class Timeline:
    """The trace of a run. Spans of a process that overlap are in lanes of their own."""

    def __init__(self, path: Path) -> None:
        """Go on with the file at `path` where there is one. Errors: `CannotRun`."""
        self.path = path
        self._pids: dict[str, int] = {}
        self._ends_us: dict[int, list[int]] = {}
        """Of each pid, where its lanes end."""
        self._keep(lambda event: True)

    def add(self, process: str, spans: Sequence[Span]) -> None:
        """Append what a process did. Errors: as `writing`."""
        events = [] if process in self._pids else [self._introduced(process)]
        pid = self._pids[process]
        for span in sorted(spans, key=lambda span: span.start_us):
            events.append({
                "name": span.name, "ph": "X", "ts": span.start_us, "dur": span.end_us - span.start_us, "pid": pid,
                "tid": self._lane(pid, span), "args": span.arguments,
            })
        self._append(events)

    def cut(self, step: int) -> None:
        """Forget the spans that say a later `step`, whose work will be done again. Errors: `CannotRun`."""
        self._keep(lambda event: event.get("args", {}).get("step", step) <= step)

    def _introduced(self, process: str) -> dict[str, Any]:
        pid = self._pids[process] = len(self._pids) + 1
        self._ends_us[pid] = []
        return {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": process}}

    def _lane(self, pid: int, span: Span) -> int:
        ends_us = self._ends_us[pid]
        lane = next((lane for lane, end_us in enumerate(ends_us) if end_us <= span.start_us), len(ends_us))
        ends_us[lane : lane + 1] = [span.end_us]
        return lane

    def _append(self, events: Iterable[dict[str, Any]]) -> None:
        """An event a write: a kill between two leaves whole lines."""
        with writing(self.path), self.path.open("ab", buffering=0) as stream:
            for event in events:
                stream.write((b",\n" if stream.tell() else b"[\n") + orjson.dumps(event))

    def _keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the other events, and a line that a kill left unfinished; learn of the processes and lanes that stay."""
        try:
            before = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise CannotRun(f"{self.path}: {error.strerror}") from error
        events = [event for line in before.splitlines() if (event := _event(line)) and wanted(event)]
        self._pids = {event["args"]["name"]: event["pid"] for event in events if event["ph"] == "M"}
        self._ends_us = {pid: [] for pid in self._pids.values()}
        for event in events:
            if event["ph"] == "X":
                ends_us, lane = self._ends_us[event["pid"]], event["tid"]
                ends_us += [0] * (lane + 1 - len(ends_us))
                ends_us[lane] = max(ends_us[lane], event["ts"] + event["dur"])
        after = b"[\n" + b",\n".join(orjson.dumps(event) for event in events) if events else b""
        if after != before:
            with writing(self.path):
                write_atomic(self.path, after)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line.removesuffix(b","))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
